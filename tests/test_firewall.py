"""Nothing before the final numbers depends on the test labels."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from planted import ITEMS, USERS, Bench, numbers, small_bench

from benchmark import recommend
from benchmark.datasets import Dataset, load
from benchmark.splits import TEST, Split, split, split_items
from benchmark.task import Task
from benchmark.tuning import Tuned, Tuner
from models.edges import Edges
from models.interactions import Interactions
from models.propagation import SparseMatrix
from models.registry import discover, model_class, registered
from models.sampling import NegativeSampler

for folder in ("models", "baselines"):
    discover(Path(__file__).parents[1] / folder)

MODELS = sorted(registered())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = small_bench(tmp_path, monkeypatch)
    monkeypatch.setattr("benchmark.suite.write_outputs", lambda *_: None)
    monkeypatch.setattr("benchmark.experiments.MISSING_RATES", (0.6,))
    monkeypatch.setattr("benchmark.experiments.STRUCTURES", ((32, 8, 4), (8, 4)))
    return bench


Replace = Callable[[pd.DataFrame, Dataset], int]
"""Replaces test pairs in the table of a data set; how many."""


def other_items(inter: pd.DataFrame, dataset: Dataset) -> int:
    """Every test pair has another item that its user has nothing to do with."""
    known = set(zip(inter["userID"], inter["itemID"], strict=True))
    rows = inter.index[inter["x_label"] == TEST]
    for row in rows:
        user, item = int(inter.loc[row, "userID"]), int(inter.loc[row, "itemID"])
        new = next(
            i % ITEMS for i in range(item + 1, item + ITEMS) if (user, i % ITEMS) not in known
        )
        known.add((user, new))
        inter.loc[row, "itemID"] = new
    return len(rows)


def other_users(inter: pd.DataFrame, dataset: Dataset) -> int:
    """Every item held out for the test is liked by those who did not like it."""
    parts = split_items(dataset.users, dataset.items, 0)
    rows = inter.index[np.isin(inter["itemID"], dataset.items[parts == TEST])]
    inter.loc[rows, "userID"] = (inter.loc[rows, "userID"] + 1) % USERS
    return len(rows)


def another(bench: Bench, dataset: str, replace: Replace, num_items: int = ITEMS) -> Bench:
    """The same data but for the test labels."""
    other = Bench(bench.root / "other")
    path = other.add(dataset, num_items=num_items) / f"{dataset}.inter"
    inter = pd.read_csv(path, sep="\t")
    assert replace(inter, load(dataset, bench.data)) > 50
    inter.to_csv(path, sep="\t", index=False)
    assert load(dataset, bench.data).fingerprint != load(dataset, other.data).fingerprint
    return other


def history(bench: Bench, folder: str, row: dict[str, str]) -> str | None:
    """What happened in the epochs of a run, but for the seconds."""
    path = bench.results / folder / "history" / f"{row['run_id']}.csv"
    return pd.read_csv(path).drop(columns="seconds").to_csv() if path.exists() else None


def intents(bench: Bench, folder: str, row: dict[str, str]) -> list[bytes]:
    """What a run of HUIGN keeps for Figure 4."""
    paths = (bench.results / folder / "intents").glob(f"{row['run_id']}.*")
    return [path.read_bytes() for path in sorted(paths)]


def check_blind(one: Bench, other: Bench, folder: str) -> None:
    """All that is stored but the numbers of the test is the same to the last digit."""
    trials, others = (each.rows(folder, "trials") for each in (one, other))
    assert len(trials) == len(others) > 0
    for each, same in zip(trials, others, strict=True):
        told = set(each) - {"run_id", "seconds"}
        assert {name: each[name] for name in told} == {name: same[name] for name in told}

    runs, other_runs = (numbers(each.rows(folder)) for each in (one, other))
    assert runs.keys() == other_runs.keys()
    for key, row in runs.items():
        same = other_runs[key]
        tested = {name for name in row if "@" in name and name != "validation_recall@10"}
        told = set(row) - tested - {"run_id", "study", "data_fingerprint"}
        assert {"params", "validation_recall@10", "epochs"} <= told
        assert {name: row[name] for name in told} == {name: same[name] for name in told}
        assert any(row[name] != same[name] for name in tested)
        for kept in (history, intents):
            assert kept(one, folder, row) == kept(other, folder, same)
    assert any(history(one, folder, row) for row in runs.values())
    assert any(intents(one, folder, row) for row in runs.values()) == ("HUIGN" in str(runs))


@pytest.mark.parametrize(
    "call",
    [
        ("--models", *MODELS),
        ("--models", "huign", "--experiments", "table3", "table4"),
        ("--models", "vbpr", "--experiments", "missing"),
    ],
    ids=["all models", "structures and modalities", "missing modalities"],
)
def test_training_and_tuning_are_blind_to_the_test_labels(
    bench: Bench, call: Sequence[str]
) -> None:
    other = another(bench, "toy", other_items)
    for each in (bench, other):
        assert each.run(*call, "--dataset", "toy") == 0
    check_blind(bench, other, "toy")


def test_and_to_those_of_cold_items(bench: Bench) -> None:
    bench.add("wide", num_items=100)  # so that ten are held out
    other = another(bench, "wide", other_users, num_items=100)
    call = ("--models", "bpr_mf", "duif", "huign", "--dataset", "wide", "--ks", "5", "10")
    for each in (bench, other):
        assert each.run(*call, "--split-method", "cold_items") == 0
    check_blind(bench, other, "wide-cold_items")


def test_what_is_recommended_and_kept_is_blind_to_them(bench: Bench) -> None:
    """Weights and lists are the same, unless test items of a user are to be left out."""
    other, listed = another(bench, "toy", other_items), defaultdict(list)
    weights = []
    for each in (bench, other):
        assert each.run("--models", "huign", "--dataset", "toy", "--seeds", "3") == 0
        for exclude in ("known", "nothing", "seen"):
            out = each.root / f"{exclude}.csv"
            call = ("--dataset", "toy", "--model", "huign", "--users", "all")
            options = ("--exclude", exclude, "--out", str(out))
            assert recommend.main(each.arguments(*call, *options)) == 0
            listed[exclude].append(out.read_bytes())
        [path] = (each.results / "toy" / "models").glob("*/model.safetensors")
        weights.append((path.parent.name[-2:], path.read_bytes()))  # the seed that was chosen
    assert weights[0] == weights[1]
    assert listed["known"][0] == listed["known"][1]
    assert listed["nothing"][0] == listed["nothing"][1]
    assert listed["seen"][0] != listed["seen"][1]


def fingerprint(*values: object) -> str:
    """A digest of tensors, arrays and sparse matrices, within data as well, to the last bit."""
    told = hashlib.sha256()
    for value in values:
        if isinstance(value, Interactions):
            parts = (value.users, value.items, *value.features.values())
            value = (value.num_users, value.num_items, [*value.features], *map(fingerprint, parts))
        elif isinstance(value, (torch.Tensor, np.ndarray)):
            value = (value.shape, np.asarray(value).tobytes())
        elif isinstance(value, sp.csr_array):
            value = fingerprint(value.indptr, value.indices, value.data)
        told.update(repr(value).encode())
    return told.hexdigest()


CANARY = ITEMS
"""An item that is in the test labels of everybody and nowhere else."""


def with_canary(bench: Bench) -> Bench:
    """The data of ``toy`` with one more item, and beside them the same with other test labels."""
    bench.add("sung", num_items=ITEMS + 1)
    other = Bench(bench.root / "other")
    other.add("sung", num_items=ITEMS + 1)
    for each in (bench, other):
        path = each.data / "sung" / "sung.inter"
        inter = pd.read_csv(path, sep="\t")
        inter = inter[inter["itemID"] != CANARY]
        if each is other:
            sung = {"userID": range(USERS), "itemID": CANARY, "x_label": TEST}
            inter = pd.concat([inter[inter["x_label"] != TEST], pd.DataFrame(sung)])
        inter.to_csv(path, sep="\t", index=False)
    dataset = load("sung", other.data)
    assert dataset.labels is not None
    assert set(dataset.items[dataset.labels == TEST]) == {CANARY}
    return other


def recorded(bench: Bench, models: Sequence[str]) -> dict[str, list[str]]:
    """Digests of all that models are given and make of it, until the test data are looked at."""
    found = defaultdict[str, list[str]](list)
    with pytest.MonkeyPatch.context() as patch:

        def record(kind: str, cls: type, method: str, of: Callable[..., object]) -> None:
            original = getattr(cls, method)

            def watched(*arguments: Any, **named: Any) -> Any:
                outcome = original(*arguments, **named)
                found[kind].append(fingerprint(of(outcome, *arguments)))
                return outcome

            patch.setattr(cls, method, watched)

        def given(_: object, __: object, train: object, *more: object) -> object:
            return fingerprint(train)

        for name in models:
            record("data and features", model_class(name), "fit", given)
        record("graphs", SparseMatrix, "__init__", lambda _, __, matrix, *___: matrix)
        record("graphs", Edges, "__init__", lambda _, __, *about: fingerprint(*about))
        record("samples", NegativeSampler, "sample", lambda drawn, *_: drawn)

        def chosen(tuned: Tuned, *_: object) -> object:
            return repr(tuned.params)

        record("choices", Tuner, "tune", chosen)

        def unwanted(*_: object) -> None:
            raise RuntimeError("as far as this test goes")

        patch.setattr(Task, "test", unwanted)
        # the estimate of memory trains on data of its own, the same for both
        patch.setattr("benchmark.suite.needs", lambda *_: {})
        call = ("--models", *models, "--dataset", "sung", "--preset", "paper")
        assert bench.run(*call) == 1
    rows = bench.rows("sung")
    assert [row["reason"].partition(": ")[2] for row in rows] == ["as far as this test goes"] * len(
        models
    )
    return dict(found)


def test_a_canary_among_the_test_labels_changes_nothing(bench: Bench) -> None:
    other = with_canary(bench)
    one, same = (recorded(each, MODELS) for each in (bench, other))
    assert set(one) == {"data and features", "graphs", "samples", "choices"}
    assert same == one


def test_a_canary_that_got_out_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    other = with_canary(bench)

    def leaky(*arguments: Any) -> Split:
        parts = split(*arguments)
        return Split(parts.train.union(parts.test), parts.validation, parts.test)

    models = ("lightgcn", "disengcn", "popularity")
    one = recorded(bench, models)
    monkeypatch.setattr("benchmark.task.split", leaky)
    same = recorded(other, models)
    for kind in ("data and features", "graphs", "samples"):
        assert not set(one[kind]) & set(same[kind])
