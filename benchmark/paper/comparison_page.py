"""The comparison with the paper as a page for reading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from benchmark.outputs.layout import MINUS, NOTHING, p_text, percent
from benchmark.paper.claims import Claim
from benchmark.paper.published import OURS, PLACES, datasets, results, sizes
from benchmark.paper.shape import LEADERS, LEVEL, METRICS, Finding, Measured, Outcome
from benchmark.record import Record
from models.registry import label

TITLES = {
    "table2": "Table 2: overall performance",
    "table3": "Table 3: structure of the intents",
    "table4": "Table 4: modalities",
    "figure3": "Figure 3: losses and density of the item graph",
}

PERCENT = ("lead_percent", "spread_percent")


def page(
    record: Record,
    found: dict[str, Measured],
    claims: Sequence[tuple[Claim, Outcome]],
    rows: Sequence[Finding],
    same: str | None,
    statistics: pd.DataFrame,
) -> str:
    """The page.

    Args:
        record: What the numbers are about.
        found: What was measured, by experiment.
        claims: How each of them fares.
        rows: Those of ``comparison.csv``.
        same: Which of the paper's data sets ours is, if any.
        statistics: Of :func:`benchmark.outputs.significance.statistics`.
    """
    parts = ["# Comparison with the paper", introduction(record, same)]
    parts += ["## What the paper claims", claim_table(claims), noise(found)]
    for name, ours in found.items():
        own = [row for row in rows if row.experiment == name and row.what != "claim"]
        parts.append(f"## {TITLES[name]}")
        if name == "figure3":
            parts += smooth(own)
            continue
        if any(row.what == "rank" for row in own):
            parts += [*order(ours, own), *leaders(name, own)]
        if name == "table2":
            parts += certainty(statistics)
        parts += alone(name, ours)
        values = [row for row in own if row.what == "value"]
        if values:
            parts += [f"Values, both on {same}:", absolute(values)]
    return "\n\n".join(parts) + "\n"


def introduction(record: Record, same: str | None) -> str:
    """What is compared with what."""
    data, told = record.dataset, record.identity
    papers = ", ".join(
        f"{name} ({users:,}, {items:,}, {interactions:,})"
        for name, (users, items, interactions) in zip(
            datasets(), sizes().itertuples(index=False), strict=True
        )
    )
    which = (
        f"Ours has the numbers of the paper's {same}, so values are compared too; whether its "
        "features are the same, and what its random split was, is not known."
        if same
        else "Ours is none of these, so values cannot be compared, only their shape: who is above "
        "whom, and by how many percent."
    )
    return (
        f"Ours is {told['dataset']} (fingerprint {told['data_fingerprint']}), preset "
        f"{told['preset']}: {data.num_users:,} users, {data.num_items:,} items, {len(data):,} "
        f"interactions. The paper's are {papers}. {which}\n\n"
        f"The paper's NDCG is compared with our `{METRICS['ndcg']}`, which is what the released "
        "code computes, never with `ndcg`: what the paper prints is higher than standard NDCG can "
        "be with its precision and recall (`python -m benchmark.paper.checks` shows why)."
    )


def claim_table(claims: Sequence[tuple[Claim, Outcome]]) -> str:
    """Every claim: in how many comparisons it holds, in the paper's tables and here."""
    lines = []
    for claim, ours in claims:
        line = {"table": claim.table, "claim": claim.text}
        for dataset in datasets():
            printed = claim.table in PLACES
            held, total = claim.counted(results(claim.table, dataset)) if printed else (0, 0)
            line[paper(dataset)] = (
                f"{held} of {total}" if total else "not in it" if printed else "in words"
            )
        against = ours.clear - ours.clear_held
        of = "" if ours.tested == ours.total else f" of {ours.tested} tested"
        clear = f"{ours.clear_held} for, {against} against{of}" if ours.tested else ""
        line["ours"] = f"{ours.held} of {ours.total}" if ours.total else ""
        lines.append({**line, "beyond noise": clear, "verdict": f"**{ours.verdict}**"})
    return markdown(lines)


def noise(found: dict[str, Measured]) -> str:
    """How the table of claims is to be read."""
    seeds = [count for ours in found.values() for count in ours.seeds.values()]
    texts = [
        "A claim is that places of a table are above others; counted are the comparisons, one for "
        "each metric and pair, in which they are. (NDCG@1 is precision@1, and counts again.)"
    ]
    if max(seeds) > 1:
        texts.append(
            "A comparison is beyond the noise if Welch's t-test between the seeds of both sides "
            f"gives p < {LEVEL} after Holm's correction for the comparisons of its claim. The "
            "claim holds if all its comparisons are beyond the noise and for it, in part if only "
            "some are; it does not hold if one beyond the noise is against it. The others are no "
            "evidence, for or against. Smoothness has no such test."
        )
    if min(seeds) < 2:
        texts.append(
            "**What rests on a single seed cannot be tested: another training may turn a small "
            "margin round, so it is no evidence, for or against.**"
        )
    return " ".join(texts)


def order(ours: Measured, own: Sequence[Finding]) -> list[str]:
    """Ranks in the headline metric, and how far the orders agree in all of them."""
    # recall is what hyper-parameters are chosen by, the last is at the highest cut-off
    metric = [row.metric for row in own if row.metric.startswith("recall")][-1]
    lines: dict[str, dict[str, str]] = {}
    for row in own:
        if row.what == "rank" and row.metric == metric:
            mean, sd, _ = ours.cell(metric, row.place)
            line = lines.setdefault(row.place, {"": row.place, "ours": plus_minus(mean, sd)})
            line["our rank"] = f"{row.ours:.0f}"
            line[paper(row.paper_dataset)] = f"{row.paper:.0f}"
    taus: dict[str, dict[str, str]] = {}
    for row in own:
        if row.what == "order":
            text = f"{row.ours:+.2f} (p {p_text(row.p_value, '= ')})"
            text = NOTHING if math.isnan(row.ours) else text.replace("-", MINUS)
            line = taus.setdefault(row.metric, {"metric": row.metric})
            line[paper(row.paper_dataset)] = text
    parts = [f"{metric}, and ranks among what both have:", markdown([*lines.values()])]
    if taus:
        text = (
            f"Kendall's tau between our order and the paper's (1: the same, {MINUS}1: reversed; "
            "p is two-sided, of each metric for itself):"
        )
        parts += [text, markdown([*taus.values()])]
    return parts


def leaders(table: str, own: Sequence[Finding]) -> list[str]:
    """Who is first, how far the paper's favourite leads, and how far apart all are."""
    lines: dict[str, dict[str, str]] = {}
    led = [row for row in own if row.what in PERCENT]
    for metric, dataset in dict.fromkeys((row.metric, row.paper_dataset) for row in led):
        rows = [row for row in own if (row.metric, row.paper_dataset) == (metric, dataset)]
        first, second = (next(row for row in rows if row.what == what) for what in PERCENT)
        ranks = [row for row in rows if row.what == "rank"]
        line = lines.setdefault(metric, {"metric": metric})
        best = " = ".join(row.place for row in ranks if row.ours == 1)
        line["ours"] = f"{best}; {percent(first.ours)}; {percent(second.ours)}"
        best = " = ".join(row.place for row in ranks if row.paper == 1)
        line[paper(dataset)] = f"{best}; {percent(first.paper)}; {percent(second.paper)}"
    text = (
        f"Among what both have: the first; {LEADERS[table]} over the best other; the best over "
        "the worst. The paper's percentages are recomputed from its table:"
    )
    return [text, markdown([*lines.values()])]


def certainty(statistics: pd.DataFrame) -> list[str]:
    """HUIGN against the strongest baseline, with intervals over users; nothing without lists."""
    lines = [
        {
            "metric": row["metric"],
            "strongest baseline": row["reference"],
            "difference [95 % interval]": f"{row['difference']:+.4f} "
            f"[{row['difference_low']:+.4f}, {row['difference_high']:+.4f}]",
            "p (Holm)": p_text(row["p_holm"]),
        }
        for row in statistics.to_dict("records")
        if row["variant"] == label(OURS.lower())
        and row["metric"].partition("@")[0] in METRICS.values()
        and row["difference"] == row["difference"]  # NaN where nothing was compared
    ]
    text = (
        f"{OURS} against the strongest baseline, paired over the test users (`statistics.md`); "
        "what another training changes is not in the interval:"
    )
    return [text, markdown(lines)] if lines else []


def smooth(own: Sequence[Finding]) -> list[str]:
    """Standard deviations of the curves."""
    lines: dict[str, dict[str, str]] = {}
    for row in own:
        lines.setdefault(row.metric, {"metric": row.metric})[row.place] = f"{row.ours:.5f}"
    if not lines:
        return ["No variant has a result at every threshold."]
    return [
        "Standard deviation of each curve over the thresholds (less is smoother):",
        markdown([*lines.values()]),
    ]


def absolute(values: Sequence[Finding]) -> str:
    """Every common cell."""
    return markdown(
        [
            {
                "metric": row.metric,
                "": row.place,
                "paper": f"{row.paper:.4f}",
                "ours": plus_minus(row.ours, row.sd),
                "difference": f"{row.difference:+.4f}",
                "ratio": f"{row.ratio:.2f}",
            }
            for row in values
        ]
    )


def alone(table: str, ours: Measured) -> list[str]:
    """Places that only one side has."""
    theirs = [str(place) for place in results(table, datasets()[0])]
    new = [str(place) for place in ours.mean if place not in theirs]
    gone = [place for place in theirs if place not in ours.mean]
    texts = [("Ours only", new), ("The paper's only", gone)]
    return [f"{which}: {', '.join(places)}." for which, places in texts if places]


def paper(dataset: str) -> str:
    """The heading of a column about one of the paper's data sets."""
    return f"paper, {dataset}"


def plus_minus(mean: float, sd: float) -> str:
    """With the standard deviation where there are several seeds."""
    return f"{mean:.4f}" if math.isnan(sd) else f"{mean:.4f} ± {sd:.4f}"


def markdown(lines: Sequence[Mapping[str, str]]) -> str:
    """A table of lines, their texts as they stand."""
    return str(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True))
