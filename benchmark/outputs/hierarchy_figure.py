"""The figure of the planted hierarchy: what HUIGN recommends, and what it finds of every level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.experiments import CONTROL
from benchmark.outputs import figures
from benchmark.outputs.hierarchy_study import CHANCE, measures

BY_LEVEL = {"nmi": "NMI", "jsd": "JSD"}
"""What is drawn by level, and what axes call it."""

GUIDES: dict[str, Any] = {
    "no intents": {"color": "black", "linestyle": "-"},
    "k-means of features": {"color": "black", "linestyle": "--"},
    "k-means of features of neighbours": {"color": "#808080", "linestyle": "--"},
    CHANCE: {"color": "#808080", "linestyle": ":"},
}
"""Structures for comparison, and their lines."""


def drawn(found: pd.DataFrame, metric: str) -> Figure:
    """A column of panels per form of HUIGN, of which a row shares its axis.

    Args:
        found: Of :func:`benchmark.outputs.hierarchy_study.study`.
        metric: That is drawn in the first row, by structure.
    """
    mine, controls = found[found["variant"] != CONTROL], found[found["variant"] == CONTROL]
    forms = mine.groupby("variant", sort=False)
    figure = Figure(figsize=(figures.WIDTH, 4.6), layout="constrained")
    panels = figure.subplots(1 + len(BY_LEVEL), len(forms), sharey="row", squeeze=False)
    places = {name: place for place, name in enumerate(mine["structure"].unique())}
    for column, (form, rows) in zip(panels.T, forms, strict=True):
        column[0].set_title(form)
        by_structure(column[0], rows, controls, metric, places)
        for axes, measure in zip(column[1:], BY_LEVEL, strict=True):
            by_level(axes, rows, controls, measure, places)
        for axes, words in zip(column, ["structure", *["level"] * len(BY_LEVEL)], strict=True):
            axes.set_xlabel(words)
    values = found[metric].dropna()
    # at least a tenth of the value is shown, lest noise look like an effect
    middle = (values.min() + values.max()) / 2
    reach = max(0.6 * np.ptp(values), 0.05 * middle) + found[f"{metric}_sd"].max()
    panels[0, 0].set_ylim(middle - reach, middle + reach or 1)
    for axes, name in zip(panels[:, 0], [figures.title(metric), *BY_LEVEL.values()], strict=True):
        axes.set_ylabel(name)
    shown = {
        label: handle
        for axes in panels[::-1, 0]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(shown.values(), shown, loc="outside upper center", ncols=3, handlelength=2.5)
    return figure


def by_structure(
    axes: Axes, rows: pd.DataFrame, controls: pd.DataFrame, metric: str, places: dict[str, int]
) -> None:
    """A point per structure, with the standard deviation over seeds.

    Args:
        axes: To draw on.
        rows: Of one form.
        controls: What these are compared with.
        metric: That is drawn.
        places: Of the structures, from left to right.
    """
    for name, value in controls.dropna(subset=metric).set_index("structure")[metric].items():
        axes.axhline(value, linewidth=0.8, label=name, **GUIDES[str(name)])
    for _, row in rows.iterrows():
        place = places[row["structure"]]
        spread = row[f"{metric}_sd"]
        axes.errorbar(
            place, row[metric], yerr=spread if spread else None, color=figures.COLOURS[place],
            marker=figures.MARKERS[place], **figures.ERROR_BARS,
        )  # fmt: skip
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_xticks(list(places.values()), list(places))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def by_level(
    axes: Axes, rows: pd.DataFrame, controls: pd.DataFrame, measure: str, places: dict[str, int]
) -> None:
    """A line per structure over its levels, and short ones for what it is compared with.

    Args:
        axes: To draw on.
        rows: Of one form.
        controls: What these are compared with.
        measure: One of :data:`BY_LEVEL`.
        places: Of the structures, which tell their colours.
    """
    names = measures(rows, measure)
    levels = np.arange(1, 1 + len(names))
    for name, values in controls.set_index("structure")[names].dropna().iterrows():
        guide = {**GUIDES[str(name)], "linewidth": 0.8, "label": name}
        axes.hlines(values, levels - 0.4, levels + 0.4, **guide)
    for _, row in rows.iterrows():
        place = places[row["structure"]]
        spread = row[[f"{name}_sd" for name in names]].to_numpy(dtype=float)
        axes.errorbar(
            levels + 0.14 * (place - (len(places) - 1) / 2), row[names].to_numpy(dtype=float),
            yerr=spread if np.nansum(spread) else None, label=row["structure"],
            color=figures.COLOURS[place], marker=figures.MARKERS[place],
            linestyle=figures.DASHES[place], **figures.ERROR_BARS,
        )  # fmt: skip
    axes.set_xlim(0.5, len(levels) + 0.5)
    axes.set_xticks(levels)
    axes.set_ylim(-0.03, 1.03)
