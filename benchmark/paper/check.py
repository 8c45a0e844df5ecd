"""A check of published numbers against each other: what ought to hold, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from benchmark.paper.published import HALF_UNIT


class Row(NamedTuple):
    """One number of a check.

    Args:
        dataset: Of the paper's Table 1.
        metric: Or another quantity.
        place: A model, structure, modality or claim.
        printed: NaN for what is not printed.
        computed: What it is compared with.
        verdict: How the two fit.
    """

    dataset: str
    metric: str
    place: str
    printed: float
    computed: float
    verdict: str


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        name: In the CSV file.
        title: What was found, in a line.
        statement: What ought to hold, why, and how it was computed.
        verdict: What holds, with numbers.
        shown: The numbers, arranged for reading.
        rows: The numbers.
    """

    name: str
    title: str
    statement: str
    verdict: str
    shown: pd.DataFrame
    rows: Sequence[Row]


def by_place(rows: Sequence[Row], cell: Callable[[Row], str]) -> pd.DataFrame:
    """One line per data set and metric, a column per place, everything in the order of ``rows``."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        lines.setdefault((row.dataset, row.metric), {})[row.place] = cell(row)
    return pd.DataFrame(
        [
            {"dataset": dataset, "metric": metric, **line}
            for (dataset, metric), line in lines.items()
        ]
    )


def agreement(percent: str, above: float, below: float) -> str:
    """How a printed improvement fits the printed values that it is said to be of.

    Args:
        percent: As printed, for its number of decimals.
        above: The higher value, rounded.
        below: The lower value, rounded.

    Returns:
        ``"equal"``; ``"within rounding"`` if other values, printed alike, give it; ``"different"``.
    """
    decimals = len(percent.partition(".")[2])
    gain = 100 * (above / below - 1)
    if f"{gain:.{decimals}f}" == percent:
        return "equal"
    # the derivatives of the gain by either value, times how far that can be off
    slack = 0.5 * 10**-decimals + 100 * HALF_UNIT * (above + below) / below**2
    return "within rounding" if abs(gain - float(percent)) <= slack else "different"
