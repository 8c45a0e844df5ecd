"""What is written about the planted hierarchy."""

from __future__ import annotations

import matplotlib

from benchmark.outputs import figures
from benchmark.outputs.hierarchy_figure import drawn
from benchmark.outputs.hierarchy_study import study
from benchmark.outputs.hierarchy_table import write_study
from benchmark.outputs.layout import PICTURE, TABLE, remove
from benchmark.record import Record


def write(record: Record) -> None:
    """Write ``hierarchy.csv``, ``.md``, ``.tex``, ``.png`` and ``.pdf``.

    Nothing if the study was not asked for or has no run.
    """
    experiment = record.experiment("hierarchy")
    if experiment is None:
        return
    found = study(experiment, record)
    if found.empty:
        remove(record.folder, experiment.name, (*TABLE, *PICTURE))
        return
    write_study(experiment, found, record)
    with matplotlib.rc_context(figures.STYLE):
        figures.save(drawn(found, f"recall@{record.k}"), record.folder, experiment.name)
