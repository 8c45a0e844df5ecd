from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import baselines.vbpr  # noqa: F401  # its label
import models.huign  # noqa: F401  # its label
from benchmark.datasets import Dataset
from benchmark.experiments import table2
from benchmark.outputs import curves, figures
from benchmark.record import Record
from benchmark.store import Store

LOSS = [4.0, 2.0, 1.0]
SCORES = [0.1, 0.3, 0.2]


def epochs(**columns: Any) -> list[dict[str, float]]:
    """A history of three epochs."""
    table = pd.DataFrame({"epoch": [1, 2, 3], "loss": LOSS, **columns, "validation": SCORES})
    return table.to_dict("records")  # type: ignore[return-value]


def record(folder: Path, histories: dict[str, list[dict[str, float]] | None]) -> Record:
    """A record of one run per key, such as ``huign-0`` of seed 0."""
    store, ids = Store(folder), np.arange(3)
    for run_id, history in histories.items():
        model, _, seed = run_id.rpartition("-")
        row = {"run_id": run_id, "status": "ok", "variant": model.upper(), "model": model}
        store.append("runs", {**row, "seed": seed, "tuned_as": ""})
        if history is not None:
            store.save_history(run_id, history)
    data = Dataset("toy", "made up", ids, ids, 3, 3, {})
    return Record(store, data, [table2(["huign", "vbpr"])], (10,), {})


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    monkeypatch.setattr(figures, "save", lambda figure, _, name: found.setdefault(name, figure))
    return found


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def points(axes: Axes) -> list[tuple[list[float], list[float]]]:
    return [
        (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for line in axes.lines
    ]


def test_a_panel_has_scores_losses_and_the_best_epoch(
    tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    curves.write(record(tmp_path, {"vbpr-0": epochs(), "ease-0": None, "huign-0": epochs()}))
    assert list(drawn) == ["curves"]
    found = panels(drawn["curves"])
    assert list(found) == ["VBPR", "HUIGN"]
    assert points(found["VBPR"]) == [([1, 2, 3], SCORES), ([2], [0.3])]
    losses = [
        axes for axes in drawn["curves"].axes if points(axes) == [([1, 2, 3], [1, 0.5, 0.25])]
    ]
    assert len(losses) == 2
    assert found["HUIGN"].lines[0].get_color() == figures.OURS


def test_a_single_model_has_the_whole_width(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    curves.write(record(tmp_path, {"vbpr-0": epochs()}))
    assert len(drawn["curves"].axes) == 2  # of the scores and of the losses


def test_every_seed_has_its_lines(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    curves.write(record(tmp_path, {"vbpr-0": epochs(), "vbpr-1": epochs()}))
    assert len(panels(drawn["curves"])["VBPR"].lines) == 4


def test_stages_are_counted_on_and_the_last_one_has_the_best(
    tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    first = [{"stage": 1.0, **row, "validation": 0.9} for row in epochs()]
    second = [{"stage": 2.0, **row, "loss": 100 * row["loss"]} for row in epochs()]
    curves.write(record(tmp_path, {"cb2cf-0": first + second}))
    axes = panels(drawn["curves"])["CB2CF"]
    assert points(axes)[0] == ([1, 2, 3], [0.9] * 3)
    assert points(axes)[1] == ([4, 5, 6], SCORES)
    assert points(axes)[2][0] == [3.5, 3.5]  # where the stages meet
    assert points(axes)[3] == ([5], [0.3])
    behind = [points(other) for other in drawn["curves"].axes if other is not axes]
    assert [([1, 2, 3], [1, 0.5, 0.25]), ([4, 5, 6], [1, 0.5, 0.25])] in behind


def test_signs_of_collapse_are_drawn_by_modality_and_level(
    tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    columns = {
        f"{modality}/{level}/{sign}": [level / 10, level / 20, 0]
        for modality in ("text", "image")
        for level in (1, 2)
        for sign in curves.SIGNS
    }
    curves.write(record(tmp_path, {"huign-0": epochs(edges=7.0, **columns)}))
    figure = drawn["collapse"]
    assert list(panels(figure)) == list(curves.SIGNS.values())
    for axes in figure.axes:
        assert [line.get_ydata()[0] for line in axes.lines] == [0.1, 0.2, 0.1, 0.2]  # type: ignore[index]
    assert figure.axes[0].get_yscale() == "log"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["text", "image", "level 1", "level 2"]


def test_a_collapse_to_nothing_can_be_drawn(tmp_path: Path) -> None:
    columns = {f"text/1/{sign}": 0.0 for sign in curves.SIGNS}
    curves.write(record(tmp_path, {"huign-0": epochs(**columns)}))
    written = {path.name for path in tmp_path.iterdir() if path.suffix in (".png", ".pdf")}
    assert written == {"curves.png", "curves.pdf", "collapse.png", "collapse.pdf"}


@pytest.mark.parametrize("asked", [True, False])
def test_nothing_without_histories_or_table2(
    asked: bool, tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    filled = record(tmp_path, {"vbpr-0": None if asked else epochs()})
    experiments = filled.experiments if asked else []
    curves.write(Record(filled.store, filled.dataset, experiments, (10,), {}))
    assert not drawn
