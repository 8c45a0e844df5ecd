from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_huign import built, item_intents, sample

from benchmark import intents
from benchmark.datasets import Dataset
from benchmark.store import Store
from benchmark.writing import StoreError
from models.huign import HUIGN

TRAIN = sample(40, 12, 0.4)  # the last item is nobody's
TITLES = [*(f"Film {item}" for item in range(10)), "NA", None]


def trained(**options: object) -> HUIGN:
    """A model whose assignments are far from uniform."""
    model = built(TRAIN, **options)
    generator = torch.Generator().manual_seed(2)
    for supernodes in model.supernodes:
        supernodes.data = torch.randn(supernodes.shape, generator=generator)
    return model


def dataset(titles: list[str | None] | None = None) -> Dataset:
    table = None if titles is None else pd.DataFrame({"title": titles})
    users, items = TRAIN.users.numpy(), TRAIN.items.numpy()
    return Dataset("toy", "made up", users, items, 40, 12, {}, item_table=table)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_the_distributions_are_those_that_the_model_scores_by(store: Store) -> None:
    model = trained()
    intents.save(store, "run-0", model, dataset())
    kept = intents.read(store, "run-0", 12)
    assert list(kept.assignments) == ["visual", "acoustic", "textual"]
    assert kept.items.tolist() == list(range(11))  # the last one has no neighbours
    each = [np.hstack(kept.distributions(name)) for name in kept.assignments]
    expected = item_intents(model).detach().numpy()[kept.items]
    np.testing.assert_allclose(sum(each), expected, atol=1e-6)


def test_the_table_holds_shares_parents_and_the_strongest_items(store: Store) -> None:
    model = trained(modalities=["visual"])
    intents.save(store, "run-0", model, dataset(TITLES))
    table = intents.table(store, "run-0", 12)
    assert list(table) == intents.COLUMNS
    assert table["level"].tolist() == [1] * 4 + [2] * 3 + [3] * 2
    weights = item_intents(model).detach()[:11]  # one modality, so that the sum is H
    np.testing.assert_allclose(table["share"], weights.mean(0), atol=1e-5)
    parents = [gamma[0].argmax(1).tolist() for gamma in model.intents().assignments[1:]]
    assert table["parent"].tolist() == [*map(str, parents[0] + parents[1]), "", ""]
    for column, row in enumerate(table.to_dict("records")):
        best = weights[:, column].argsort(descending=True, stable=True)[:10]
        assert [int(item) for item in row["items"].split()] == best.tolist()
        assert row["titles"].split(" | ") == [TITLES[item] for item in best]
        found = [float(weight) for weight in row["weights"].split()]
        np.testing.assert_allclose(found, weights[best, column], atol=1e-5)


def test_small_differences_survive(store: Store) -> None:
    model = trained(modalities=["visual"])
    model.supernodes[0].data *= 0.1
    intents.save(store, "run-0", model, dataset())
    third = intents.read(store, "run-0", 12).distributions("visual")[-1]
    deviation = third - third.mean(0)
    assert 0 < np.abs(deviation).max() < 1e-8  # less than single precision can tell
    assert len(np.unique(deviation[:, 0])) > 5
    # of two weights one rises as the other falls; with rows rounded to single precision not so
    np.testing.assert_allclose(deviation[:, 0], -deviation[:, 1], rtol=0, atol=1e-15)


def test_many_items_are_sampled_the_same_every_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intents, "MAX_ITEMS", 5)
    model = trained()
    for run_id in ("one-0", "two-0"):
        intents.save(store, run_id, model, dataset())
    items = intents.read(store, "one-0", 12).items
    assert len(items) == 5
    assert (np.diff(items) > 0).all()
    one, two = (store.folder / "intents" / f"{run_id}-0.npz" for run_id in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    table = intents.table(store, "one-0", 12)
    assert {item for ids in table["items"] for item in ids.split()} > set(map(str, items))


def test_items_that_are_all_without_neighbours_are_kept(store: Store) -> None:
    intents.save(store, "run-0", trained(min_co_users=99), dataset())
    kept = intents.read(store, "run-0", 12)
    assert len(kept.items) == 12
    np.testing.assert_allclose(kept.distributions("visual")[0], 0.25)


def test_nothing_is_kept_of_a_model_without_intents(store: Store) -> None:
    intents.save(store, "run-0", built(TRAIN, modalities=()), dataset())
    assert not intents.is_kept(store, "run-0")
    assert not (store.folder / "intents").exists()


def test_files_that_cannot_be_read_are_named(store: Store) -> None:
    intents.save(store, "run-0", trained(), dataset())
    for suffix, read in ((".npz", intents.read), (".csv", intents.table)):
        path = store.folder / "intents" / f"run-0{suffix}"
        for damage in (path.read_bytes()[:50], b"", b"1,2\n3,4\n"):
            path.write_bytes(damage)
            with pytest.raises(StoreError, match=r"run-0.*take the row 'run-0' out"):
                read(store, "run-0", 12)
        path.unlink()
        with pytest.raises(StoreError, match=path.name):
            read(store, "run-0", 12)
