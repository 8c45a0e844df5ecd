"""What the paper says its results show, as orders that any such table can be held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from benchmark.experiments import ABLATIONS, MIN_CO_USERS
from benchmark.paper.published import OURS

CONTENT = ("VBPR", "DUIF", "CB2CF")
AGNOSTIC = ("NGCF", "MMGCN")
INTENT = ("DisenGCN", "MacridVAE")

OTHERS = "*"
"""Below: every other place that was measured."""


@dataclass(frozen=True)
class Claim:
    """Some places of a table are above others.

    Args:
        table: Name of the experiment.
        text: In words.
        pairs: Each the place that is above and the one below it, or :data:`OTHERS`.
    """

    table: str
    text: str
    pairs: Sequence[tuple[str, str]]

    def margins(self, values: pd.DataFrame) -> pd.Series[float]:
        """By how much the claim holds, or fails if negative, wherever it was measured.

        Args:
            values: Metrics in rows, places in columns, in the paper's names.

        Returns:
            A value per ``metric``, place ``above`` and place ``below``.
        """
        pairs = [
            (above, below)
            for above, named in self.pairs
            for below in (values if named == OTHERS else [named])
            if above in values and below in values and above != below
        ]
        margins = {
            (metric, above, below): values[above][metric] - values[below][metric]
            for above, below in pairs
            for metric in values.index
        }
        index = pd.MultiIndex.from_tuples(margins, names=("metric", "above", "below"))
        return pd.Series([*margins.values()], index, dtype=float)

    def counted(self, values: pd.DataFrame) -> tuple[int, int]:
        """In how many comparisons it holds, and how many there are."""
        margins = self.margins(values)
        return int((margins > 0).sum()), len(margins)


def at_threshold(variant: str, least: int) -> str:
    """The name of a place of Figure 3."""
    return f"{variant} >={least}"


def _ablated(above: str, below: str) -> list[tuple[str, str]]:
    return [(at_threshold(above, least), at_threshold(below, least)) for least in MIN_CO_USERS]


CLAIMS = (
    Claim(
        "table2",
        "HUIGN is above all baselines",
        [(OURS, OTHERS)],
    ),
    Claim(
        "table2",
        "VBPR, DUIF and CB2CF are below the other baselines",
        list(product(AGNOSTIC + INTENT, CONTENT)),
    ),
    Claim(
        "table2",
        "DisenGCN, MacridVAE and HUIGN, which model intents, are above NGCF and MMGCN",
        list(product((*INTENT, OURS), AGNOSTIC)),
    ),
    Claim("table2", "MacridVAE, with two levels, is above DisenGCN", [("MacridVAE", "DisenGCN")]),
    Claim(
        "table3",
        "32-8-4 is the best structure",
        [("32-8-4", OTHERS)],
    ),
    Claim(
        "table3",
        "One level more is better, from one to three",
        [("32-8", "32"), ("32-8-4", "32-8")],
    ),
    Claim(
        "table3",
        "Four levels are worse than three",
        [("32-8-4", "64-32-8-4"), ("64-16-4", "64-32-8-4")],
    ),
    Claim(
        "table4",
        "The visual modality is the best single one",
        [("visual", "acoustic"), ("visual", "textual")],
    ),
    Claim(
        "table4",
        "All modalities together are above each single one",
        [("multiple", OTHERS)],
    ),
    *(
        Claim(
            "figure3", f"HUIGN is above {name} at every threshold", _ablated(OURS, name)
        )
        for name in ABLATIONS
        if name != OURS
    ),
    Claim(
        "figure3",
        "HUIGN-C is above HUIGN-C-I at every threshold",
        _ablated("HUIGN-C", "HUIGN-C-I"),
    ),
)  # fmt: skip

SMOOTHER = Claim(
    "figure3",
    "The curves of HUIGN-I are smoother than those of the other variants",
    [("HUIGN-I", OTHERS)],
)
"""Not about values but about minus their standard deviations over the thresholds."""
