"""Checks of the paper's Table 2 against itself."""

from __future__ import annotations

import math
from statistics import median

import pandas as pd
from scipy.stats import median_abs_deviation

from benchmark.paper.check import Check, Row, agreement, by_place
from benchmark.paper.ndcg_bound import largest_ndcg
from benchmark.paper.published import HALF_UNIT, KS, OURS, datasets, improvements, values

OUTLIER = 3.5
"""Modified z-score beyond which Iglewicz and Hoaglin (1993) call a value an outlier."""


def standard_ndcg() -> Check:
    """Whether the printed NDCG can be the standard one."""
    rows = []
    for dataset in datasets():
        for model, printed in values("table2", dataset).items():
            precision, recall = (
                {k: printed[f"{name}@{k}"] for k in KS} for name in ("precision", "recall")
            )
            for k in KS[1:]:  # at 1 it is precision
                value = printed[f"ndcg@{k}"]
                bound = largest_ndcg(k, precision, recall, HALF_UNIT)
                verdict = "impossible" if value - HALF_UNIT > bound else "possible"
                rows.append(Row(dataset, f"ndcg@{k}", model, value, bound, verdict))
    possible = [row for row in rows if row.verdict == "possible"]
    exceptions = ", ".join(f"{row.place} {row.dataset} {row.metric}" for row in possible)
    return Check(
        "standard_ndcg",
        "The printed NDCG is not standard NDCG",
        "Precision and recall at 1, 5 and 10 limit where in the lists the hits can be, and so the "
        "standard NDCG, whose ideal has min(k, number of the user's positives) terms. The largest "
        "one that any evaluation with these six means can have, their rounding included, is the "
        "optimum of a linear programme over the hits per rank and number of positives; "
        "`benchmark/paper/ndcg_bound.py` derives it. Cells: printed value, and the bound.",
        f"{len(rows) - len(possible)} of {len(rows)} printed values at 5 and 10 are above the "
        f"bound (exceptions: {exceptions or 'none'}). Compare the printed NDCG with `ndcg_hits`, "
        "the definition of the released code, whose ideal is over the hits alone and which has no "
        "such bound, never with `ndcg`.",
        by_place(
            rows,
            lambda row: f"{row.printed:.4f} {'≤' if row in possible else '>'} {row.computed:.4f}",
        ),
        rows,
    )


def printed_improvements() -> Check:
    """The last column, from the others."""
    rows, shown, wrong = [], [], []
    for dataset in datasets():
        table = values("table2", dataset)
        for metric, percent in improvements(dataset).items():
            baselines = {model: table[model][metric] for model in table if model != OURS}
            ours = table[OURS][metric]
            gains = {model: 100 * (ours / value - 1) for model, value in baselines.items()}
            fits = {m: agreement(percent, ours, value) for m, value in baselines.items()}
            rows += [
                Row(dataset, metric, model, float(percent), gains[model], fits[model])
                for model in baselines
            ]
            best = max(baselines, key=baselines.__getitem__)
            near = min(gains, key=lambda model: abs(gains[model] - float(percent)))
            matches = ", ".join(model for model, fit in fits.items() if fit != "different")
            matches = matches or f"none (nearest: {near}, {gains[near]:.2f} %)"
            shown.append(
                {
                    "dataset": dataset,
                    "metric": metric,
                    OURS: f"{ours:.4f}",
                    "best baseline": f"{best} {baselines[best]:.4f}",
                    "printed": f"{percent} %",
                    "over the best": f"{gains[best]:.2f} %",
                    "verdict": fits[best],
                    "printed value is over": matches,
                }
            )
            if fits[best] == "different":
                wrong.append(
                    f"- {dataset} {metric}: printed {percent} %; over {best} it is {ours:.4f} / "
                    f"{baselines[best]:.4f} - 1 = {gains[best]:.2f} %; the printed value is over "
                    f"{matches}."
                )
    return Check(
        "printed_improvements",
        "Some printed improvements are not over the strongest baseline",
        "The paper states its improvements over the strongest baseline. Here each is recomputed as "
        f'100 ({OURS} / baseline - 1) from the printed values. "Within rounding": not equal, but '
        "the values before rounding can give it.",
        "\n".join([f"{len(wrong)} of {len(shown)} differ.\n", *wrong]),
        pd.DataFrame(shown),
        rows,
    )


def first_place() -> Check:
    """NDCG@1 against precision@1."""
    rows = []
    for dataset in datasets():
        for model, printed in values("table2", dataset).items():
            ndcg, precision = printed["ndcg@1"], printed["precision@1"]
            verdict = "equal" if ndcg == precision else "different"
            rows.append(Row(dataset, "ndcg@1", model, ndcg, precision, verdict))
    return Check(
        "first_place",
        "NDCG@1 is precision@1",
        "At cut-off 1 NDCG is 1 for a hit and 0 for a miss, by the standard definition and by "
        "that of the released code, and so is precision.",
        f"Equal in {sum(row.verdict == 'equal' for row in rows)} of {len(rows)} cells. It does "
        "not tell the definitions apart.",
        by_place(rows, lambda row: f"{row.printed:.4f}, {row.computed:.4f}"),
        rows,
    )


def positives_per_hit() -> Check:
    """Recall over precision."""
    rows = []
    for dataset in datasets():
        table = values("table2", dataset)
        for k in KS:
            recall = {model: printed[f"recall@{k}"] for model, printed in table.items()}
            ratios = {m: recall[m] / (k * table[m][f"precision@{k}"]) for m in table}
            middle = median(ratios.values())
            reach = OUTLIER * median_abs_deviation([*ratios.values()], scale="normal")
            rows += [
                Row(dataset, f"recall@{k}", model, recall[model], ratio,
                    "outlier" if abs(ratio - middle) > reach else "usual")
                for model, ratio in ratios.items()
            ]  # fmt: skip
    outliers = [row for row in rows if row.verdict == "outlier"]
    listed = ", ".join(f"{r.place} {r.dataset} {r.metric} ({r.computed:.3f})" for r in outliers)
    peers = [row for row in rows if (row.dataset, row.metric) == ("movielens", "recall@5")]
    ngcf = next(row for row in peers if row.place == "NGCF")
    peers.remove(ngcf)
    precision = values("table2", "movielens")["NGCF"]["precision@5"]
    usual = [5 * precision * row.computed for row in peers]
    return Check(
        "positives_per_hit",
        "The recall@5 of NGCF on Movielens does not fit its precision@5",
        "recall@k / (k precision@k) is the mean of 1 / (number of the user's positives) over all "
        "hits. It depends on the data more than on the model, so in a row it should vary little. "
        f"Marked *: further from the row's median than {OUTLIER} times the row's median absolute "
        "deviation (scaled to a standard deviation).",
        f"{len(outliers)} of {len(rows)} are outliers: {listed}. NGCF's recall@5 on Movielens is "
        f"printed as {ngcf.printed:.4f}; the lowest of the others is "
        f"{min(row.printed for row in peers):.4f}. Its precision@5 of {precision:.4f} with the "
        f"other models' ratios makes {min(usual):.4f} to {max(usual):.4f}. A misprint is likely, "
        "but nothing here proves one.",
        by_place(rows, lambda row: f"{row.computed:.3f}{'*' * (row in outliers)}"),
        rows,
    )


def hits_by_rank() -> Check:
    """Whether hits get rarer down the list."""
    rows = []
    for dataset in datasets():
        for model, printed in values("table2", dataset).items():
            p1, p5, p10 = (printed[f"precision@{k}"] for k in KS)
            second, third = (5 * p5 - p1) / 4, (10 * p10 - 5 * p5) / 5
            # how far rounding moves the differences 1.25 p5 - 1.25 p1, 2 p10 - 2.25 p5 + 0.25 p1
            bands = {
                "rank 1": (p1, False),
                "ranks 2-5": (second, second - p1 > 2.5 * HALF_UNIT),
                "ranks 6-10": (third, third - second > 4.5 * HALF_UNIT),
            }
            rows += [
                Row(dataset, f"hits per place, {band}", model, math.nan, value,
                    "above the ranks before" if rises else "")
                for band, (value, rises) in bands.items()
            ]  # fmt: skip
    rising = [row for row in rows if row.verdict]
    listed = ", ".join(
        f"{row.place} {row.dataset} {row.metric.partition(', ')[2]} ({row.computed:.4f})"
        for row in rising
    )
    return Check(
        "hits_by_rank",
        "Some lists get better further down",
        "From precision at 1, 5 and 10 follow the hits per place at rank 1, ranks 2-5 and ranks "
        "6-10. A model puts what it is surest of first, so they should fall. Marked *: higher "
        "than in the band above by more than rounding can explain.",
        f"{len(rising)} rises: {listed or 'none'}. Unusual, not impossible.",
        by_place(rows, lambda row: f"{row.computed:.4f}{'*' * bool(row.verdict)}"),
        rows,
    )
