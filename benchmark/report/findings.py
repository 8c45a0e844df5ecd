"""The findings in plain sentences, and what to keep in mind when reading them."""

from __future__ import annotations

import pandas as pd

from benchmark.experiments import PAPER_MODELS, PROPOSED
from benchmark.outputs.layout import p_text
from benchmark.presets import COLD_ITEMS, EXACT, PRESETS
from benchmark.record import Record
from benchmark.report.gaps import seeds
from benchmark.writing import StoreError
from models.registry import label


def headline(record: Record, statistics: pd.DataFrame) -> list[str]:
    """Who is best, where HUIGN stands, and by how much, in recall at the record's cut-off.

    Args:
        record: What is stored.
        statistics: Of :func:`benchmark.outputs.significance.statistics`; may be without rows.
    """
    metric, data = f"recall@{record.k}", record.identity["dataset"]
    done = record.overall[record.overall["status"] == "ok"]
    if done.empty:
        return [f"No model has a result on {data} yet."]
    means = done.groupby(["model", "variant"])[metric].mean().sort_values(ascending=False)
    best, models = means.index[0][1], "model" if len(means) == 1 else "models"
    found = [
        f"On the test data of {data}, {best} has the highest {metric}, {means.iloc[0]:.4f}, of "
        f"{len(means)} {models}."
    ]
    name = label(PROPOSED)
    if PROPOSED not in means.index.get_level_values("model"):
        return [*found, f"{name} has no result."]
    paper = means[[model in PAPER_MODELS for model, _ in means.index]]
    ours, others = means[PROPOSED].iloc[0], paper.drop(PROPOSED, level="model")
    found.append(
        f"{name} has {ours:.4f}: place {1 + int((means > ours).sum())} of {len(means)}, and place "
        f"{1 + int((paper > ours).sum())} among the {len(paper)} of the paper's Table 2."
    )
    if len(others) and others.iloc[0] > 0:
        change = 100 * (ours / others.iloc[0] - 1)
        found.append(
            f"Of the paper's other models {others.index[0][1]} is the strongest, with "
            f"{others.iloc[0]:.4f}; {name} is {abs(change):.1f} % "
            f"{'below' if change < 0 else 'above'} it."
        )
    return [*found, *difference(statistics, metric, name)]


def difference(statistics: pd.DataFrame, metric: str, name: str) -> list[str]:
    """How sure a model's distance from the strongest baseline is, if it was tested."""
    if statistics.empty:
        return []
    rows = statistics[(statistics["metric"] == metric) & (statistics["variant"] == name)]
    return [
        f"Over the users, its difference from {row['reference']} is {row['difference']:+.4f}, with "
        f"a 95 % confidence interval from {row['difference_low']:+.4f} to "
        f"{row['difference_high']:+.4f} and p {p_text(row['p_holm'], '= ')} after Holm's "
        "correction."
        for row in rows.dropna(subset=["p_holm"]).to_dict("records")
    ]


def caveats(record: Record) -> list[str]:
    """What limits the numbers, each in a sentence or two; empty if nothing does."""
    identity, found = record.identity, list[str]()
    if identity["evaluation_protocol"] != "corrected":
        found.append(
            f"Protocol “{identity['evaluation_protocol']}”: epochs and hyper-parameters were "
            "chosen on the test data, as in the released code. No number here is a fair estimate."
        )
    if identity["matmul_precision"] != EXACT:
        found.append(
            f"Dense products were computed in precision “{identity['matmul_precision']}”; see "
            "precision.md for what that did."
        )
    if identity["split_method"] == COLD_ITEMS:
        found.append(
            "No test item occurs in training. The recall above is among all items; what models "
            "make of their features shows among the cold items alone, in the section on cold start."
        )
    if identity["preset"] != "paper":
        preset = PRESETS[identity["preset"]]
        found.append(
            f"Preset “{preset.name}” is less than the paper's budget: at most {preset.epochs} "
            f"epochs, stopped after {preset.patience} without a better one, of about "
            f"{preset.steps} steps."
        )
    if seeds(record.overall) == 1:
        found.append("One seed per model: nothing is known about the spread between trainings.")
    isolated = isolated_items(record)
    if isolated is not None and round(isolated, 3):  # else 0.0 %
        found.append(
            f"{100 * isolated:.1f} % of the items have no neighbour in HUIGN's item graph, "
            "which therefore says nothing about them."
        )
    sources = set(record.done.get("commit", ())) - {""}
    if len(sources) > 1:
        found.append(f"The runs are of {len(sources)} commits, which the list of runs names.")
    if any(source.endswith("+") for source in sources):
        found.append("Some runs were made with uncommitted changes; their commit ends with “+”.")
    if len(set(record.done.get("device", ()))) > 1:
        found.append("The runs are of several devices: their seconds and memory do not compare.")
    return found


def isolated_items(record: Record) -> float | None:
    """Share of items without a neighbour in the item graph, if HUIGN's history tells."""
    overall = record.overall
    ours = overall[(overall["model"] == PROPOSED) & (overall["status"] == "ok")]
    for run_id in ours["run_id"]:
        try:
            history: pd.DataFrame = record.store.history(run_id)
        except StoreError:
            continue
        if "isolated_items" in history:
            return float(history["isolated_items"].iloc[0])
    return None
