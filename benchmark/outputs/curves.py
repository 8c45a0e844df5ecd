"""How training went: loss and validation score by epoch, and whether HUIGN's intents collapse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from benchmark.experiments import PROPOSED
from benchmark.outputs import figures
from benchmark.outputs.layout import PICTURE, remove
from benchmark.outputs.tables import judged_on
from benchmark.record import Record
from benchmark.tuning import JUDGED_AT

COLUMNS = 4
"""Panels side by side."""

LOSS = "#555555"

SIGNS = {
    "std": "deviation of H over items",
    "peak": "largest weight of an assignment",
    "norm": "length of the supernodes",
}
"""What HUIGN logs per modality and level, see :meth:`models.huign.HUIGN.diagnostics`."""


def write(record: Record) -> None:
    """Draw ``curves`` of the models of Table 2, and ``collapse`` of HUIGN if it is among them.

    Models without a history, such as EASE, are left out.
    """
    if record.experiment("table2") is None:
        return
    # without any run there are no columns either
    runs = record.overall.reindex(columns=["status", "seed", "variant", "model", "run_id"])
    runs = runs[runs["status"] == "ok"].sort_values("seed", kind="stable")
    histories: dict[str, list[pd.DataFrame]] = {}
    for variant, run_id in zip(runs["variant"], runs["run_id"], strict=True):
        if (record.folder / "history" / f"{run_id}.csv").exists():
            histories.setdefault(variant, []).append(record.store.history(run_id))
    models = dict(zip(runs["variant"], runs["model"], strict=True))
    with matplotlib.rc_context(figures.STYLE):
        drawn: dict[str, Figure] = {}
        if histories:
            drawn["curves"] = draw_curves(histories, models, judged_on(record.identity))
        for variant, (history, *_) in histories.items():
            if models[variant] == PROPOSED and signs(history):
                drawn["collapse"] = draw_collapse(history)
        for name in ("curves", "collapse"):
            if name in drawn:
                figures.save(drawn[name], record.folder, name)
            else:
                remove(record.folder, name, PICTURE)


def draw_curves(
    histories: Mapping[str, Sequence[pd.DataFrame]], models: Mapping[str, str], data: str
) -> Figure:
    """A panel per model, with a line per seed for its validation score and one for its loss.

    Args:
        histories: Of every seed, by label.
        models: Registered names by label.
        data: What the scores are on.
    """
    columns = min(COLUMNS, len(histories))
    rows = math.ceil(len(histories) / columns)
    figure = Figure(figsize=(figures.WIDTH, 0.8 + 1.35 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    for place, (variant, seeds) in enumerate(histories.items()):
        behind = draw_model(panels[place], seeds, figures.colour(models[variant]))
        panels[place].set_title(variant)
        if place % columns < columns - 1:
            behind.tick_params("y", right=False, labelright=False)
    for axes in panels[len(histories) :]:
        axes.set_axis_off()
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel(f"{data} {figures.title(f'recall@{JUDGED_AT}')}", fontsize=8)
    handles = [
        Line2D([], [], color="black", label=f"{data} score (left)"),
        Line2D([], [], color="black", marker="o", linestyle="", label="best epoch, kept"),
        Line2D([], [], color=LOSS, linestyle="--", linewidth=0.8,
               label="training loss, relative to its first epoch (right)"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def draw_model(axes: Axes, seeds: Sequence[pd.DataFrame], colour: str) -> Axes:
    """One model's validation scores and, on axes of their own, its losses.

    The epochs of a model of several stages are counted on; a dotted line parts the stages.

    Returns:
        The axes of the losses.
    """
    behind = axes.twinx()
    for history in seeds:
        stages = history["stage"] if "stage" in history else 0 * history["epoch"]
        for _, part in history.groupby(stages):
            epochs, scores = part.index.to_numpy() + 1, part["validation"].to_numpy()
            loss = part["loss"] / part["loss"].iloc[0]
            behind.plot(epochs, loss, color=LOSS, linestyle="--", linewidth=0.8)
            axes.plot(epochs, scores, color=colour)
            if epochs[0] > 1:
                axes.axvline(epochs[0] - 0.5, color=LOSS, linestyle=":", linewidth=0.8)
        best = scores.argmax()  # of the last stage, whose weights the model is
        axes.plot(epochs[best], scores[best], "o", color=colour)
    behind.set_ylim(0, max(1.05, behind.get_ylim()[1]))
    behind.set_yticks([0, 0.5, 1])
    behind.tick_params(colors=LOSS)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)
    return behind


def signs(history: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """The columns with signs of collapse: names of :data:`SIGNS` by modality and level."""
    found: dict[tuple[str, str], list[str]] = {}
    for column in history:
        modality, level, sign = ["", "", *str(column).rsplit("/", 2)][-3:]
        if modality and sign in SIGNS:
            found.setdefault((modality, level), []).append(sign)
    return found


def draw_collapse(history: pd.DataFrame) -> Figure:
    """A panel per sign of collapse, with a line per modality and level."""
    found = signs(history)
    modalities = list(dict.fromkeys(modality for modality, _ in found))
    levels = list(dict.fromkeys(level for _, level in found))
    colours = dict(zip(modalities, figures.COLOURS, strict=False))
    dashes = dict(zip(levels, figures.DASHES, strict=False))
    figure = Figure(figsize=(figures.WIDTH, 2.3), layout="constrained")
    for axes, (sign, title) in zip(figure.subplots(1, len(SIGNS)), SIGNS.items(), strict=True):
        for (modality, level), known in found.items():
            if sign in known:
                values = history[f"{modality}/{level}/{sign}"]
                style = {"color": colours[modality], "linestyle": dashes[level]}
                axes.plot(history["epoch"], values.where(values > 0), **style)
        axes.set_title(title)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_yscale("log" if sign == "std" else "linear")
    figure.supxlabel("epoch", fontsize=8)
    handles = [Line2D([], [], color=colours[name], label=name) for name in modalities]
    handles += [
        Line2D([], [], color="black", linestyle=dashes[level], label=f"level {level}")
        for level in levels
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=3)
    return figure
