"""What less exact products did to metrics and time."""

from __future__ import annotations

import pandas as pd

from benchmark.outputs.layout import MARKDOWN, markdown, page
from benchmark.presets import EXACT
from benchmark.record import Record
from benchmark.writing import write_atomic


def write(record: Record) -> None:
    """Write ``precision.csv`` and ``.md`` where runs of both precisions are stored."""
    reduced = record.identity["matmul_precision"]
    if reduced == EXACT or record.overall.empty:
        return
    exact = record.store.current({**record.identity, "matmul_precision": EXACT})
    if exact.empty:
        return
    metrics = [f"{name}@{record.k}" for name in ("recall", "ndcg")]
    of_seed = ["variant", "seed"]
    both = record.overall.merge(exact, on=of_seed, suffixes=("_reduced", "_exact"))
    both = both[(both["status_reduced"] == "ok") & (both["status_exact"] == "ok")]
    if both.empty:
        return
    table = pd.DataFrame({"model": both["variant"], "seed": both["seed"].astype(int)})
    for metric in metrics:
        table[f"{metric} {EXACT}"] = both[f"{metric}_exact"]
        table[f"{metric} {reduced}"] = both[f"{metric}_reduced"]
    times = both["train_seconds_exact"] / both["train_seconds_reduced"]
    per_epoch = times * both["epochs_reduced"] / both["epochs_exact"]
    table["epochs per second, ratio"] = per_epoch.where(both["epochs_exact"] > 0)
    table["runs"] = both["run_id_exact"] + " " + both["run_id_reduced"]
    write_atomic(
        record.folder / "precision.csv",
        table.to_csv(index=False, float_format="%.6f", lineterminator="\n"),
    )
    shown = table.drop(columns="runs").set_index("model")
    shown["seed"] = shown["seed"].astype(str)
    for name in shown.columns[1:]:
        shown[name] = shown[name].map(MARKDOWN.number)
    words = (
        f"Dense products in precision '{reduced}' beside '{EXACT}': test metrics of every model "
        "and seed, with hyper-parameters tuned in the same precision, and how many times as many "
        "epochs a second it trained. Whether a precision is faster, or differs at all, is up to "
        "the hardware."
    )
    write_atomic(record.folder / "precision.md", page(markdown(shown), words))
