"""Beyond accuracy: what the lists of every model expose of the catalogue."""

from __future__ import annotations

from benchmark.outputs.by_model import write_by_model
from benchmark.outputs.layout import NOTHING, TABLE, remove
from benchmark.outputs.tables import caption, heading
from benchmark.record import Record

NAME = "beyond"
TITLE = "Accuracy and what lists expose of the catalogue"
ACCURACY, EXPOSURE = ("recall", "ndcg"), ("coverage", "novelty", "gini")

READING = (
    "Accuracy: best in bold, second underlined, of all models. Coverage: share of the catalogue in "
    "anybody's list. Novelty: mean self-information of the listed items in bits, -log2 of the "
    "share of users known to have interacted with the item. Gini: 0 if all items are listed "
    "equally often, towards 1 the more a few of them take all places. These three are of the lists "
    "of all users with a test item; none is good in itself, lists drawn at random would have the "
    "best of each."
)
OLDER = (
    f"{NOTHING}: the run is older than these measures; without its row in runs.csv it is run again."
)


def write(record: Record) -> None:
    """Write ``beyond.csv``, ``.md`` and ``.tex`` if a run of Table 2 knows what it listed."""
    if record.experiment("table2") is None:
        return
    accuracy, exposure = (
        [f"{name}@{record.k}" for name in names] for names in (ACCURACY, EXPOSURE)
    )
    measured = record.overall.reindex(columns=exposure).notna().all(axis=1)
    if not measured.any():
        remove(record.folder, NAME, TABLE)
        return
    lacking = (record.overall["status"] == "ok") & ~measured
    write_by_model(
        record, NAME, TITLE, {name: heading(name) for name in (*accuracy, *exposure)},
        " ".join([caption(record.overall), READING, *([OLDER] if lacking.any() else [])]),
        ranked=accuracy,
    )  # fmt: skip
