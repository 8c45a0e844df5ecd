"""The shape of results: orders, leads, spreads, smoothness, and what is claimed of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, ttest_ind_from_stats

from benchmark.experiments import ABLATIONS, MIN_CO_USERS, Experiment, Variant
from benchmark.outputs.significance import holm
from benchmark.paper.claims import Claim, at_threshold
from benchmark.paper.published import OURS, results

METRICS = {"precision": "precision", "recall": "recall", "ndcg": "ndcg_hits"}
"""The paper's metrics, and what they are called here: its NDCG is not the standard one."""

MODALITIES = {"image": "visual", "audio": "acoustic", "text": "textual"}
"""Features that the paper calls otherwise."""

LEADERS = {"table2": OURS, "table3": "32-8-4", "table4": "multiple"}
"""The place of each table that the paper argues for."""

PRINTED = {name.lower(): name for name in map(str, results("table2", "movielens"))}
"""The paper's names of its models by their registered names; tables here may print others."""

LEVEL = 0.05


@dataclass(frozen=True)
class Measured:
    """What an experiment gave, in the paper's names of metrics and places.

    Args:
        mean: Metrics in rows, places in columns: means over seeds.
        sd: The same shape: standard deviations over seeds, NaN for a single one.
        seeds: How many, by place.
    """

    mean: pd.DataFrame
    sd: pd.DataFrame
    seeds: dict[str, int]

    def cell(self, metric: str, place: str) -> tuple[float, float, int]:
        """Mean, standard deviation and number of seeds."""
        return float(self.mean[place][metric]), float(self.sd[place][metric]), self.seeds[place]


@dataclass(frozen=True)
class Finding:
    """A row of ``comparison.csv``; what does not apply is empty or NaN.

    Args:
        experiment: ``table2``, ``table3``, ``table4`` or ``figure3``.
        what: What is compared, as :func:`benchmark.paper.comparison.write` lists.
        place: A model, structure, modality, variant or claim.
        metric: Such as ``recall@10``.
        paper_dataset: Of the paper's Table 1.
        paper: The paper's number.
        ours: Our number.
        sd: Of ours over seeds.
        seeds: How many.
        difference: Ours minus the paper's.
        ratio: Ours over the paper's.
        p_value: Of ours.
        verdict: On ours.
    """

    experiment: str
    what: str
    place: str = ""
    metric: str = ""
    paper_dataset: str = ""
    paper: float = math.nan
    ours: float = math.nan
    sd: float = math.nan
    seeds: float = math.nan
    difference: float = math.nan
    ratio: float = math.nan
    p_value: float = math.nan
    verdict: str = ""


def measured(experiment: Experiment, runs: pd.DataFrame, ks: Sequence[int]) -> Measured:
    """What has been run of an experiment; of Table 2 the paper's models alone.

    Args:
        experiment: Table 2, 3 or 4, or Figure 3.
        runs: Rows of ``runs.csv`` with a result.
        ks: Cut-offs.
    """
    names = {f"{name}@{k}": f"{here}@{k}" for name, here in METRICS.items() for k in ks}
    mean, sd, seeds = {}, {}, dict[str, int]()
    for place, variant in experiment.cells:
        name = paper_name(experiment.name, place, variant)
        rows = runs[runs["variant"] == variant.label]
        if name is not None and len(rows):
            mean[name] = {metric: rows[here].mean() for metric, here in names.items()}
            sd[name] = {metric: rows[here].std(ddof=1) for metric, here in names.items()}
            seeds[name] = len(rows)
    return Measured(pd.DataFrame(mean, [*names]), pd.DataFrame(sd, [*names]), seeds)


def paper_name(experiment: str, place: Mapping[str, Any], variant: Variant) -> str | None:
    """What the paper calls a place of an experiment; nothing for a model that it lacks."""
    if experiment == "table2":
        return PRINTED.get(variant.model)
    if experiment == "figure3":
        return at_threshold(place["variant"], place["min_co_users"])
    (name,) = map(str, place.values())
    return MODALITIES.get(name, name)


def lead(values: pd.Series[float], leader: str) -> float:
    """By how many percent a place is above the best other one; NaN if there is none above 0."""
    if leader not in values or len(values) < 2:
        return math.nan
    return percent_above(values[leader], values.drop(leader).max())


def spread(values: pd.Series[float]) -> float:
    """By how many percent the best place is above the worst."""
    return percent_above(values.max(), values.min())


def percent_above(value: float, other: float) -> float:
    """``100 (value / other - 1)``, NaN where that has no meaning."""
    return 100 * (value / other - 1) if other > 0 else math.nan


def agreement_of_order(ours: pd.Series[float], paper: pd.Series[float]) -> tuple[float, float]:
    """Kendall's tau-b between two orders of the same places, and its two-sided p-value."""
    found = kendalltau(ours, paper)
    return float(found.statistic), float(found.pvalue)


def smoothness(figure3: Measured) -> pd.DataFrame:
    """Standard deviations over the thresholds: metrics in rows, variants in columns.

    Only variants that were run at every threshold, lest fewer points look smoother.
    """
    curves = {name: [at_threshold(name, least) for least in MIN_CO_USERS] for name in ABLATIONS}
    return pd.DataFrame(
        {
            name: figure3.mean[places].std(axis=1, ddof=1)
            for name, places in curves.items()
            if set(places) <= set(figure3.mean)
        },
        figure3.mean.index,
    )


@dataclass(frozen=True)
class Outcome:
    """How a claim fares.

    Args:
        held: Comparisons in which it holds.
        total: Comparisons that could be made.
        tested: Of these, those with several seeds on both sides, so that the noise is known.
        clear: Of the tested ones, those whose difference stands out from the noise.
        clear_held: Of the clear ones, those in which it holds.
        untested: Why no comparison is tested, if none is.
    """

    held: int
    total: int
    tested: int = 0
    clear: int = 0
    clear_held: int = 0
    untested: str = "one seed"

    @property
    def verdict(self) -> str:
        """What the comparisons beyond the noise say; the others are no evidence either way."""
        if not self.total:
            return "not measured"
        if not self.clear:
            return f"no evidence ({'within noise' if self.tested else self.untested})"
        if self.clear_held < self.clear:
            return "does not hold"
        return "holds" if self.clear == self.total else "holds in part"

    @property
    def share(self) -> float:
        """Of the comparisons, those in which it holds; NaN for none."""
        return self.held / self.total if self.total else math.nan


def outcome(claim: Claim, ours: Measured) -> Outcome:
    """Hold a claim against our results.

    A difference is clear if Welch's t-test between the seeds of its two sides gives p < 0.05 after
    Holm's correction for all comparisons of the claim, lest one of many be against it by chance.
    """
    margins = claim.margins(ours.mean)
    tests = np.array([p_value(ours, *place) for place in margins.index], dtype=float)
    tested = ~np.isnan(tests)
    clear = margins[tested][holm(tests[tested]) < LEVEL]
    return Outcome(
        held=int((margins > 0).sum()),
        total=len(margins),
        tested=int(tested.sum()),
        clear=len(clear),
        clear_held=int((clear > 0).sum()),
    )


def p_value(ours: Measured, metric: str, above: str, below: str) -> float:
    """Of Welch's t-test between two places over their seeds; NaN without two seeds on each side."""
    (m1, s1, n1), (m2, s2, n2) = ours.cell(metric, above), ours.cell(metric, below)
    if min(n1, n2) < 2:
        return math.nan
    if s1 == s2 == 0:  # nothing varies: any difference is one
        return 1.0 if m1 == m2 else 0.0
    return float(ttest_ind_from_stats(m1, s1, n1, m2, s2, n2, equal_var=False).pvalue)
