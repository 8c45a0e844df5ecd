"""Everything that is written from stored rows: tables, figures, the report, the manifest."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import torch

from benchmark.machine import commit, device_name, versions
from benchmark.outputs import (
    ablation,
    beyond,
    by_popularity,
    cold_start,
    curves,
    figure4,
    figures,
    hierarchy,
    missing_figure,
    missing_table,
    planted,
    precision,
    protocol_table,
    significance,
    study_plots,
    study_tables,
    table1,
    table2,
    tables,
)
from benchmark.paper import checks, comparison
from benchmark.record import Record
from benchmark.report import page
from benchmark.writing import write_atomic

TABLES = (
    table2.write,
    tables.write,
    beyond.write,
    by_popularity.write,
    protocol_table.write,
    ablation.write,
    missing_table.write,
    precision.write,
    significance.write,
    study_tables.write,
)
"""Those that need the stored rows and nothing of the data."""

FIGURES = (missing_figure.write, study_plots.write, figures.write, curves.write)
"""The same."""

TABLES_OF_DATA = (
    table1.write,
    cold_start.write,
    hierarchy.write,
    planted.write,
    comparison.write,
)
"""Those that need the data as well, some with a figure of their own."""

WRITERS = (
    *TABLES,
    *TABLES_OF_DATA,
    *FIGURES,
    figure4.write,
    page.write,  # shows what the others have written
)
"""All, in their order; each writes the files it can, and none for what has no run yet."""

SHOWN = (".csv", ".md", ".tex", ".png", ".pdf", ".html")


def write_outputs(record: Record, seeds: int, device: torch.device) -> None:
    """All files that the rows allow; nothing if there is no row.

    What another process is writing is waited for, and the rows are read then, so that of two that
    end together the later one leaves everything as all rows say.
    """
    with record.store.claim("outputs"):
        if not record.runs.empty:
            checks.write(record.folder.parent)
            for write in WRITERS:
                write(record)
            write_manifest(record, seeds, device)


def write_manifest(record: Record, seeds: int, device: torch.device) -> None:
    """``manifest.json``: what the files are about, and what they were made with."""
    manifest = {
        "dataset": record.dataset.describe(),
        "settings": {**record.identity, "seeds": seeds, "ks": list(record.ks)},
        "experiments": [each.name for each in record.experiments],
        "models": list(dict.fromkeys(v.model for e in record.experiments for _, v in e.cells)),
        "device": device_name(device),
        "versions": versions(),
        "commit": commit(),
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "runs": record.runs["run_id"].tolist(),
        "files": sorted(path.name for path in record.folder.iterdir() if path.suffix in SHOWN),
    }
    write_atomic(record.folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
