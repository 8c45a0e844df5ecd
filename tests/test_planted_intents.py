from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from small_record import small_dataset, table_lines

from benchmark.datasets import Dataset
from benchmark.datasets.synthetic import TRUTH, World, synthetic
from benchmark.outputs.planted import write
from benchmark.planted_intents import COLUMNS, clusters, compared, planted, purity
from benchmark.record import Record
from benchmark.splits import SHIPPED
from benchmark.store import Store

DATA = synthetic("tiny", world=World(noise=0.2, missing=0))
IDENTITY = {
    "dataset": DATA.name, "data_fingerprint": DATA.fingerprint, "split_method": "interactions",
    "split_seed": "0", "modalities": "visual+textual", "feature_scaling": "l2_row",
    "preset": "quick", "evaluation_protocol": "corrected", "vary": "both", "ks": "10",
}  # fmt: skip
SIZES = (8, 4, 2)
METRICS = {f"{name}@10": 0.5 for name in ("precision", "recall", "ndcg", "ndcg_hits")}


def gammas(clearness: float) -> list[NDArray[np.float64]]:
    """Items assigned to their planted intents and these to theirs; 0: everything is alike."""
    logits = [np.eye(8)[planted(DATA)[0]]]
    logits += [np.eye(len(ids) // 2)[ids // 2] for ids in (np.arange(8), np.arange(4))]
    weights = [np.exp(clearness * each) for each in logits]
    return [each / each.sum(1, keepdims=True) for each in weights]


def record(
    folder: Path,
    clearness: Sequence[float],
    dataset: Dataset = DATA,
    levels: int = 3,
    split_seed: str = "0",
) -> Record:
    """A run of HUIGN per clearness; of these intents the first two thirds of the items."""
    store, items = Store(folder), np.arange(DATA.num_items * 2 // 3)
    identity = {**IDENTITY, "split_seed": split_seed}
    (folder / "intents").mkdir()
    for seed, each in enumerate(clearness):
        row = {"run_id": f"run-{seed}", "status": "ok", "reason": "", "variant": "HUIGN"}
        row |= {"model": "huign", "tuned_as": "", "study": "huign"}
        params = json.dumps({"min_co_users": 5})
        store.append("runs", {**identity, **row, "seed": seed, "params": params, **METRICS})
        first, *others = gammas(each)[:levels]
        kept: dict[str, Any] = {
            f"{modality}/{level}": gamma
            for modality in ("visual", "textual")
            for level, gamma in enumerate([first[items], *others], start=1)
        }
        np.savez(folder / "intents" / f"run-{seed}.npz", items=items, **kept)
        (folder / "intents" / f"run-{seed}.csv").touch()
    return Record(store, dataset, [], (10,), identity)


def written(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "planted.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Run 0 has found everything and run 1 nothing."""
    result = record(tmp_path_factory.mktemp("two"), [8, 0])
    write(result)
    return result


def test_scores_of_groups_known_by_hand() -> None:
    true = np.array([0, 0, 0, 1, 1, 1])
    found = np.array([5, 5, 7, 7, 7, 7])
    assert purity(found, true) == pytest.approx(5 / 6)
    scores = compared(found, true)
    assert (scores["planted"], scores["groups"]) == (2, 2)
    # pairs: 4 of 6 in one intent stay together, 7 in one group; Rand index corrected for chance
    expected = 6 * 7 / 15
    assert scores["ari"] == pytest.approx((4 - expected) / ((6 + 7) / 2 - expected))
    entropy_true, entropy_found = np.log(2), -(1 / 3) * np.log(1 / 3) - (2 / 3) * np.log(2 / 3)
    mutual = (1 / 3) * np.log(2) + (1 / 6) * np.log(1 / 2) + (1 / 2) * np.log(3 / 2)
    assert scores["nmi"] == pytest.approx(2 * mutual / (entropy_true + entropy_found))


def test_names_of_groups_do_not_matter_and_one_group_says_nothing() -> None:
    true = np.repeat(np.arange(4), 25)
    scores = compared(3 - true, true)
    assert scores["nmi"] == scores["ari"] == scores["purity"] == pytest.approx(1)
    assert scores["chance_nmi"] < 0.2
    assert 0.25 < scores["chance_purity"] < 0.5
    scores = compared(np.zeros(100, dtype=np.int64), true)
    assert (scores["nmi"], scores["ari"], scores["groups"]) == (0, 0, 1)
    assert scores["purity"] == scores["chance_purity"] == 0.25


def test_many_small_groups_are_pure_by_chance() -> None:
    true = np.arange(100) % 4
    scores = compared(np.random.default_rng(0).integers(50, size=100), true)
    assert scores["purity"] > 0.6
    assert scores["chance_purity"] == pytest.approx(scores["purity"], abs=0.1)
    assert scores["chance_nmi"] == pytest.approx(scores["nmi"], abs=0.05)
    assert abs(scores["ari"]) < 0.05


def test_clusters_are_those_of_directions() -> None:
    random = np.random.default_rng(0)
    true = np.arange(60) % 3
    rows = np.eye(3)[true] * random.lognormal(0, 2, (60, 1)) * 1e-9
    assert compared(clusters(rows, 3), true)["ari"] == 1


def test_rows_that_are_all_alike_are_one_cluster() -> None:
    assert set(clusters(np.ones((10, 4)), 3)) == {0}
    assert set(clusters(np.zeros((10, 4)), 3)) == {0}


def test_only_made_up_data_know_the_truth(tmp_path: Path) -> None:
    assert planted(small_dataset()) == []
    table = pd.DataFrame({"title": ["a"] * 5})
    assert planted(small_dataset(item_table=table)) == []
    write(record(tmp_path, [8], small_dataset()))
    assert not (tmp_path / "planted.csv").exists()
    assert [len(np.unique(each)) for each in planted(DATA)] == list(SIZES)


@pytest.mark.parametrize("odd", ["comedy", 1.5, None, np.inf, 1e300])
def test_columns_of_other_things_are_no_truth(odd: object) -> None:
    table = pd.DataFrame({name: [0, 1, 0, 1, 1] for name in TRUTH})
    assert len(planted(small_dataset(item_table=table))) == 3
    assert len(planted(small_dataset(item_table=table.astype(str)))) == 3  # as a table of text
    table[TRUTH[1]] = pd.Series([0, 1, odd, 1, 1])
    assert planted(small_dataset(item_table=table)) == []


def test_data_that_ship_their_split(tmp_path: Path) -> None:
    parts = np.arange(len(DATA)) % 10
    labels = np.where(parts < 2, parts + 1, 0).astype(np.int8)
    data = replace(DATA, labels=labels)
    write(record(tmp_path, [8], data, split_seed=SHIPPED))
    assert len(written(tmp_path))


def test_nothing_without_a_run_whose_intents_were_kept(tmp_path: Path) -> None:
    write(Record(Store(tmp_path), DATA, [], (10,), IDENTITY))
    result = record(tmp_path, [8])
    (tmp_path / "intents" / "run-0.npz").unlink()
    write(result)
    assert not (tmp_path / "planted.csv").exists()


def test_assignments_that_are_the_truth(two: Record) -> None:
    table = written(two.folder)
    assert list(table) == COLUMNS
    mine = table[table["run_id"] == "run-0"]
    assert len(mine) == 2 * 3 * 2  # modalities, levels, ways to group
    assert mine["planted"].tolist() == mine["groups"].tolist()
    assert set(zip(mine["level"], mine["planted"], strict=True)) == set(enumerate(SIZES, start=1))
    assert (mine[["nmi", "ari", "purity"]] == 1).all(axis=None)
    assert (mine["chance_nmi"] < 0.4).all()


def test_assignments_that_are_all_alike(two: Record) -> None:
    table = written(two.folder)
    mine = table[table["run_id"] == "run-1"]
    assert (mine["groups"] == 1).all()
    assert (mine[["nmi", "ari"]] == 0).all(axis=None)
    np.testing.assert_allclose(mine["purity"], mine["chance_purity"])


def test_small_differences_are_found_by_k_means_of_h(tmp_path: Path) -> None:
    """One intent is the strongest of all items, yet items differ a little."""
    result = record(tmp_path, [1e-3])
    path = tmp_path / "intents" / "run-0.npz"
    arrays = dict(np.load(path))
    arrays["visual/1"] = arrays["visual/1"] + 0.5 * np.eye(8)[0]
    np.savez(path, **arrays)
    write(result)
    table = written(tmp_path)
    mine = table[(table["modality"] == "visual") & (table["level"] == 1)].set_index("items_by")
    assert mine.loc["strongest intent", "groups"] == 1
    assert mine.loc["k-means of H", "nmi"] == 1


def test_features_tell_what_was_there_to_be_found(two: Record) -> None:
    table = written(two.folder)
    given = table[table["run_id"] == ""]
    assert len(given) == 2 * 3 * 2  # once, however many runs
    fine = given[given["level"] == 1].groupby("items_by")["nmi"].mean()
    assert fine["k-means of features"] > 0.85
    # neighbours have other intents, too
    blurred = fine["k-means of features of neighbours"]
    assert given["chance_nmi"].max() < blurred < fine["k-means of features"]


def test_a_level_is_compared_with_the_planted_one_of_its_size(tmp_path: Path) -> None:
    result = record(tmp_path, [8], levels=1)
    path = tmp_path / "intents" / "run-0.npz"
    arrays = dict(np.load(path))
    pairs = np.repeat(np.eye(4), 2, axis=0)  # of fine intents to middle ones
    for modality in ("visual", "textual"):
        arrays[f"{modality}/1"] = arrays[f"{modality}/1"] @ pairs
    np.savez(path, **arrays)
    write(result)
    table = written(tmp_path)
    mine = table[table["run_id"] == "run-0"]
    assert set(mine["level"]) == {1}
    assert set(mine["planted"]) == {4}
    assert (mine["nmi"] == 1).all()


def test_the_page_shows_means_over_seeds(two: Record) -> None:
    text = (two.folder / "planted.md").read_text()
    assert "synthetic-tiny" in text
    assert "2 seeds" in text
    assert f"{DATA.num_items * 2 // 3} of {DATA.num_items}" in text
    visual = table_lines(text, "visual")
    assert len(visual) == 3 * 4
    # one seed finds all and one finds nothing
    assert visual[0][:6] == [
        "1",
        "8",
        "strongest intent",
        "4.5",
        "0.5000 ± 0.7071",
        "0.5000 ± 0.7071",
    ]
    assert visual[0][2:3] + visual[1][2:3] == ["strongest intent", "k-means of H"]


def test_the_same_rows_give_the_same_bytes(two: Record) -> None:
    files = [two.folder / f"planted{suffix}" for suffix in (".csv", ".md")]
    before = [path.read_bytes() for path in files]
    write(two)
    assert [path.read_bytes() for path in files] == before


def test_truth_is_no_feature() -> None:
    assert not set(TRUTH) & set(DATA.features)
