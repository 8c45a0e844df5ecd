from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
from matplotlib import pyplot
from optuna.trial import TrialState
from PIL import Image

from benchmark.outputs import study_plots
from benchmark.outputs.study_plots import drawn, rebuilt


def rows(*states: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run_id": f"abc-{n}", "variant": "M", "model": "m", "state": state,
            "value": float("nan") if state == "failed" else 0.1 * n,
            "lr": "" if state == "failed" else str(10.0**-n), "kind": "xy"[n % 2],
        }
        for n, state in enumerate(states)
    )  # fmt: skip


def test_a_study_is_rebuilt_from_its_rows() -> None:
    study = rebuilt(rows("complete", "pruned", "complete", "failed", "diverged"))
    assert [trial.state for trial in study.trials] == [
        TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE, TrialState.FAIL,
        TrialState.FAIL,
    ]  # fmt: skip
    assert study.best_params == {"lr": 0.01, "kind": "x"}
    assert study.best_value == pytest.approx(0.2)
    assert study.trials[3].params == {"kind": "y"}


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What is written in each panel, by its title."""
    seen: dict[str, list[str]] = {}
    original = study_plots.tidy

    def tidy(figure: Any, title: str) -> None:
        original(figure, title)
        seen[title] = [text.get_text() for axes in figure.axes for text in axes.texts]

    monkeypatch.setattr(study_plots, "tidy", tidy)
    return seen


def test_three_panels(titles: dict[str, list[str]]) -> None:
    style, figures = dict(matplotlib.rcParams), pyplot.get_fignums()
    found = rows("complete", "pruned", "complete", "complete", "complete")
    content = drawn(found)
    assert list(titles) == [
        "M: 4 complete, 1 pruned", "Importance (fANOVA)", "Values by hyper-parameter"
    ]  # fmt: skip
    assert sum(float(text) for text in titles["Importance (fANOVA)"]) == pytest.approx(1, abs=0.02)
    assert Image.open(io.BytesIO(content)).height == round(study_plots.HEIGHT * study_plots.DPI)
    assert drawn(found) == content
    assert dict(matplotlib.rcParams) == style
    assert pyplot.get_fignums() == figures


def test_a_panel_says_why_it_is_empty(titles: dict[str, list[str]], tmp_path: Path) -> None:
    drawn(rows("complete", "failed"))
    assert titles["M: 1 complete, 1 failed"] == []
    assert titles["Importance (fANOVA)"] == ["needs 4 complete trials, there is 1"]
    assert titles["Values by hyper-parameter"] == ["needs 2 complete trials, there is 1"]
    drawn(rows("diverged"))
    assert titles["M: 1 diverged"] == ["needs 1 complete trial, there are 0"]
