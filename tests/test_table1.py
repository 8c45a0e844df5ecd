from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_record import run, small_dataset, small_record, table_lines

from benchmark.outputs import table1


def test_counts_by_hand(tmp_path: Path) -> None:
    table1.write(small_record(tmp_path, [run("VBPR", 0.1)]))
    [row] = pd.read_csv(tmp_path / "table1.csv").to_dict("records")
    assert row == {
        "dataset": "toy", "interactions": 8, "items": 5, "users": 4,
        "sparsity_percent": pytest.approx(60), "interactions_per_user": 2,
        "interactions_per_item": 1.6, "visual_dim": 3, "visual_missing": 2,
        "textual_dim": 1200, "textual_missing": 0,
    }  # fmt: skip


def test_what_is_read(tmp_path: Path) -> None:
    table1.write(small_record(tmp_path, [run("VBPR", 0.1)]))
    expected = ["8", "5", "4", "60.00", "2.0", "1.6", "3 (2 lack it)", "1,200"]
    text, tex = ((tmp_path / f"table1.{kind}").read_text() for kind in ("md", "tex"))
    assert table_lines(text, "toy") == table_lines(tex, "toy") == [expected]
    assert table_lines(tex, "Data set") == [
        [r"\#Interactions", r"\#Items", r"\#Users", r"Sparsity (\%)", "per user", "per item",
         "visual", "textual"]
    ]  # fmt: skip
    for words in (
        "Source: made up, 1 repeated pairs removed", small_dataset().fingerprint,
        "8 : 1 : 1 by per_user with seed 7", "Used by the models: visual, textual.",
    ):  # fmt: skip
        assert words in text


def test_data_without_features_and_with_a_split_of_its_own(tmp_path: Path) -> None:
    labels = np.array([0, 0, 0, 0, 0, 1, 2, 2, 2], dtype=np.int8)
    data = small_dataset(features={}, labels=labels)
    table1.write(small_record(tmp_path, [run("VBPR", 0.1)], dataset=data))
    text = (tmp_path / "table1.md").read_text()
    assert table_lines(text, "toy") == [["8", "5", "4", "60.00", "2.0", "1.6"]]
    assert "Split: shipped: 5 train, 1 validation, 2 test." in text
