"""The figure of missing modalities: recall against the share of items that lost one."""

from __future__ import annotations

import math

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from benchmark.experiments import CONTROLS
from benchmark.outputs import figures
from benchmark.outputs.layout import PICTURE, remove
from benchmark.outputs.missing_study import COMPLETE, study
from benchmark.record import Record

COLUMNS = 4
"""Panels beside each other, at least those of one model."""


def write(record: Record) -> None:
    """Draw ``missing.png`` and ``missing.pdf`` if they were asked for and have a run."""
    experiment = record.experiment("missing")
    if experiment is None:
        return
    found = study(record)
    if found.empty:
        remove(record.folder, experiment.name, PICTURE)
        return
    with matplotlib.rc_context(figures.STYLE):
        figures.save(drawn(found, f"recall@{record.k}"), record.folder, experiment.name)


def drawn(found: pd.DataFrame, metric: str) -> Figure:
    """A panel per model and modality; those of a model share their axis.

    Args:
        found: Of :func:`benchmark.outputs.missing_study.study`.
        metric: That is drawn.
    """
    panels = found.groupby(["model", "modality"], sort=False)
    modalities = found["modality"].nunique()
    columns = modalities * max(1, COLUMNS // modalities)
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(figures.WIDTH, 0.7 + 1.5 * rows), layout="constrained")
    first = dict[object, Axes]()
    for place, ((model, modality), cells) in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, place, sharey=first.get(model))
        draw(axes, cells, metric)
        axes.set_title(f"{model}\n{modality}")
        axes.tick_params(labelleft=model not in first)
        first.setdefault(model, axes)
    figure.supxlabel("items without the modality", fontsize=8)
    figure.supylabel(figures.title(metric), fontsize=8)
    shown = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(shown.values(), shown, loc="outside upper center", ncols=len(shown))
    return figure


def draw(axes: Axes, cells: pd.DataFrame, metric: str) -> None:
    """A line per policy from the complete features on; the controls, where no item has any left.

    Args:
        axes: To draw on.
        cells: Of one model and modality.
        metric: That is drawn.
    """
    complete = cells[cells["policy"] == COMPLETE]
    for value in complete[metric]:
        axes.axhline(value, color="#808080", linewidth=0.8, label=COMPLETE)
    policies = cells[~cells["policy"].isin([COMPLETE, *CONTROLS])].groupby("policy", sort=False)
    for place, (name, rows) in enumerate(policies):
        line = pd.concat([complete, rows])
        spread = line[f"{metric}_sd"]
        axes.errorbar(
            line["rate"], line[metric], yerr=spread if spread.any() else None, label=str(name),
            color=figures.COLOURS[place], marker=figures.MARKERS[place],
            linestyle=figures.DASHES[place], markersize=3, **figures.ERROR_BARS,
        )  # fmt: skip
    for sign, name in zip("xP", CONTROLS, strict=True):
        point = cells[cells["policy"] == name]
        if len(point):
            axes.plot(point["rate"], point[metric], sign, color="black", markersize=4.5, label=name)
    axes.set_xlim(-0.06, 1.08)
    axes.set_xticks([0, 0.3, 0.6, 0.9])
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_locator(MaxNLocator(4))
