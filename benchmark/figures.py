"""Figures, from stored rows alone."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmark.experiments import PAPER_MODELS
from benchmark.store import write_atomic

PANELS = {"precision@10": "Precision@10", "recall@10": "Recall@10", "ndcg@10": "NDCG@10"}
OURS, BASELINE, ANCHOR = "#c44e52", "#4c72b0", "#b0b0b0"


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
