"""The figures' common style; the bars of Table 2, and Figure 3, from stored rows alone."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from benchmark.experiments import PAPER_MODELS, PROPOSED
from benchmark.outputs.layout import PICTURE, remove
from benchmark.outputs.tables import by_cell
from benchmark.presets import COLD_ITEMS
from benchmark.record import Record
from benchmark.writing import StoreError, write_atomic

COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
"""Told apart by colour-blind readers as well (Okabe and Ito; brown instead of their yellow)."""

OURS, BASELINE, ANCHOR = COLOURS[0], COLOURS[1], "#999999"
KINDS = {OURS: "HUIGN", BASELINE: "the paper's baselines", ANCHOR: "anchors"}
MARKERS = ("o", "s", "^", "D")
DASHES: Any = ("-", "--", "-.", ":")

WIDTH = 7.2
"""Inches: both columns of a paper's page, where the letters below have their size."""

STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "figure.titlesize": 8.5,
    "pdf.fonttype": 42,  # letters that a reader can search and a printer accepts
}

ERROR_BARS: dict[str, Any] = {"elinewidth": 0.8, "capsize": 1.5}

NAMES = {"precision": "Precision", "recall": "Recall", "ndcg": "NDCG"}
"""The metrics that are drawn, and how axes call them."""


def write(record: Record) -> None:
    """Draw every figure that was asked for and has a run."""
    with matplotlib.rc_context(STYLE):
        if record.experiment("table2") is not None:
            write_table2(record.overall, record.k, record.folder)
        figure3 = record.experiment("figure3")
        if figure3 is None:
            return
        cells = by_cell(figure3, record.runs, record.k)
        if len(cells):
            edges = [edges_of(record, runs.split()) for runs in cells["runs"]]
            known = pd.Series(edges, cells.index, dtype=float)
            cells = cells.assign(edges=known).dropna(subset="edges")
        if cells.empty:
            remove(record.folder, "figure3", PICTURE)
        else:
            write_figure3(cells, record.k, record.folder)


def edges_of(record: Record, runs: Sequence[str]) -> float | None:
    """The number of edges of the item graph in one of these runs, if its history is at hand."""
    for run_id in runs:
        with contextlib.suppress(StoreError):
            return float(record.store.history(run_id)["edges"].iloc[0])
    return None


def title(metric: str) -> str:
    """What an axis calls a metric, such as ``ndcg@10``: NDCG@10."""
    name, _, k = metric.partition("@")
    return f"{NAMES.get(name.removesuffix('_cold'), name)}@{k}"


def colour(model: str) -> str:
    """The colour of a registered model in every figure."""
    return OURS if model == PROPOSED else BASELINE if model in PAPER_MODELS else ANCHOR


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PNG and PDF."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what was laid out stays, and takes no time again
    for suffix, options in ((".png", {"dpi": 200}), (".pdf", {"metadata": {"CreationDate": None}})):
        content = io.BytesIO()
        figure.savefig(content, format=suffix[1:], bbox_inches="tight", **options)
        write_atomic(folder / f"{name}{suffix}", content.getvalue())


def draw_metric(axes: Axes, runs: pd.DataFrame, metric: str) -> Axes:
    """One horizontal bar per model, best on top, with the standard deviation over seeds."""
    values = runs.groupby(["model", "variant"])[metric].agg(["mean", "std"]).sort_values("mean")
    mean, spread = values["mean"], values["std"].fillna(0)
    colours = [colour(model) for model in values.index.get_level_values("model")]
    labels = values.index.get_level_values("variant")
    whiskers = spread if spread.any() else None
    axes.barh(labels, mean, xerr=whiskers, color=colours, height=0.7, error_kw={**ERROR_BARS})
    for place, value in enumerate(mean + spread):
        axes.text(value, place, f" {mean.iloc[place]:.4f}", va="center", fontsize=6.5)
    axes.set_xlim(0, 1.28 * (mean + spread).max() or 1)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_xlabel(title(metric))
    axes.tick_params("y", length=0)
    axes.margins(y=0.02)
    return axes


def write_table2(runs: pd.DataFrame, k: int, folder: Path) -> None:
    """Draw Table 2 at cut-off ``k`` as ``table2.png`` and ``.pdf``.

    Where items were held out, it is about these, ranked among all items; ``cold_start.png`` and
    ``.pdf`` then show them ranked among themselves.
    """
    done = runs[runs["status"] == "ok"] if len(runs) else runs
    cold = COLD_ITEMS in set(runs.get("split_method", ()))
    tested = "new items among all" if cold else "test data"
    write_bars(done, [f"{name}@{k}" for name in NAMES], tested, folder, "table2")
    if cold:
        own = [f"{name}_cold@{k}" for name in NAMES]
        write_bars(done, own, "new items among themselves", folder, "cold_start")


def write_bars(
    done: pd.DataFrame, metrics: Sequence[str], tested: str, folder: Path, name: str
) -> None:
    """Draw a panel of bars for every metric that there is, or take away what was drawn before.

    Args:
        done: Rows of models that came to a result.
        metrics: Columns of these.
        tested: What was ranked.
        folder: Where to.
        name: Of the files.
    """
    panels = [metric for metric in metrics if metric in done]
    if done.empty or not panels:
        remove(folder, name, PICTURE)
        return
    height = 1.2 + 0.16 * done["variant"].nunique()
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    for place, metric in enumerate(panels, start=1):
        draw_metric(figure.add_subplot(1, len(panels), place), done, metric)
    first = done.iloc[0]
    figure.suptitle(f"{first['dataset']}, {tested}, preset {first['preset']}")
    drawn = set(map(colour, done["model"]))
    handles = [Patch(color=each, label=kind) for each, kind in KINDS.items() if each in drawn]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    save(figure, folder, name)


def draw_figure3(axes: Axes, cells: pd.DataFrame, metric: str) -> Axes:
    """A metric against the item graph's threshold, a line per variant, over the edges' numbers.

    The lines are shifted sideways a little, so that equal values stand side by side.

    Args:
        axes: To draw on.
        cells: Rows of Figure 3: ``variant``, ``min_co_users``, the metric, its ``_sd``, ``edges``.
        metric: Such as ``recall@10``.
    """
    edges = cells.groupby("min_co_users")["edges"].first()
    behind = axes.twinx()
    behind.bar(edges.index, edges, width=0.8, color="#e6e6e6")
    behind.set_ylim(0, 1.15 * edges.max() or 1)
    behind.tick_params(colors="#808080")
    behind.yaxis.set_major_locator(MaxNLocator(4))
    behind.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)
    groups = list(cells.groupby("variant", sort=False))
    for place, (name, rows) in enumerate(groups):
        spread = rows[f"{metric}_sd"]
        axes.errorbar(
            rows["min_co_users"] + 0.16 * (place - (len(groups) - 1) / 2), rows[metric],
            yerr=spread if spread.any() else None, label=str(name), color=COLOURS[place],
            marker=MARKERS[place], linestyle=DASHES[place], **ERROR_BARS,
        )  # fmt: skip
    # at least a twentieth of the value is shown, lest noise look like an effect
    middle = (cells[metric].min() + cells[metric].max()) / 2
    reach = max(0.6 * np.ptp(cells[metric]), 0.025 * middle) + cells[f"{metric}_sd"].max()
    axes.set_ylim(middle - reach, middle + reach or 1)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xticks(edges.index, [f"> {least - 1}" for least in edges.index])
    axes.tick_params("x", length=0)
    axes.set_ylabel(title(metric))
    return axes


def write_figure3(cells: pd.DataFrame, k: int, folder: Path) -> None:
    """Draw Figure 3 at cut-off ``k`` as ``figure3.png`` and ``figure3.pdf``."""
    figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
    panels = [figure.add_subplot(1, len(NAMES), place) for place in range(1, len(NAMES) + 1)]
    for axes, name in zip(panels, NAMES, strict=True):
        draw_figure3(axes, cells, f"{name}@{k}")
        behind = figure.axes[-1]  # the histogram, which all panels share
        if axes is not panels[-1]:
            behind.set_yticks([])
    behind.set_ylabel("edges of the item graph (bars)", color="#808080")
    figure.supxlabel("co-interaction frequency (users in common) of connected items", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), handlelength=3)
    save(figure, folder, "figure3")
