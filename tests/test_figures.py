from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.experiments import ABLATIONS
from benchmark.outputs import figures


def rows(*values: tuple[str, str, int, float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"dataset": "toy", "preset": "quick", "status": "ok", "variant": variant}
            | {"model": model, "seed": seed}
            | {f"{name}@10": value for name in figures.NAMES}
            for variant, model, seed, value in values
        ]
    )


RUNS = rows(
    ("VBPR", "vbpr", 0, 0.1), ("VBPR", "vbpr", 1, 0.3), ("HUIGN", "huign", 0, 0.4),
    ("Popularity", "popularity", 0, 0.05),
)  # fmt: skip


def test_bars_are_the_means_of_the_rows_with_the_best_on_top() -> None:
    axes = figures.draw_metric(Figure().add_subplot(), RUNS, "recall@10")
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["Popularity", "VBPR", "HUIGN"]  # from below
    bars: list[Any] = list(axes.patches)
    assert [bar.get_width() for bar in bars] == pytest.approx([0.05, 0.2, 0.4])
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert colours == [figures.ANCHOR, figures.BASELINE, figures.OURS]
    assert [text.get_text().strip() for text in axes.texts] == ["0.0500", "0.2000", "0.4000"]
    assert axes.get_xlabel() == "Recall@10"


def test_error_bars_are_the_deviation_over_seeds() -> None:
    axes = figures.draw_metric(Figure().add_subplot(), RUNS, "recall@10")
    [lines] = axes.collections
    spans = [float(np.ptp(np.asarray(path.vertices)[:, 0])) for path in lines.get_paths()]
    assert spans == pytest.approx([0, 2 * 0.02**0.5, 0])


def kinds(figure: Figure) -> list[str]:
    """What the legend of Table 2 tells apart."""
    [legend] = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("value", [0.3, 0.0])
def test_one_model_alone(value: float, tmp_path: Path) -> None:
    figures.write_table2(rows(("VBPR", "vbpr", 0, value)), 10, tmp_path)
    assert (tmp_path / "table2.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "table2.pdf").read_bytes().startswith(b"%PDF")


def test_the_figure_names_data_axes_and_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, *_: drawn.append(figure))
    figures.write_table2(RUNS, 10, tmp_path)
    [figure] = drawn
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["Precision@10", "Recall@10", "NDCG@10"]
    assert figure.get_suptitle() == "toy, test data, preset quick"
    assert kinds(figure) == ["HUIGN", "the paper's baselines", "anchors"]
    figures.write_table2(RUNS[RUNS["model"] != "vbpr"], 10, tmp_path)
    assert kinds(drawn[1]) == ["HUIGN", "anchors"]


def test_new_items_are_drawn_among_all_and_among_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(figures, "save", lambda figure, _, name: drawn.update({name: figure}))
    own = {f"{name}_cold@10": 2 * RUNS[f"{name}@10"] for name in figures.NAMES}
    figures.write_table2(RUNS.assign(split_method="cold_items", **own), 10, tmp_path)
    everything, themselves = drawn["table2"], drawn["cold_start"]
    assert everything.get_suptitle() == "toy, new items among all, preset quick"
    assert themselves.get_suptitle() == "toy, new items among themselves, preset quick"
    assert [axes.get_xlabel() for axes in themselves.axes] == [
        "Precision@10",
        "Recall@10",
        "NDCG@10",
    ]
    assert [text.get_text().strip() for text in themselves.axes[0].texts][-1] == "0.8000"


def test_only_what_has_results_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, *_: drawn.append(figure))
    failed = {"dataset": "toy", "preset": "quick", "status": "failed", "variant": "DUIF"}
    runs = pd.concat([RUNS, pd.DataFrame([failed])]).drop(columns="ndcg@10")
    figures.write_table2(runs, 10, tmp_path)
    assert [axes.get_xlabel() for axes in drawn[0].axes] == ["Precision@10", "Recall@10"]
    assert "DUIF" not in [tick.get_text() for tick in drawn[0].axes[0].get_yticklabels()]


def test_an_outdated_figure_goes(tmp_path: Path) -> None:
    (tmp_path / "table2.png").touch()
    figures.write_table2(RUNS.assign(status="failed"), 10, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "cold_start.png").touch()
    figures.write_table2(RUNS.assign(status="failed", split_method="cold_items"), 10, tmp_path)
    assert list(tmp_path.iterdir()) == []


def ablation(spread: float) -> pd.DataFrame:
    """All lines of Figure 3 in the same place; fewer edges at higher thresholds."""
    return pd.DataFrame(
        [
            {"variant": name, "min_co_users": least, "edges": 1000.0 * (9 - least)}
            | {f"{metric}@5": 0.2 for metric in figures.NAMES}
            | {f"{metric}@5_sd": spread for metric in figures.NAMES}
            for name in ABLATIONS
            for least in (4, 5, 6, 7, 8)
        ]
    )


def test_lines_that_coincide_stand_side_by_side() -> None:
    axes = Figure().add_subplot()
    figures.draw_figure3(axes, ablation(0), "recall@5")
    places = np.array([line.get_xdata() for line in axes.lines], dtype=float)  # [4, 5]
    assert len(np.unique(places.round(6))) == 20
    assert np.abs(places - [4, 5, 6, 7, 8]).max() < 0.4  # over their own bar
    looks = {(to_hex(line.get_color()), line.get_marker(), line.get_linestyle())
             for line in axes.lines}  # fmt: skip
    assert [len(set(each)) for each in zip(*looks, strict=True)] == [4, 4, 4]


@pytest.mark.parametrize(("spread", "bars"), [(0.0, 0), (0.01, 4)])
def test_figure3_has_error_bars_for_several_seeds_only(spread: float, bars: int) -> None:
    axes = Figure().add_subplot()
    figures.draw_figure3(axes, ablation(spread), "recall@5")
    assert len(axes.collections) == bars
    low, high = axes.get_ylim()
    assert low <= 0.2 - spread
    assert high >= 0.2 + spread
    assert high - low >= 0.05 * 0.2  # noise is not blown up


def test_figure3_names_its_axes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, *_: drawn.append(figure))
    figures.write_figure3(ablation(0), 5, tmp_path)
    [figure] = drawn
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels[:3] == ["Precision@5", "Recall@5", "NDCG@5"]
    assert [label for label in labels[3:] if label] == ["edges of the item graph (bars)"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(ABLATIONS)


def test_a_figure_is_written_the_same_twice(tmp_path: Path) -> None:
    figures.write_figure3(ablation(0.01), 5, tmp_path / "one")
    figures.write_figure3(ablation(0.01), 5, tmp_path / "two")
    for name in ("figure3.png", "figure3.pdf"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
