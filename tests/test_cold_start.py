"""Items held out whole: who finds them, and the command from the split to the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from planted import Bench, contents, small_bench
from small_record import table_lines

from baselines.bpr_mf import BPRMF
from baselines.duif import DUIF
from baselines.popularity import Popularity
from benchmark.datasets import Dataset
from benchmark.evaluation import Evaluator
from benchmark.splits import split
from models.recommender import Recommender

USERS, ITEMS, KINDS = 80, 200, 4
COLD = ITEMS // 10
CALL = ("--models", "popularity", "duif", "--dataset", "wide", "--ks", "5", "10")
HELD_OUT = (*CALL, "--split-method", "cold_items")


def likes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users like items of one kind out of four, and features tell the kind, up to noise."""
    generator = np.random.default_rng(0)
    same = np.arange(USERS)[:, None] % KINDS == np.arange(ITEMS) % KINDS
    users, items = np.nonzero(same & (generator.random(same.shape) < 0.5))
    kind = np.eye(KINDS)[np.arange(ITEMS) % KINDS]
    return users, items, (kind + 0.1 * generator.normal(size=kind.shape)).astype(np.float32)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A data set that ships a split, so that the test sees it replaced."""
    bench = small_bench(tmp_path, monkeypatch)
    users, items, features = likes()
    folder = bench.data / "wide"
    folder.mkdir()
    labels = np.arange(len(users)) % 3
    table = pd.DataFrame({"userID": users, "itemID": items, "x_label": labels})
    table.to_csv(folder / "wide.inter", sep="\t", index=False)
    np.save(folder / "visual_feat.npy", features)
    return bench


def test_content_finds_cold_items_and_ids_do_not() -> None:
    users, items, features = likes()
    data = Dataset.from_pairs(
        name="wide", source="here", users=users, items=items, num_users=USERS, num_items=ITEMS,
        features={"visual": features},
    )  # fmt: skip
    parts = split(data, {"visual": torch.from_numpy(features)}, 0, "cold_items")
    cold = torch.unique(parts.test.items)
    assert len(cold) == COLD
    assert not torch.isin(cold, parts.train.items).any()
    seen = parts.train.union(parts.validation)
    among_cold = Evaluator(parts.test, seen, ks=(5,), candidates=cold)
    among_all = Evaluator(parts.test, seen, ks=(5,))
    models: list[Recommender] = [
        DUIF(epochs=20, batch_size=256, learning_rate=0.02),
        BPRMF(epochs=20, batch_size=256, learning_rate=0.02),
        Popularity(),
    ]
    duif, bpr_mf, popularity = (
        (among_cold(model.fit(parts.train)), among_all(model)) for model in models
    )
    chance = 5 / COLD
    assert duif[0].means["recall@5"] > 0.85
    for found, everything in (bpr_mf, popularity):
        assert abs(found.means["recall@5"] - chance) < 0.1
        assert everything.means["recall@5"] < 0.02
    # ids put cold items last; among all items content does what it can
    assert duif[1].means["recall@5"] > 0.05
    assert set(duif[0].items.flatten().tolist()) <= set(cold.tolist())


def test_from_the_split_to_the_tables(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.run(*HELD_OUT) == 0
    folder = bench.results / "wide-cold_items"
    assert [path.name for path in bench.results.glob("wide*")] == [folder.name]
    rows = {row["variant"]: row for row in bench.rows(folder.name)}
    assert {row["split_seed"] for row in rows.values()} == {"0"}  # not the shipped one
    assert {row["cold_items"] for row in rows.values()} == {str(COLD)}
    table = pd.read_csv(folder / "cold_start.csv", index_col="model")
    for name, row in rows.items():
        for metric in ("recall@10", "ndcg@10", "recall_cold@10", "ndcg_cold@10"):
            assert table.loc[name, metric] == pytest.approx(float(row[metric]))
        assert float(row["recall_cold@10"]) >= float(row["recall@10"])
    text = (folder / "cold_start.md").read_text()
    assert "ranked among the 20 test items alone, where a random order has a recall of 0.5" in text
    [cells] = table_lines(text, "Popularity")
    assert f"{float(rows['Popularity']['recall_cold@10']):.4f}" in cells[2]
    page = (folder / "report.html").read_text()
    assert '<h2 id="cold_start">Cold start</h2>' in page
    assert "Beside the paper" not in page
    assert not (folder / "popularity.csv").exists()  # all test items are alike
    assert not (folder / "comparison.md").exists()

    def trained(*_: object) -> None:
        raise AssertionError("trained again")

    before = contents(folder)
    for name in ("cold_start.csv", "cold_start.md", "cold_start.tex", "beyond.md"):
        (folder / name).unlink()
    monkeypatch.setattr("benchmark.tuning.Tuner.fit", trained)
    assert bench.run(*HELD_OUT) == 0
    after = contents(folder)
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed <= {"manifest.json", "studies.db"}


def test_the_usual_split_has_a_folder_of_its_own(bench: Bench) -> None:
    assert bench.run(*HELD_OUT) == 0
    before = contents(bench.results / "wide-cold_items")
    assert bench.run(*CALL) == 0
    assert contents(bench.results / "wide-cold_items") == before
    assert {row["split_seed"] for row in bench.rows("wide")} == {"shipped"}
    assert "recall_cold@10" not in bench.rows("wide")[0]
    usual = bench.results / "wide"
    assert not (usual / "cold_start.csv").exists()
    assert (usual / "popularity.csv").exists()
    assert 'id="cold_start"' not in (usual / "report.html").read_text()


def test_fewer_cold_items_than_places(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(*HELD_OUT[:-4], "10", "21", *HELD_OUT[-2:]) == 2
    told = capsys.readouterr().err
    assert "--ks at cut-off 21 needs as many items, 'wide' has 20 held-out ones" in told
    assert not bench.results.exists()
