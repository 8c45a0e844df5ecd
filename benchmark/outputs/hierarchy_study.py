"""The planted hierarchy in numbers: what HUIGN recommends with it, and how much of it it finds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import entropy

from benchmark.experiments import CONTROL, Experiment
from benchmark.intents import Kept
from benchmark.outputs.tables import by_cell, of_experiment
from benchmark.planted_intents import compared, planted
from benchmark.record import Record

CHANCE = "chance"
"""The structure of the row that tells what groups of k-means reach with items dealt out."""

COLLAPSED = 0.01
"""A level of which :func:`divergence` is smaller tells no item from another."""

RECOVERY = ("nmi", "purity", "jsd")
"""How well a level agrees with the planted one, and how far it tells items apart."""


def study(experiment: Experiment, record: Record) -> pd.DataFrame:
    """Every cell with what was recommended and what was found, and what there was to be found.

    Args:
        experiment: Of :func:`benchmark.experiments.hierarchy`.
        record: What is stored.

    Returns:
        The rows of :func:`benchmark.outputs.tables.by_cell`, with the columns ``variant`` and
        ``structure``, then the measures of :func:`recovery` and their deviations over seeds,
        ``_sd``, and ``runs``; a level that a structure does not have is NaN. Rows of the variant
        :data:`benchmark.experiments.CONTROL` are about k-means of what HUIGN is given and about
        :data:`CHANCE`. Empty without a run of HUIGN with intents.
    """
    cells = by_cell(experiment, record.runs, record.k)
    if cells.empty or (cells["variant"] == CONTROL).all():
        return cells.iloc[:0]
    runs, truth = of_experiment(experiment, record.done), planted(record.dataset)
    kept = {run_id: record.kept[run_id] for run_id in runs["run_id"] if run_id in record.kept}
    columns = [f"{name}@{level}" for name in RECOVERY for level in range(1, len(truth) + 1)]
    found = pd.DataFrame(
        {run_id: recovery(each, truth) for run_id, each in kept.items()}, columns
    ).T
    of_cells = [found.reindex(run_ids.split()) for run_ids in cells["runs"]]
    for name in columns:
        cells[name] = [each[name].mean() for each in of_cells]
        cells[f"{name}_sd"] = [each[name].std(ddof=1) for each in of_cells]
    if kept:
        cells = pd.concat([cells, references(record.given)], ignore_index=True)
    deviations = [name for name in map(str, cells) if name.endswith("_sd")]
    cells[deviations] = cells[deviations].fillna(0)
    cells["runs"] = cells.pop("runs").fillna("")  # the last column
    return cells


def measures(found: pd.DataFrame, name: str) -> list[str]:
    """The columns of :func:`study` that hold one of :data:`RECOVERY`, by level."""
    return [each for each in map(str, found) if each.startswith(f"{name}@") and each[-1].isdigit()]


def recovery(kept: Kept, truth: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    """How much of the planted hierarchy one run found, by level.

    Args:
        kept: What was kept of its intents, as many on a level as were planted there.
        truth: Planted intents of all items by level.

    Returns:
        Means over modalities: ``nmi@1``, ... and ``purity@1``, ... of the items by their strongest
        intent, see :func:`benchmark.planted_intents.compared`, and ``jsd@1``, ... of
        :func:`divergence`.
    """
    rows = []
    for modality in kept.assignments:
        row: dict[str, float] = {}
        levels = zip(kept.distributions(modality), truth, strict=False)
        for level, (weights, true) in enumerate(levels, start=1):
            scores = compared(weights.argmax(1), true[kept.items])
            row |= {f"{name}@{level}": scores[name] for name in ("nmi", "purity")}
            row[f"jsd@{level}"] = divergence(weights)
        rows.append(row)
    return {str(name): float(mean) for name, mean in pd.DataFrame(rows).mean().items()}


def divergence(weights: NDArray[np.float64]) -> float:
    r"""The Jensen-Shannon divergence of the items' distributions, relative to its largest value.

    .. math:: \frac{1}{\ln K} \left( H(\textstyle\frac{1}{M} \sum_i h_i)
        - \frac{1}{M} \sum_i H(h_i) \right)

    Args:
        weights: Distributions over intents, ``[num_items, K]``.

    Returns:
        In ``[0, 1]``: 0 if all items look alike, and the intents have collapsed; 1 if every item
        is in one intent alone and all intents have as many items.
    """
    gap = entropy(weights.mean(0)) - entropy(weights, axis=1).mean()
    return max(0.0, float(gap / np.log(weights.shape[1])))


def references(given: pd.DataFrame) -> pd.DataFrame:
    """What there was to be found, and what chance finds of it, as rows of :func:`study`.

    Args:
        given: Of :func:`benchmark.planted_intents.of_features`.
    """
    dealt = given.assign(items_by=CHANCE, nmi=given["chance_nmi"], purity=given["chance_purity"])
    rows = pd.concat([given, dealt]).pivot_table(
        index="items_by", columns="level", values=["nmi", "purity"], sort=False
    )
    rows.columns = rows.columns.map("{0[0]}@{0[1]}".format)
    return rows.rename_axis("structure").reset_index().assign(variant=CONTROL)
