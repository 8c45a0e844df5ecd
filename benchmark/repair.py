"""Damaged files are set aside, never deleted, and what can still be read of them is kept."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.command import one_line
from benchmark.foreign_files import check_file, read_arrays

Row = dict[str, str]

UNREADABLE = (ValueError, csv.Error)
"""What reading a damaged file raises, beside :class:`OSError`."""

MARK = ".damaged-"

NEEDED = ("run_id", "variant", "model")
"""Columns without which a row tells nothing."""

NUMBERS = ("seed", "epochs", "train_seconds", "peak_memory_mib", "value", "seconds")
"""Columns of numbers, beside the metrics, whose names hold an ``@``; all others are text."""

OBJECTS = ("params", "versions", "space")
"""Columns of JSON objects."""


def set_aside(path: Path, why: str, then: str, companions: Sequence[str] = ()) -> None:
    """Rename a damaged file to ``<name>.damaged-<n>``, and say so in one line.

    Args:
        path: The file.
        why: What is wrong with it.
        then: What becomes of what it held.
        companions: Endings of files that belong to it and go with it, where they exist.
    """
    target = spare_name(path)
    for ending in companions:
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(target.with_name(target.name + ending))
    path.rename(target)
    tell(path, why, target, then)


def spare_name(path: Path) -> Path:
    """The first ``<name>.damaged-<n>`` that there is not yet."""
    names = (path.with_name(f"{path.name}{MARK}{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def tell(path: Path, why: str, target: Path, then: str) -> None:
    """One line on the standard error stream."""
    aside = f"set aside as '{target.name}'; {then}"
    print(f"'{path}' is damaged ({one_line(why)}): {aside}", file=sys.stderr)


def is_set_aside(path: Path) -> bool:
    """Whether a file was set aside, and nothing has come in its place."""
    return not path.exists() and any(path.parent.glob(f"{glob.escape(path.name)}{MARK}*"))


def mend(path: Path, write: Callable[[Sequence[Row]], None]) -> None:
    """Keep what can be read of ``runs.csv`` or ``trials.csv``, with the whole of it set aside.

    Args:
        path: The table, if there is one.
        write: Replaces the table.
    """
    if not path.exists():
        return
    check_file(path)
    kept, flaws = salvaged(path.read_bytes())
    if flaws:
        then = f"rows that can be read are kept ({len(kept)}), the others are run again"
        target = spare_name(path)
        shutil.copyfile(path, target)  # and not renamed: what comes next may fail
        tell(path, flaws[0], target, then)
        write(kept)


def set_aside_if_unreadable(path: Path) -> None:
    """Read a whole file, ``.npz`` or ``.csv``, that was kept of a run."""
    try:
        check_file(path)
        if path.suffix == ".csv":
            parsed(path.read_bytes())
        else:
            read_arrays(path)  # compares the check sums
    except UNREADABLE as error:
        set_aside(path, str(error), "its run is repeated when it is asked for")


def parsed(content: bytes) -> list[Row]:
    """The rows of a CSV file as text.

    Raises:
        ValueError: If it is no text, has no header, or a row has another length than the header.
        csv.Error: If quotes do not match.
    """
    text = content.decode("utf-8-sig")  # spreadsheets put a mark in front
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    header, *rows = [line for line in lines if line] or [[]]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has another length than the header")
    if not content.endswith(b"\n"):
        raise ValueError("its end is cut off")
    return [dict(zip(header, row, strict=True)) for row in rows]


def salvaged(content: bytes) -> tuple[list[Row], list[str]]:
    """The rows of a table that can be read, and what is wrong with the others."""
    kept, flaws = list[Row](), list[str]()
    header, *lines = content.splitlines(keepends=True) or [b""]
    try:
        check_header(header)
    except UNREADABLE as error:
        return [], [f"its header: {error}"]
    try:
        rows: Sequence[Row | bytes] = parsed(content)
    except UNREADABLE:
        rows = lines  # a row may hold line breaks, but who knows which those of a damaged file are
    for number, row in enumerate(rows, start=1):
        try:
            [whole] = parsed(header + row) if isinstance(row, bytes) else [row]
            examine(whole)
            kept.append(whole)
        except UNREADABLE as error:
            flaws.append(f"row {number}: {error}")
    return kept, flaws


def check_header(line: bytes) -> None:
    """Whether the first line of a table names the columns that every row needs.

    Raises:
        ValueError: If not.
    """
    columns = next(csv.reader([line.decode("utf-8-sig")], strict=True), [])
    if missing := set(NEEDED) - set(columns):
        raise ValueError(f"no column '{min(missing)}'")


def is_number(column: str) -> bool:
    """Whether a column of the tables holds numbers."""
    return "@" in column or column in NUMBERS


def examine(row: Row) -> None:
    """Whether the fields of a row are what their columns hold.

    Raises:
        ValueError: If not.
    """
    for name, value in row.items():
        if "\0" in value or (not value and name in NEEDED):
            raise ValueError(f"{value!r} in column '{name}'")
        try:
            if is_number(name):
                float(value or "nan")
            elif name in OBJECTS and value and type(json.loads(value)) is not dict:
                raise ValueError("no JSON object")
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{str(error)[:200]} in column '{name}'") from error
    name = row["run_id"]  # which files are called after
    if not name.isprintable() or "/" in name or "\\" in name or name.startswith("."):
        raise ValueError(f"{name[:40]!r} is no id")
