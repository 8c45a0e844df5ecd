"""Everything that is written from stored rows: tables, figures, the manifest."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import torch

from benchmark import figures, tables
from benchmark.machine import commit, device_name, versions
from benchmark.record import Record
from benchmark.store import write_atomic

WRITERS = (tables.write, figures.write)
"""Called in this order; each writes the files it can, and none for what has no run yet."""

SHOWN = (".csv", ".md", ".tex", ".png", ".pdf", ".html")


def write_outputs(record: Record, seeds: int, device: torch.device) -> None:
    """All files that the rows allow; nothing if there is no row."""
    if record.runs.empty:
        return
    for write in WRITERS:
        write(record)
    manifest = {
        "dataset": record.dataset.describe(),
        "settings": {**record.identity, "seeds": seeds, "ks": list(record.ks)},
        "device": device_name(device),
        "versions": versions(),
        "commit": commit(),
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "runs": record.runs["run_id"].tolist(),
        "files": sorted(path.name for path in record.folder.iterdir() if path.suffix in SHOWN),
    }
    write_atomic(record.folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
