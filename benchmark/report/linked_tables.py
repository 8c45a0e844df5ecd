"""Tables of the report, in which every number knows the runs that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.experiments import PROPOSED
from benchmark.outputs import table2 as overall
from benchmark.outputs import tables
from benchmark.outputs.layout import PLAIN, percent, places
from benchmark.record import Record
from models.registry import label

STORED = ("runs", "trials")
"""Tables that hold the rows of all settings."""


@dataclass(frozen=True)
class Cell:
    """One place of a table.

    Args:
        text: What it says.
        target: The element of the page that it links to; empty without a run.
        place: 1 for the best of its row or column, 2 for the second, 0 for all others.
        mark: Of significance.
    """

    text: str
    target: str = ""
    place: int = 0
    mark: str = ""


@dataclass(frozen=True)
class Rows:
    """Rows under one heading, which may be empty; the first cell of each row is its own heading."""

    title: str
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Table:
    """Headings of the columns, and groups of rows."""

    columns: Sequence[str]
    groups: Sequence[Rows]


def configuration(run_id: str) -> str:
    """What the ids of one variant's runs, which differ in their seeds, have in common."""
    return run_id.rpartition("-")[0]


def target(run_ids: Sequence[str]) -> str:
    """The element that describes these runs of one variant: a single run, or all of them."""
    if len(run_ids) == 1:
        return f"run-{run_ids[0]}"
    return f"runs-{configuration(run_ids[0])}" if run_ids else ""


def number(
    value: float, spread: float, run_ids: Sequence[str], place: float = 0, mark: str = ""
) -> Cell:
    """A mean with its standard deviation, where there are several runs, and its place."""
    text = PLAIN.number(value, spread)
    return Cell(text, target(run_ids), int(place) if place < 3 else 0, mark)


def table2(record: Record, marks: pd.DataFrame) -> dict[str, Table]:
    """Overall performance, as :func:`benchmark.outputs.tables.table2` gives it, a group per metric.

    Args:
        record: With a row of Table 2.
        marks: Of significance, metrics in rows and models in columns; those missing are none.

    Returns:
        A table of the paper's models and one of the others, by their titles; their models compete
        with each other.
    """
    exact, deviation = tables.table2(record.overall, record.ks)
    mean, gain = exact.drop(columns="improvement_percent"), exact["improvement_percent"]
    signs = marks.reindex(index=mean.index, columns=mean.columns, fill_value="")
    parts = [frame.to_dict() for frame in (mean, deviation, places(mean.T).T, signs)]
    ids = record.done.groupby("variant")["run_id"].agg(list)
    ours = ids.get(label(PROPOSED), [])

    def cell(metric: str, model: str) -> Cell:
        if model == overall.GAIN:
            return Cell(percent(gain[metric]), target(ours))
        value, spread, place, sign = (part[model][metric] for part in parts)
        return number(value, spread, ids[model], place, sign)

    found = {}
    for title, models in overall.columns(record.overall, exact).items():
        groups = []
        for name in tables.METRICS:
            metrics = [f"{name}@{k}" for k in record.ks]
            rows = [
                [Cell(tables.heading(each)), *(cell(each, model) for model in models)]
                for each in metrics
            ]
            groups.append(Rows("", rows))
        found[title] = Table(["metric", *models], groups)
    return found


def fresh(path: Path, known: set[str]) -> pd.DataFrame | None:
    """The rows of a CSV file of the results, as text.

    Args:
        path: Of a file that names its rows' runs in the column ``runs`` or ``run_id``, if in any.
        known: Ids of the runs that the page describes.

    Returns:
        ``None`` if there is no such file, if it is no table, as one that somebody put there, or if
        it was made from other runs than the known ones and so belongs to other settings.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return None
    named = [*frame.get("runs", ()), *(frame.get("run_id", ()) if path.stem not in STORED else ())]
    return frame if set(" ".join(named).split()) <= known else None


def cells(frame: pd.DataFrame, ranked: bool) -> Table:
    """A table of an experiment's cells.

    Args:
        frame: As text: first what names a row, a group for every value of all but the last of
            these columns; then numbers, each spread in the column of its mean's name with
            ``_sd``, and changes with names in ``_percent``; and ``runs``.
        ranked: Whether the highest value of a column is the best.
    """
    ids = [run_ids.split() for run_ids in frame["runs"]]
    names = [str(name) for name in frame if name != "runs"]
    first = next(place for place, name in enumerate(names) if f"{name}_sd" in names)
    values = frame[names[first:]].apply(pd.to_numeric)
    means = [name for name in values if f"{name}_sd" in values]
    changes = [name for name in values if str(name).endswith("_percent")]
    shown = [name for name in values if name in (*means, *changes)]
    ranks = places(values[means])
    groups: dict[str, list[list[Cell]]] = {}
    for row, run_ids in enumerate(ids):
        *group, name = frame.iloc[row, :first]
        numbers = [
            number(
                values[each][row], values[f"{each}_sd"][row], run_ids,
                ranks[each][row] if ranked else 0,
            )
            if each in means
            else Cell(percent(values[each][row]), target(run_ids))
            for each in shown
        ]  # fmt: skip
        groups.setdefault(", ".join(group), []).append([Cell(name), *numbers])
    titles = [tables.heading(str(name)) if name in means else "change" for name in shown]
    return Table(
        [tables.heading(names[first - 1]), *titles], [Rows(*group) for group in groups.items()]
    )
