"""Optuna's own plots of every study, from stored trials alone."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import matplotlib
import numpy as np
import optuna
import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import BaseDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import TrialState, create_trial
from optuna.visualization import matplotlib as plots
from PIL import Image

from benchmark.outputs.study_tables import ENDS, by_study, candidates, number
from benchmark.record import Record
from benchmark.search import between
from benchmark.tuning import JUDGED_AT
from benchmark.writing import write_atomic

HEIGHT, DPI = 2.8, 200
VALUE = f"best recall@{JUDGED_AT} of a trial"
FEW = 6  # so many values of a hyper-parameter are all written at its axis


def write(record: Record) -> None:
    """Draw ``studies/<model>.png`` for every study: its history, importances and slices."""
    folder = record.folder / "studies"
    studies = {f"{rows['model'].iloc[0]}.png": rows for rows in by_study(record.trials)}
    for path in folder.glob("*.png"):
        if path.name not in studies:
            path.unlink(missing_ok=True)
    for name, rows in studies.items():
        write_atomic(folder / name, drawn(rows))


def rebuilt(rows: pd.DataFrame) -> optuna.Study:
    """A study in memory that has the stored trials of one study."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    spaces: dict[str, BaseDistribution] = {
        name: between(values) for name, values in candidates(rows).items()
    }
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    for row in rows.to_dict("records"):
        state = states.get(row["state"], TrialState.FAIL)
        given = [name for name in spaces if row.get(name, "") != ""]  # a crash may come before
        study.add_trial(
            create_trial(
                state=state,
                params={name: number(row[name]) for name in given},
                distributions={name: spaces[name] for name in given},
                value=row["value"] if state == TrialState.COMPLETE else None,
            )
        )
    return study


def drawn(rows: pd.DataFrame) -> bytes:
    """Optuna's history, importances and slices of one study side by side, as PNG."""
    study = rebuilt(rows)
    complete = int((rows["state"] == "complete").sum())
    numbers = rows["state"].value_counts()
    counts = ", ".join(f"{numbers[state]} {state}" for state in ENDS if state in numbers)

    def history() -> object:
        return plots.plot_optimization_history(study, target_name=VALUE)

    def importances() -> object:
        evaluator = FanovaImportanceEvaluator(seed=0)
        return plots.plot_param_importances(study, evaluator=evaluator, target_name=VALUE)

    def slices() -> object:
        return plots.plot_slice(study, target_name=VALUE)

    width = 1.5 + 2.2 * len(candidates(rows))
    panels = [
        panel(history, 4.2, f"{rows['variant'].iloc[0]}: {counts}", complete, least=1),
        panel(importances, 4.2, "Importance (fANOVA)", complete, least=4),
        panel(slices, width, "Values by hyper-parameter", complete, least=2),
    ]
    whole = Image.new("RGB", (sum(each.width for each in panels), panels[0].height), "white")
    for place, each in enumerate(panels):
        whole.paste(each, (sum(before.width for before in panels[:place]), 0))
    content = io.BytesIO()
    whole.save(content, "PNG", dpi=(DPI, DPI))
    return content.getvalue()


def panel(
    plot: Callable[[], object], width: float, title: str, complete: int, least: int
) -> Image.Image:
    """One of Optuna's plots as a picture, or in its place why there is none.

    Optuna draws every plot into a figure of its own and in a style that it sets for all figures
    to come, which ends here.

    Args:
        plot: Draws it.
        width: In inches.
        title: Replaces Optuna's.
        complete: Number of complete trials.
        least: How many of them the plot takes.
    """
    with matplotlib.rc_context({"figure.constrained_layout.use": True}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure, why = (
            None,
            (
                f"needs {least} complete trial{'s' if least > 1 else ''}, "
                f"there {'is' if complete == 1 else 'are'} {complete}"
            ),
        )
        if complete >= least:
            try:
                plot()
                figure = pyplot.gcf()
            except (ValueError, RuntimeError) as error:
                why = str(error)
        if figure is None:
            figure, axes = pyplot.subplots()
            axes.set_axis_off()
            axes.text(0.5, 0.5, why, ha="center", va="center", wrap=True)
        tidy(figure, title)
        figure.set_size_inches(width, HEIGHT)
        content = io.BytesIO()
        figure.savefig(content, format="rgba", dpi=DPI)
        pyplot.close(figure)
    size = round(width * DPI), round(HEIGHT * DPI)
    return Image.frombytes("RGBA", size, content.getvalue())


def tidy(figure: Figure, title: str) -> None:
    """Small type, a title of our own, no legend, and ticks that can be read."""
    if not figure.get_constrained_layout():
        figure.set_layout_engine("constrained")
    figure.suptitle(title, fontsize=9)
    for axes in figure.axes:
        for place in ("center", "left"):
            axes.set_title("", loc=place)
        axes.tick_params(labelsize=7, which="both")
        for text in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
            text.set_fontsize(8)
        if axes.get_xlabel() == "Trial":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.get_ylabel() == "Trial":
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.get_xscale() == "log":
            tried = np.unique(np.asarray(axes.collections[0].get_offsets())[:, 0])
            if len(tried) <= FEW:
                axes.set_xticks(tried, [f"{value:g}" for value in tried])
                axes.set_xticks([], minor=True)
        if (legend := axes.get_legend()) is not None:
            legend.remove()
