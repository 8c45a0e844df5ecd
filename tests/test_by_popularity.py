from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from small_record import run, small_record, table_lines

import baselines.vbpr  # noqa: F401  # its label
import models.huign  # noqa: F401  # its label
from benchmark import popularity_groups
from benchmark.experiments import table2
from benchmark.outputs import by_popularity
from benchmark.record import Record

ROWS = [run("Popularity", 0.1), run("HUIGN", 0.3), run("HUIGN", 0.3, seed=1), run("VBPR", 0.2)]


def record(folder: Path, hits: dict[str, list[int]]) -> Record:
    """Runs with these hits in three groups of items, the first without a test interaction."""
    stored = small_record(folder, ROWS, [table2(["popularity", "vbpr", "huign"])])
    for run_id, found in hits.items():
        table = pd.DataFrame({"least": [0, 1, 6], "most": [0, 5, 2400], "items": [3, 20, 7]})
        table["positives"], table["hits@5"], table["hits@10"] = [0, 10, 1200], 0, found
        popularity_groups.save(stored.store, run_id, table)
    return stored


def test_recall_of_each_group(tmp_path: Path) -> None:
    by_popularity.write(
        record(tmp_path, {"HUIGN-0": [0, 2, 600], "HUIGN-1": [0, 4, 600], "VBPR-0": [0, 0, 900]})
    )
    table = pd.read_csv(tmp_path / "popularity.csv")
    found = table.set_index(["model", "least"])["recall@10"].to_dict()
    assert found == {
        ("HUIGN", 1): pytest.approx(0.3), ("HUIGN", 6): 0.5, ("VBPR", 1): 0, ("VBPR", 6): 0.75,
    }  # fmt: skip
    text = (tmp_path / "popularity.md").read_text()
    assert table_lines(text, "model") == [["1 to 5", "6 to 2,400"]]
    assert table_lines(text, "HUIGN") == [["**0.3000 ± 0.1414**", "<u>0.5000</u>"]]
    assert table_lines(text, "items") == [["20", "7"]]
    assert table_lines(text, "test interactions") == [["10", "1,200"]]
    assert "- Not measured, since their runs are older than this table: Popularity." in text
    assert set(" ".join(table["runs"]).split()) == {"HUIGN-0", "HUIGN-1", "VBPR-0"}


def test_a_panel_per_model(tmp_path: Path) -> None:
    stored = record(tmp_path, {"HUIGN-0": [0, 2, 600], "VBPR-0": [0, 0, 900]})
    figure = by_popularity.drawn(by_popularity.recalls(stored), 10)
    shown = {axes.get_title(): axes for axes in figure.axes if axes.get_visible()}
    assert list(shown) == ["VBPR", "HUIGN"]
    bars = [bar for bar in shown["HUIGN"].patches if isinstance(bar, Rectangle)]
    heights = [bar.get_height() for bar in bars]  # the best, then its own
    assert heights == pytest.approx([0.2, 0.75, 0.2, 0.5])
    labels = [label.get_text() for label in shown["HUIGN"].get_xticklabels()]
    assert labels == ["1 to 5", "6 to 2,400"]


def test_nothing_to_tell(tmp_path: Path) -> None:
    by_popularity.write(record(tmp_path, {}))
    assert not list(tmp_path.glob("popularity.*"))
