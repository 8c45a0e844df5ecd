"""Missing modalities in numbers: what is lost with them, and whether a model uses them at all."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from benchmark.experiments import CONTROLS
from benchmark.outputs import significance
from benchmark.outputs.layout import p_text, percent
from benchmark.outputs.tables import by_cell, of_experiment
from benchmark.record import Record

PLACE = ("model", "modality", "policy", "rate")
"""The columns that name a cell."""

COMPLETE = "complete"
"""The policy of a cell with all features."""


@lru_cache(maxsize=1)  # for the table and the figure
def study(record: Record) -> pd.DataFrame:
    """Every cell beside the same model with complete features, user by user.

    Args:
        record: With the experiment of :func:`benchmark.experiments.missing`.

    Returns:
        The rows of :func:`benchmark.outputs.tables.by_cell`, with the columns ``model``,
        ``modality``, ``policy`` and ``rate``, and of the recall: ``change_percent`` from the
        complete features; ``difference``, its 95 % bootstrap interval over users
        ``difference_low`` to ``difference_high``; for the controls ``p_value`` of the paired t-test
        over users and ``p_holm``, corrected for all controls of all models. Empty where the
        complete model or the lists are missing.
    """
    experiment = record.experiment("missing")
    if experiment is None:
        return pd.DataFrame()
    cells = by_cell(experiment, record.runs, record.k)
    if cells.empty:
        return cells
    metric, runs = f"recall@{record.k}", of_experiment(experiment, record.runs)
    label_of = {tuple(place.values()): variant.label for place, variant in experiment.cells}
    labels = [label_of[place] for place in zip(*(cells[n] for n in PLACE), strict=True)]
    complete = cells[cells["policy"] == COMPLETE].drop_duplicates("model")
    before = cells["model"].map(complete.set_index("model")[metric])
    changed = cells["policy"] != COMPLETE
    cells["change_percent"] = 100 * (cells[metric] / before.where((before > 0) & changed) - 1)
    pairs = list(zip(labels, cells["model"], strict=True))
    tested = significance.beside(record, runs, metric, pairs)
    cells[tested.columns] = tested.where(changed)
    cells["p_holm"] = np.nan
    control = cells["policy"].isin(CONTROLS) & cells["p_value"].notna()
    cells["p_value"] = cells["p_value"].where(control)
    cells.loc[control, "p_holm"] = significance.holm(cells.loc[control, "p_value"].to_numpy())
    cells["runs"] = cells.pop("runs")  # the last column
    return cells


def sign(row: pd.Series[float]) -> str:
    """A mark of significance for a control."""
    once = "*" if row["difference"] > 0 else "†"
    return once * (int(row["p_holm"] < 0.05) + int(row["p_holm"] < 0.01))


def verdict(found: pd.DataFrame, model: str, modality: str) -> str:
    """Whether a model uses a modality, in a sentence; empty without a tested control.

    Args:
        found: Of :func:`study`.
        model: Its label.
        modality: Its name.
    """
    mine = found[(found["model"] == model) & (found["modality"] == modality)]
    controls = mine[mine["p_holm"].notna()].set_index("policy")
    if controls.empty:
        return ""
    worse = [n for n, row in controls.iterrows() if "†" in sign(row)]
    better = [n for n, row in controls.iterrows() if "*" in sign(row)]
    if "shuffle" in worse:
        says = f"uses what {modality} says about an item"
    elif worse:
        says = f"needs {modality}, but which item has which features does not show"
    elif better:
        says = f"is better without {modality}"
    else:
        says = f"shows no use of {modality}"
    told = [
        f"{name} {percent(row['change_percent'])}, p {p_text(row['p_holm'], '= ')}"
        for name, row in controls.iterrows()
    ]
    return f"{model} {says} ({'; '.join(told)})."


def averages(found: pd.DataFrame, modality: str) -> str:
    """The policies' mean change over the models where most items lack a modality, in a sentence."""
    mine = found[(found["modality"] == modality) & ~found["policy"].isin(CONTROLS)]
    mine = mine.dropna(subset="change_percent")
    if mine.empty:
        return ""
    worst = mine[mine["rate"] == mine["rate"].max()]
    means = worst.groupby("policy", sort=False)["change_percent"].mean()
    told = ", ".join(f"{name} {percent(value)}" for name, value in means.items())
    rate, models = worst["rate"].iloc[0], worst["model"].nunique()
    return (
        f"With {modality} missing for {100 * rate:.0f} % of the items, the recall changes on "
        f"average over {models} model{'s' * (models > 1)} by: {told}."
    )
