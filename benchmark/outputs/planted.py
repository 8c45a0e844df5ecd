"""The table of how HUIGN's intents agree with those that were planted."""

from __future__ import annotations

import pandas as pd

from benchmark.experiments import PROPOSED
from benchmark.outputs.layout import MARKDOWN, markdown, page
from benchmark.outputs.tables import caption
from benchmark.planted_intents import COLUMNS, of_run, planted
from benchmark.record import Record
from benchmark.writing import write_atomic

SCORES = {
    "nmi": "NMI", "ari": "ARI", "purity": "purity",
    "chance_nmi": "NMI by chance", "chance_purity": "purity by chance",
}  # fmt: skip
"""Columns that are numbers in ``[-1, 1]``, and what they are called in print."""

LEGEND = (
    "Groups of items held against the planted intents. Every level of HUIGN is compared with the "
    "planted level that has the most similar number of intents, which 'planted' tells. Items are "
    "grouped by the strongest intent of their distribution H, or by k-means, into as many groups "
    "as were planted: of H, and, as a measure of what was there to be found, of the scaled "
    "features and of their sums over the neighbours in the item graph. k-means looks at "
    "directions alone, of H those from its mean. 'groups' is how many came out; NMI is normalised "
    "mutual information, ARI the adjusted Rand index (0 by chance), purity the share of items that "
    "have the commonest intent of their group. Chance is what the same groups with items dealt out "
    "at random reach. Counted are the items whose intents were kept, {} of {}: those without "
    "neighbours in the item graph have none of their own."
)


def write(record: Record) -> None:
    """Write ``planted.csv`` and ``.md``; nothing where no truth or no run's intents are known."""
    truth, runs = planted(record.dataset), record.overall
    if not truth or runs.empty:
        return
    runs = runs[(runs["status"] == "ok") & (runs["model"] == PROPOSED)]
    kept = {run_id: record.kept[run_id] for run_id in runs["run_id"] if run_id in record.kept}
    if not kept:
        return
    rows = [row for run_id, each in kept.items() for row in of_run(run_id, each, truth)]
    table = pd.concat([pd.DataFrame(rows), record.given])[COLUMNS]
    text = table.to_csv(index=False, float_format="%.6f", lineterminator="\n")
    write_atomic(record.folder / "planted.csv", text)
    counted = len(next(iter(kept.values())).items)
    legend = LEGEND.format(f"{counted:,}", f"{record.dataset.num_items:,}")
    text = page("**Planted intents**", as_markdown(table), f"{caption(runs)} {legend}")
    write_atomic(record.folder / "planted.md", text)


def as_markdown(table: pd.DataFrame) -> str:
    """The table as it is read: means over seeds, one block of rows per modality and level."""
    places = ["modality", "level", "planted", "items_by"]
    ordered = table.drop(columns="run_id").sort_values(places[:2], kind="stable")
    grouped = ordered.groupby(places, sort=False)
    means = grouped.mean().reset_index()
    deviations = grouped.std(ddof=1).fillna(0).round(6).reset_index()
    shown = means[["level", "planted"]].astype(str)
    shown["items grouped by"] = means["items_by"]
    shown["groups"] = [f"{groups:g}" for groups in means["groups"]]
    for name, title in SCORES.items():
        shown[title] = list(map(MARKDOWN.number, means[name], deviations[name]))
    return markdown(shown.set_axis(pd.Index(means["modality"], name="modality")))
