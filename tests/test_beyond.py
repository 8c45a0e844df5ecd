from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_record import run, small_record, table_lines

import baselines.vbpr  # noqa: F401  # its label
import models.huign  # noqa: F401  # its label
from benchmark.experiments import table2
from benchmark.outputs import beyond, cold_start
from benchmark.record import Record

ASKED = [table2(["popularity", "vbpr", "huign"])]


def exposed(variant: str, value: float, coverage: float, seed: int = 0, **others: Any) -> Any:
    """A run that knows what it listed."""
    measured = {"coverage@10": coverage, "novelty@10": 3.25, "gini@10": 0.5}
    return {**run(variant, value, seed, **others), **measured}


def record(folder: Path, *rows: Any) -> Record:
    return small_record(folder, rows, ASKED)


def test_accuracy_beside_exposure(tmp_path: Path) -> None:
    beyond.write(
        record(
            tmp_path,
            exposed("Popularity", 0.1, 0.05),
            exposed("VBPR", 0.2, 0.5),
            exposed("HUIGN", 0.25, 0.1),
            exposed("HUIGN", 0.35, 0.3, seed=1),
        )
    )
    table = pd.read_csv(tmp_path / "beyond.csv", index_col="model")
    assert list(table.index) == ["VBPR", "HUIGN", "Popularity"]  # anchors last
    assert table.loc["HUIGN", "recall@10"] == pytest.approx(0.3)
    assert table.loc["HUIGN", "coverage@10"] == pytest.approx(0.2)
    assert table.loc["HUIGN", "coverage@10_sd"] == pytest.approx(0.2 / 2**0.5)
    assert table.loc["HUIGN", "runs"] == "HUIGN-0 HUIGN-1"
    text = (tmp_path / "beyond.md").read_text()
    ours = ["**0.3000 ± 0.0707**"] * 2 + ["0.2000 ± 0.1414", "3.2500", "0.5000"]
    assert table_lines(text, "HUIGN") == [ours]
    # a wider coverage is no better list
    assert table_lines(text, "VBPR")[0][2] == "0.5000"
    tex = (tmp_path / "beyond.tex").read_text()
    assert table_lines(tex, "model")[0][2:] == ["Coverage@10", "Novelty@10", "Gini@10"]
    assert "older" not in text


def test_rows_from_before_say_so(tmp_path: Path) -> None:
    beyond.write(record(tmp_path, run("VBPR", 0.2), exposed("HUIGN", 0.3, 0.25)))
    text = (tmp_path / "beyond.md").read_text()
    assert table_lines(text, "VBPR") == [["<u>0.2000</u>"] * 2 + ["—"] * 3]
    assert "—: the run is older than these measures" in text


def test_no_table_where_nothing_was_measured(tmp_path: Path) -> None:
    beyond.write(record(tmp_path, exposed("VBPR", 0.2, 0.5)))
    assert (tmp_path / "beyond.tex").exists()
    beyond.write(record(tmp_path, run("VBPR", 0.2)))
    assert not list(tmp_path.glob("beyond.*"))


def test_cold_start_only_where_items_were_held_out(tmp_path: Path) -> None:
    cold_start.write(record(tmp_path, run("VBPR", 0.2)))
    assert not list(tmp_path.glob("cold_start.*"))


def test_cold_start_among_all_and_among_themselves(tmp_path: Path) -> None:
    def row(variant: str, value: float, cold: float) -> Any:
        among = {"recall_cold@10": cold, "ndcg_cold@10": cold / 2}
        return {**run(variant, value, split_method="cold_items", cold_items=40), **among}

    stored = record(tmp_path, row("VBPR", 0.01, 0.5), row("HUIGN", 0.02, 0.4))
    cold_start.write(replace(stored, identity={**stored.identity, "split_method": "cold_items"}))
    text = (tmp_path / "cold_start.md").read_text()
    assert table_lines(text, "VBPR") == [
        ["<u>0.0100</u>", "<u>0.0100</u>", "**0.5000**", "**0.2500**"]
    ]
    assert "among the 40 test items alone, where a random order has a recall of 0.2500" in text
