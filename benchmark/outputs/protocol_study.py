"""The protocol study in numbers: how far each habit of the released code moves the models."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from scipy.stats import kendalltau

from benchmark.outputs.layout import percent
from benchmark.protocols import SWITCHES

CORRECTED, HITS, OFFICIAL = "corrected", "ndcg_hits", "official"
PROTOCOLS = {
    CORRECTED: "the protocol of all other tables",
    **SWITCHES,
    HITS: "the ideal list of the NDCG is taken over the hits alone",
    OFFICIAL: "all of these together, as in the released code",
}
"""What is compared, in the order of printing; the corrected rows hold both forms of the NDCG."""

METRICS = ("recall", "precision", "ndcg")


def study(cells: pd.DataFrame, models: Sequence[str], k: int) -> pd.DataFrame:
    """What would be reported under every protocol.

    Args:
        cells: Of :func:`benchmark.outputs.tables.by_cell`.
        models: Their models, in the order that is wanted.
        k: Cut-off of the metrics.

    Returns:
        One row per ``model`` and ``switch``, which is one of :data:`PROTOCOLS`: ``recall``,
        ``precision`` and ``ndcg`` at ``k``, the latter over the hits alone where the protocol
        says so; each with its standard deviation, ``_sd``, and its change from the corrected
        protocol in percent, ``_change_percent`` (NaN where that is missing or 0, and for itself);
        and ``runs``, the ids of the rows that it comes from.
    """
    corrected = cells[cells["switch"] == CORRECTED]
    rows = pd.concat([cells, corrected.assign(switch=HITS)], ignore_index=True)
    by_hits = rows["switch"].isin((HITS, OFFICIAL))
    found = rows[["model", "switch"]].copy()
    for metric in (f"{name}@{k}" for name in METRICS):
        for name in (metric, f"{metric}_sd"):
            found[name] = rows[name].mask(by_hits, rows[name.replace("ndcg@", "ndcg_hits@")])
        before = rows["model"].map(corrected.set_index("model")[metric])
        before = before.where((before > 0) & (rows["switch"] != CORRECTED))
        found[f"{metric}_change_percent"] = 100 * (found[metric] / before - 1)
    found["runs"] = rows["runs"]
    order = pd.MultiIndex.from_product([models, PROTOCOLS], names=["model", "switch"])
    return found.set_index(order.names).reindex(order).dropna(subset="runs").reset_index()


def by_protocol(found: pd.DataFrame, metric: str, suffix: str = "") -> pd.DataFrame:
    """One metric: models in rows, protocols in columns, :data:`HITS` only where it matters.

    Args:
        found: Of :func:`study`.
        metric: One of its metrics.
        suffix: For what is known about the metric instead, such as ``_sd``.
    """
    wide = found.pivot(index="model", columns="switch", values=f"{metric}{suffix}")
    shown = [n for n in PROTOCOLS if n in wide and (n != HITS or metric.startswith("ndcg@"))]
    return wide.loc[found["model"].unique(), shown].rename_axis(columns=None)


def verdicts(found: pd.DataFrame, metric: str, among: Sequence[str]) -> pd.DataFrame:
    """How every protocol ranks some models.

    Args:
        found: Of :func:`study`.
        metric: One of its metrics.
        among: The models.

    Returns:
        One row per protocol: ``best``, the model on top; ``was``, the one on top under the
        corrected protocol, among the models that have a result under both; ``tau``, Kendall's
        rank correlation of their values (NaN for fewer than two models, or if all are equal).
    """
    values = by_protocol(found, metric).reindex(list(among))
    before = values[CORRECTED] if CORRECTED in values else pd.Series(float("nan"), values.index)
    rows = {}
    for switch, after in values.items():
        both = before.notna() & after.notna()
        tau = kendalltau(before[both], after[both]).statistic if both.sum() > 1 else float("nan")
        rows[switch] = {"best": top(after), "was": top(before[both]), "tau": float(tau)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["best", "was", "tau"])


def top(values: pd.Series[float]) -> str:
    """Whose the largest value is; how many share it, if more than two; nothing without a value."""
    names = values.index[values == values.max()]
    return " and ".join(map(str, names)) if len(names) < 3 else f"{len(names)} models"


def moved(found: pd.DataFrame, metric: str, switch: str) -> str:
    """How far a protocol moves the models from their corrected values, in a clause."""
    change = by_protocol(found, metric, "_change_percent")[switch].dropna()
    if change.empty:
        return "cannot be compared with corrected values"
    if change.min() == change.max():
        return f"changes by {percent(change.mean())} for every model"
    low, high = (f"{percent(x.max() * s)} ({top(x)})" for x, s in ((-change, -1), (change, 1)))
    return f"changes by {percent(change.mean())} on average, from {low} to {high}"
