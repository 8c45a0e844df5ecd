"""What every study tried and found, from stored trials alone."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmark.outputs.layout import MARKDOWN, TABLE, remove
from benchmark.outputs.tables import judged_on
from benchmark.record import Record
from benchmark.search import COLUMNS
from benchmark.tuning import JUDGED_AT
from benchmark.writing import write_atomic

ENDS = ("complete", "pruned", "diverged", "failed")
"""How a trial can end."""

NEAR = 0.05
"""What a sampler proposed counts as an edge within this part of the range."""


def write(record: Record) -> None:
    """Write ``studies.csv`` and ``studies.md`` if there is a trial."""
    if record.trials.empty:
        remove(record.folder, "studies", TABLE)
        return
    data = judged_on(record.identity)
    found = pd.DataFrame([summary(rows) for rows in by_study(record.trials)])
    write_atomic(record.folder / "studies.csv", found.to_csv(index=False, lineterminator="\n"))
    shown = found.drop(columns=["study", "candidates", "edge"])
    shown["value"] = shown["value"].map("{:.4f}".format)
    shown["seconds"] = shown["seconds"].map("{:.0f}".format)
    shown["best"] = [", ".join(f"{k} {v}" for k, v in json.loads(b).items()) for b in shown["best"]]
    notes = [note for rows in by_study(record.trials) for note in notes_on(rows)]
    shown = shown.rename(columns={"value": f"{data} recall@{JUDGED_AT}"})
    shown = shown.map(lambda value: MARKDOWN.text(value) if isinstance(value, str) else value)
    table = shown.to_markdown(index=False, disable_numparse=True)
    legend = (
        f"One study per model, on {data} data; seconds are of all its trials. Pruned trials were "
        "given up because they did worse than the median of those before them; diverged ones had "
        "an infinite loss; failed ones crashed. None of them can be the best."
    )
    text = "\n".join([f"{table}\n\n{legend}\n", *(f"- {note}" for note in dict.fromkeys(notes))])
    write_atomic(record.folder / "studies.md", text.rstrip("\n") + "\n")


def by_study(trials: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each study in the order of their cells, with its own hyper-parameters only."""
    if trials.empty:
        return []
    studies = trials["run_id"].str.rpartition("-")[0]
    found = []
    for _, rows in trials.groupby(studies, sort=False):
        cells = rows["run_id"].str.rpartition("-")[2].astype(int)
        used = [name for name in rows if name in COLUMNS or (rows[name] != "").any()]
        found.append(rows.loc[cells.sort_values().index, used].reset_index(drop=True))
    return found


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """One row of ``studies.csv``.

    Args:
        rows: Of one study, as :func:`by_study` gives them.

    Returns:
        The model's label; ``study``; ``sampler``; the number of trials ``planned``, and of those
        that were each of :data:`ENDS`; ``value``, the best validation recall@10; ``best``, its
        hyper-parameters as JSON; ``seconds`` of all trials; ``candidates`` of the hyper-parameters
        as JSON; and ``edge``, those whose best value is the smallest or largest candidate.
    """
    complete = rows[rows["state"] == "complete"]
    states = rows["state"].value_counts()
    return {
        "model": rows["variant"].iloc[0],
        "study": rows["run_id"].iloc[0].rpartition("-")[0],
        "sampler": sampler(rows),
        "planned": planned(rows),
        **{end: int(states.get(end, 0)) for end in ENDS},
        "value": complete["value"].max(),
        "best": json.dumps(best(rows)),
        "seconds": round(rows["seconds"].sum(), 1),
        "candidates": json.dumps(candidates(rows)),
        "edge": " ".join(edges(rows)),
    }


def sampler(rows: pd.DataFrame) -> str:
    """Who chose the hyper-parameters; rows without the column are of the grid."""
    return str(told(rows, "sampler") or "grid")


def planned(rows: pd.DataFrame) -> int:
    """Number of trials of the whole study; without the column, of the grid that is seen."""
    grid = math.prod(len(values) for values in candidates(rows).values())
    return int(told(rows, "planned") or max(grid, len(rows)))


def best(rows: pd.DataFrame) -> dict[str, Any]:
    """The hyper-parameters of the first best trial; none if no trial came to an end."""
    complete = rows[rows["state"] == "complete"]
    if complete.empty:
        return {}
    winner = complete.sort_values("value", ascending=False, kind="stable").iloc[0]
    return {name: number(winner[name]) for name in candidates(rows)}


def candidates(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """What each hyper-parameter could be; without the column, what it was in some trial."""
    if space := told(rows, "space"):
        return dict(json.loads(space))
    names = [str(name) for name in rows if name not in COLUMNS]
    return {name: [number(text) for text in rows[name].unique()] for name in names}


def edges(rows: pd.DataFrame) -> list[str]:
    """The hyper-parameters whose best value is the smallest or the largest that was allowed."""
    near = NEAR if sampler(rows) == "tpe" else 0.0
    spaces = candidates(rows)
    return [name for name, value in best(rows).items() if is_edge(value, spaces[name], near)]


def is_edge(value: Any, values: Sequence[Any], near: float) -> bool:
    """Whether a number is an end of its candidates, or this near to one on a logarithmic scale."""
    if len(set(values)) < 2 or not all(isinstance(each, int | float) for each in values):
        return False
    low, high = min(values), max(values)
    if low > 0 and near > 0:
        place = math.log(value / low) / math.log(high / low)
        return min(place, 1 - place) <= near
    return value in (low, high)


def notes_on(rows: pd.DataFrame) -> list[str]:
    """What a reader of the table should know about a study."""
    label, notes = rows["variant"].iloc[0], []
    for name in edges(rows):
        values, value = candidates(rows)[name], best(rows)[name]
        if sampler(rows) == "grid" and len(values) == 2:
            notes.append(
                "Where a hyper-parameter has two candidates, both are edges, and the best one may "
                "lie beyond them."
            )
        else:
            notes.append(
                f"**Warning**, {MARKDOWN.text(label)}: the best {name}, {value:g}, is at the edge "
                f"of what was tried ({min(values):g} to {max(values):g}); widen the grid."
            )
    for state in ("diverged", "failed"):
        ended = rows[rows["state"] == state]
        for reason, count in ended["reason"].value_counts().items():
            notes.append(
                MARKDOWN.text(f"{label}: {count} {state}, {' '.join(str(reason).split())}")
            )
    if missing := planned(rows) - int(rows["state"].isin(ENDS[:3]).sum()):
        notes.append(f"{MARKDOWN.text(label)}: {missing} of {planned(rows)} trials have no result.")
    return notes


def told(rows: pd.DataFrame, column: str) -> str:
    """What the newest rows of a study say in a column that older ones lack."""
    return next((text for text in rows.get(column, ()) if isinstance(text, str) and text), "")


def number(text: str) -> Any:
    """A hyper-parameter as it was before it was stored, if it was a number."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
