"""Checks of the paper's tables against each other and against its text."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.experiments import MIN_CO_USERS
from benchmark.paper.check import Check, Row, agreement
from benchmark.paper.claims import CLAIMS
from benchmark.paper.published import OURS, PLACES, datasets, results, sizes, values

TRAIN_SHARE = 0.8
DEFAULT_LEAST = 5
"""Common users of two connected items in the paper's default setting."""

SAME = {"table3": "32-8-4", "table4": "multiple"}
"""The place of each table that is HUIGN of Table 2 once more."""

NDCG_GAINS = {"movielens": "9.35", "tiktok": "12.10", "kwai": "10.7"}
"""Section 4.2: improvements in NDCG@10 over the strongest baselines, in percent."""

THREE_LEVELS = {"tiktok": "2.5", "kwai": "7.14"}
"""Section 4.3.1: by how many percent three levels surpass one in recall@10."""


def shared_cells() -> Check:
    """Tables 3 and 4 against Table 2."""
    rows = []
    for table, place in SAME.items():
        for dataset in datasets():
            overall = values("table2", dataset)[OURS]
            for metric, value in values(table, dataset).get(place, {}).items():
                verdict = "equal" if value == overall[metric] else "different"
                name = f"{table} {place}"
                rows.append(Row(dataset, metric, name, value, overall[metric], verdict))
    shown = [(*row[:3], f"{row.printed:.4f}", f"{row.computed:.4f}", row.verdict) for row in rows]
    return Check(
        "shared_cells",
        "Tables 3 and 4 repeat Table 2",
        f'The structure {SAME["table3"]} of Table 3 and "{SAME["table4"]}" of Table 4 are the '
        f"{OURS} of Table 2 at cut-off 10.",
        f"Equal in {sum(row.verdict == 'equal' for row in rows)} of {len(rows)} cells.",
        pd.DataFrame(
            shown, columns=["dataset", "metric", "place", "printed", "table 2", "verdict"]
        ),
        rows,
    )


def words() -> Check:
    """What the text says of Tables 2 to 4, counted in them."""
    rows, shown, everywhere = [], [], 0
    claims = [claim for claim in CLAIMS if claim.table in PLACES]
    for claim in claims:
        line = {"table": claim.table, "claim": claim.text}
        counts = {each: claim.counted(results(claim.table, each)) for each in datasets()}
        for dataset, (held, total) in counts.items():
            line[dataset] = f"{held} of {total}" if total else "not in the table"
            if total:
                share = held / total
                rows.append(Row(dataset, claim.table, claim.text, math.nan, share, line[dataset]))
        everywhere += all(held == total for held, total in counts.values())
        shown.append(line)
    return Check(
        "words",
        "What the text says of the tables",
        "Each claim is that some places of a table are above others. Counted are the comparisons, "
        "one for each metric and pair of places, in which they are.",
        f"{everywhere} of {len(claims)} claims hold in every comparison. The text itself restricts "
        'some: to Movielens and Tiktok for VBPR, DUIF and CB2CF, to "most cases" for the number '
        "of levels, to Tiktok for all modalities together. Of Figure 3, which has no numbers to "
        "count, it says both that the variants without the independence loss depend on the number "
        f"of edges and that the curves of {OURS}-I, such a variant, are smoother than those of the "
        "others; these contradict each other.",
        pd.DataFrame(shown),
        rows,
    )


def percentages() -> Check:
    """Percentages in the text, from the tables."""
    compared = []
    for dataset, said in NDCG_GAINS.items():
        ndcg = {model: printed["ndcg@10"] for model, printed in values("table2", dataset).items()}
        best = max((model for model in ndcg if model != OURS), key=ndcg.__getitem__)
        compared.append((dataset, "ndcg@10", OURS, best, said, ndcg))
    for dataset, said in THREE_LEVELS.items():
        recall = {name: cell["recall@10"] for name, cell in values("table3", dataset).items()}
        compared.append((dataset, "recall@10", "32-8-4", "32", said, recall))
    rows, shown = [], []
    for dataset, metric, high, low, said, cells in compared:
        above, below = cells[high], cells[low]
        gain, verdict = 100 * (above / below - 1), agreement(said, above, below)
        rows.append(Row(dataset, metric, f"{high} over {low}", float(said), gain, verdict))
        shown.append(
            {
                "dataset": dataset,
                "metric": metric,
                "compared": f"{high} {above:.4f} over {low} {below:.4f}",
                "text": f"{said} %",
                "of the lower": f"{gain:.2f} %",
                "of the higher": f"{100 * (1 - below / above):.2f} %",
                "verdict": verdict,
            }
        )
    return Check(
        "percentages",
        "Percentages in the text",
        "Sections 4.2 and 4.3.1 name improvements in NDCG@10 over the strongest baselines and in "
        "recall@10 of three levels over one. An improvement is relative to the lower value.",
        f"{sum(row.verdict == 'different' for row in rows)} of {len(rows)} differ from the tables. "
        "Those of three levels over one are nearer to the difference relative to the higher value.",
        pd.DataFrame(shown),
        rows,
    )


def density() -> Check:
    """Table 1: how dense the data are, and what that leaves of the item graph."""
    rows, shown = [], []
    for dataset, (users, items, interactions) in zip(
        datasets(), sizes().itertuples(index=False), strict=True
    ):
        reach = min(1.0, TRAIN_SHARE * interactions / items / DEFAULT_LEAST)
        computed = {
            "density": (interactions / (users * items), "{:.3%}"),
            "interactions per user": (interactions / users, "{:.1f}"),
            "interactions per item": (interactions / items, "{:.1f}"),
            "items with an edge, at most": (reach, "{:.0%}"),
        }
        rows += [
            Row(dataset, what, "", math.nan, value, "") for what, (value, _) in computed.items()
        ]
        texts = {what: form.format(value) for what, (value, form) in computed.items()}
        shown.append({"dataset": dataset, **texts})
    sparse = min((row for row in rows if row.metric.endswith("at most")), key=lambda r: r.computed)
    return Check(
        "density",
        "What Table 1 says about the item graph",
        "Density is interactions / (users times items). An item needs as many training "
        f"interactions as an edge needs common users ({DEFAULT_LEAST}). With {TRAIN_SHARE:.0%} of "
        "the interactions for training, Markov's inequality allows at most (training interactions "
        f"per item) / {DEFAULT_LEAST} of the items to have so many.",
        f"On {sparse.dataset} at most {sparse.computed:.0%} of the items can have any edge; all "
        "others have no neighbour to learn intents from. The text explains results on Kwai by its "
        "dense interactions per user, which the table confirms; per item they are the fewest.",
        pd.DataFrame(shown),
        rows,
    )


def thresholds() -> Check:
    """Figure 3 against the default setting."""
    shown = [
        {"figure": f"> {least - 1}", "at least": str(least),
         "": "default" if least == DEFAULT_LEAST else ""}
        for least in MIN_CO_USERS
    ]  # fmt: skip
    return Check(
        "thresholds",
        "The default threshold in Figure 3",
        f"Section 4.1.1 connects items that at least {DEFAULT_LEAST} users share; Figure 3 goes "
        f"through frequencies larger than {', '.join(str(least - 1) for least in MIN_CO_USERS)}.",
        f'"At least {DEFAULT_LEAST}" is "larger than {DEFAULT_LEAST - 1}", point '
        f"{MIN_CO_USERS.index(DEFAULT_LEAST) + 1} of {len(MIN_CO_USERS)} in the figure; its "
        f'"> {DEFAULT_LEAST}" is another graph.',
        pd.DataFrame(shown),
        [
            Row("", "common users of connected items", f"> {least - 1}", least - 1, least,
                "default" if least == DEFAULT_LEAST else "")
            for least in MIN_CO_USERS
        ],
    )  # fmt: skip
