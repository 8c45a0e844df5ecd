from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.outputs.study_tables import by_study, edges, is_edge, notes_on, summary
from benchmark.store import Store

GRID = {"lr": [0.001, 0.01, 0.1], "reg": [0.5, 5]}


def rows(tmp_path: Path, *trials: dict[str, Any]) -> pd.DataFrame:
    """Rows of one study, as they are read back from ``trials.csv``."""
    store = Store(tmp_path)
    store.append("trials", {"run_id": "other-0", "variant": "O", "model": "o", "k": 5, "value": 1})
    for number, trial in enumerate(trials):
        facts = {"variant": "M", "model": "m", "epochs": 3, "seconds": 2, "reason": None}
        store.append("trials", {"run_id": f"abc-{number}", **facts, **trial})
    other, mine = by_study(store.rows("trials"))
    assert list(other["run_id"]) == ["other-0"]
    assert "k" not in mine
    return mine


def trial(state: str, lr: float, reg: float, value: float | None, **more: Any) -> dict[str, Any]:
    return {"state": state, "lr": lr, "reg": reg, "value": value, **more}


NEW = {"sampler": "grid", "planned": 6, "space": json.dumps(GRID)}
MIXED = (
    trial("complete", 0.001, 0.5, 0.2, **NEW),
    trial("pruned", 0.01, 0.5, 0.9, **NEW),
    trial("complete", 0.1, 5, 0.3, **NEW),
    trial("diverged", 0.1, 0.5, None, **NEW | {"reason": "loss is\nnan"}),
    trial("failed", 0.01, 5, None, **NEW | {"reason": "KeyError: 1"}),
)


def test_every_trial_is_counted(tmp_path: Path) -> None:
    found = summary(rows(tmp_path, *MIXED))
    assert found == {
        "model": "M", "study": "abc", "sampler": "grid", "planned": 6, "complete": 2, "pruned": 1,
        "diverged": 1, "failed": 1, "value": 0.3, "best": '{"lr": 0.1, "reg": 5}', "seconds": 10.0,
        "candidates": json.dumps(GRID), "edge": "lr reg",
    }  # fmt: skip


def test_the_reader_is_warned(tmp_path: Path) -> None:
    notes = notes_on(rows(tmp_path, *MIXED))
    assert notes == [
        "**Warning**, M: the best lr, 0.1, is at the edge of what was tried (0.001 to 0.1); widen "
        "the grid.",
        "Where a hyper-parameter has two candidates, both are edges, and the best one may lie "
        "beyond them.",
        "M: 1 diverged, loss is nan",
        "M: 1 failed, KeyError: 1",
        "M: 2 of 6 trials have no result.",
    ]


def test_rows_of_older_versions(tmp_path: Path) -> None:
    trials = [trial("complete", lr, 0.5, 0.1 + (lr == 0.01)) for lr in (0.001, 0.01, 0.1)]
    found = rows(tmp_path, *trials)
    assert summary(found)["planned"] == 3
    assert summary(found)["sampler"] == "grid"
    assert edges(found) == []
    assert notes_on(found) == []


def test_no_trial_came_to_an_end(tmp_path: Path) -> None:
    found = rows(tmp_path, trial("diverged", 0.1, 5, None, **NEW | {"reason": "nan"}))
    assert summary(found)["best"] == "{}"
    assert summary(found)["edge"] == ""


def test_proposals_close_to_an_edge(tmp_path: Path) -> None:
    space = {"sampler": "tpe", "planned": 1, "space": json.dumps({"lr": [0.001, 1.0]})}
    best = {"state": "complete", "lr": 0.0012, "value": 0.5}
    assert edges(rows(tmp_path, {**best, **space})) == ["lr"]
    assert "widen the grid" in notes_on(rows(tmp_path, {**best, **space}))[0]


@pytest.mark.parametrize(
    ("value", "values", "near", "expected"),
    [
        (1, [1, 2, 3], 0, True),
        (2, [1, 2, 3], 0, False),
        (3, [1, 2, 3], 0, True),
        (0, [0, 2, 3], 0.05, True),
        (2, [2], 0, False),
        (2, [2, 2], 0.05, False),
        ("x", ["x", "y", "z"], 0, False),
        (1.41, [1, 1000], 0.05, True),
        (1.42, [1, 1000], 0.05, False),
        (709, [1, 1000], 0.05, True),
        (707, [1, 1000], 0.05, False),
    ],
)
def test_edges(value: Any, values: list[Any], near: float, expected: bool) -> None:
    assert is_edge(value, values, near) == expected
