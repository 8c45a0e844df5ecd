"""Cold start: how well models place items that never occur in training."""

from __future__ import annotations

from benchmark.outputs.by_model import write_by_model
from benchmark.outputs.layout import TABLE, remove
from benchmark.outputs.tables import PLACES, caption, heading
from benchmark.presets import COLD_ITEMS
from benchmark.record import Record

NAME = "cold_start"
TITLE = "Cold start: items without a training interaction"
METRICS = ("recall", "ndcg")


def write(record: Record) -> None:
    """Write ``cold_start.csv``, ``.md`` and ``.tex`` if items were held out and a run is done."""
    if record.identity["split_method"] != COLD_ITEMS or record.experiment("table2") is None:
        return
    if record.overall.empty or not (record.overall["status"] == "ok").any():
        remove(record.folder, NAME, TABLE)
        return
    columns = {
        f"{metric}{which}@{record.k}": f"{heading(f'{metric}@{record.k}')}, {title}"
        for which, title in (("", "all"), ("_cold", "cold"))
        for metric in METRICS
    }
    words = [caption(record.overall), reading(record), PLACES]
    write_by_model(record, NAME, TITLE, columns, " ".join(words), ranked=list(columns))


def reading(record: Record) -> str:
    """What is asked of the models, and what chance gives."""
    cold, items = int(record.done["cold_items"].iloc[0]), record.dataset.num_items
    return (
        f"Every test item is without any training interaction. All: ranked among all {items:,} "
        f"items, of which the others are known from training or held out for validation. Cold: "
        f"ranked among the {cold:,} test items alone, where a random order has a recall of "
        f"{record.k / cold:.4f}; equal scores go by item id. Epochs and hyper-parameters are "
        "chosen by recall among the validation items alone, which have no training interaction "
        "either."
    )
