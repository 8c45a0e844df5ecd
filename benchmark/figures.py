"""Figures, from stored rows alone."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmark.experiments import PAPER_MODELS
from benchmark.record import Record
from benchmark.store import write_atomic
from benchmark.tables import by_cell

PANELS = {"precision@10": "Precision@10", "recall@10": "Recall@10", "ndcg@10": "NDCG@10"}
LINES = (("#c44e52", "o"), ("#4c72b0", "s"), ("#55a868", "^"), ("#8172b2", "D"))
OURS, BASELINE, ANCHOR = "#c44e52", "#4c72b0", "#b0b0b0"


def write(record: Record) -> None:
    """Draw every figure that was asked for and has a run."""
    if record.experiment("table2") is not None and not record.overall.empty:
        write_table2(record.overall, record.folder)
    figure3 = record.experiment("figure3")
    if figure3 is not None and not (cells := by_cell(figure3, record.runs, record.k)).empty:
        edges = [record.store.history(ids.split()[0])["edges"].iloc[0] for ids in cells["runs"]]
        write_figure3(cells.assign(edges=edges), record.k, record.folder)


def draw_metric(axes: Axes, runs: pd.DataFrame, metric: str) -> Axes:
    """One horizontal bar per model, best on top, with the standard deviation over seeds."""
    values = runs.groupby(["model", "variant"])[metric].agg(["mean", "std"]).sort_values("mean")
    models = values.index.get_level_values("model")
    colours = [
        OURS if model == "huign" else BASELINE if model in PAPER_MODELS else ANCHOR
        for model in models
    ]
    labels = values.index.get_level_values("variant")
    axes.barh(labels, values["mean"], xerr=values["std"].fillna(0), color=colours, height=0.7)
    for place, value in enumerate(values["mean"]):
        axes.text(value, place, f" {value:.4f}", va="center", fontsize=7)
    axes.set_xlim(0, 1.18 * (values["mean"] + values["std"].fillna(0)).max() or 1)
    axes.set_xlabel(PANELS.get(metric, metric), fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def draw_figure3(axes: Axes, cells: pd.DataFrame, metric: str) -> Axes:
    """A metric against the item graph's threshold, a line per variant, over the edges' numbers.

    Args:
        axes: To draw on.
        cells: Rows of Figure 3: ``variant``, ``min_co_users``, the metric, its ``_sd``, ``edges``.
        metric: Such as ``recall@10``.
    """
    edges = cells.groupby("min_co_users")["edges"].first()
    behind = axes.twinx()
    behind.bar(edges.index, edges, width=0.6, color="#e8e8e8")
    behind.set_ylabel("edges", fontsize=8, color="#808080")
    behind.tick_params(labelsize=7, colors="#808080")
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)
    for (name, rows), (colour, marker) in zip(
        cells.groupby("variant", sort=False), LINES, strict=False
    ):
        axes.errorbar(
            rows["min_co_users"], rows[metric], yerr=rows[f"{metric}_sd"], label=str(name),
            color=colour, marker=marker, markersize=4, linewidth=1.3, capsize=2,
        )  # fmt: skip
    # at least a twentieth of the value is shown, lest noise look like an effect
    middle = (cells[metric].min() + cells[metric].max()) / 2
    reach = max(0.6 * (cells[metric].max() - cells[metric].min()), 0.025 * middle)
    reach += cells[f"{metric}_sd"].max()
    axes.set_ylim(middle - reach, middle + reach or 1)
    axes.set_xticks(edges.index, [f"> {least - 1}" for least in edges.index])
    axes.set_xlabel("users that two connected items share", fontsize=9)
    axes.set_ylabel(metric, fontsize=9)
    axes.tick_params(labelsize=8)
    return axes


def write_figure3(cells: pd.DataFrame, k: int, folder: Path) -> None:
    """Draw Figure 3 at cut-off ``k`` as ``figure3.png`` and ``figure3.pdf``."""
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    for place, metric in enumerate((f"precision@{k}", f"recall@{k}", f"ndcg@{k}"), start=1):
        axes = draw_figure3(figure.add_subplot(1, 3, place), cells, metric)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    save(figure, folder, "figure3")


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PNG and PDF."""
    for suffix, options in ((".png", {"dpi": 200}), (".pdf", {"metadata": {"CreationDate": None}})):
        content = io.BytesIO()
        figure.savefig(content, format=suffix[1:], bbox_inches="tight", **options)
        write_atomic(folder / f"{name}{suffix}", content.getvalue())


def write_table2(runs: pd.DataFrame, folder: Path) -> None:
    """Draw Table 2 at cut-off 10 as ``table2.png`` and ``table2.pdf``."""
    done = runs[runs["status"] == "ok"]
    panels = [metric for metric in PANELS if metric in done]
    if done.empty or not panels:  # an older figure would no longer be what the table says
        for suffix in (".png", ".pdf"):
            (folder / f"table2{suffix}").unlink(missing_ok=True)
        return
    height = 1.2 + 0.28 * done["variant"].nunique()
    figure = Figure(figsize=(4 * len(panels), height), layout="constrained")
    for place, metric in enumerate(panels, start=1):
        draw_metric(figure.add_subplot(1, len(panels), place), done, metric)
    first = done.iloc[0]
    figure.suptitle(f"{first['dataset']}, test data, preset {first['preset']}", fontsize=10)
    handles = [Patch(color=colour) for colour in (OURS, BASELINE, ANCHOR)]
    labels = ["HUIGN", "the paper's baselines", "anchors"]
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    save(figure, folder, "table2")
