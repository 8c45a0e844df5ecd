"""Data sets in the folder layout of MMRec."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from benchmark.datasets.dataset import Dataset, check_finite
from models.errors import UsageError

USER, ITEM, LABEL = "userID", "itemID", "x_label"
PARTS = ("train", "validation", "test")
LARGEST_ID = 100_000_000
"""Every id up to the largest gets an embedding, so ids that do not count from 0 are refused."""


def read_mmrec(folder: Path) -> Dataset:
    """Read one folder.

    - ``<name>.inter``: tab-separated with a header; ``userID``, ``itemID`` and, if the data ships
      a split, ``x_label`` (0 train, 1 validation, 2 test). Other columns are ignored.
    - any number of ``<modality>_feat.npy``: row i belongs to item i.
    - optional ``<name>.item``: tab-separated; ``itemID``, ``title``, ``genres``, ``description``.

    Raises:
        UsageError: If a file is missing, unreadable or malformed; the message names it.
    """
    with _readable(folder):
        names = sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".")
    inter_path = folder / _only(names, ".inter", folder)
    inter = _read_inter(inter_path)
    users, items = inter[USER].to_numpy(), inter[ITEM].to_numpy()
    modalities = [name.removesuffix("_feat.npy") for name in names if name.endswith("_feat.npy")]
    features = {name: _read_features(folder, name) for name in modalities}
    num_items = _catalogue_size(items, features, inter_path)
    item_table = None
    if any(name.endswith(".item") for name in names):
        item_table = _read_items(folder / _only(names, ".item", folder), num_items)
    dataset = Dataset.from_pairs(
        name=folder.absolute().name,
        source=f"files in the MMRec layout ({inter_path.name})",
        users=users,
        items=items,
        num_users=int(users.max()) + 1,
        num_items=num_items,
        features=features,
        labels=inter[LABEL].to_numpy(np.int8) if LABEL in inter else None,
        item_table=item_table,
    )
    if dataset.labels is not None:
        for label, part in enumerate(PARTS):
            if label not in dataset.labels:
                raise UsageError(
                    f"{inter_path}: the {part} part is empty (no pair has {LABEL} {label}); "
                    f"label some rows {label}, or drop the column to have a split drawn"
                )
    return dataset


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading ``path`` into a :class:`UsageError`."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text; save it in UTF-8") from error
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error


def _only(names: list[str], ending: str, folder: Path) -> str:
    """The one file name with this ending."""
    found = [name for name in names if name.endswith(ending)]
    if len(found) != 1:
        raise UsageError(
            f"{folder}: needs exactly one *{ending} file, has {', '.join(found) or 'none'}; "
            f"add the file, or move all but one away"
        )
    return found[0]


def _read_inter(path: Path) -> pd.DataFrame:
    """The columns that count, as integers, every value checked."""
    with _readable(path), path.open(encoding="utf-8-sig") as file:
        header = file.readline().rstrip("\n").split("\t")
    if header == [""]:
        raise UsageError(f"{path}: is empty; add a header and one line per user-item pair")
    for column in (USER, ITEM):
        if column not in header:
            raise UsageError(
                f"{path}: has no column '{column}' in its first line ({', '.join(header)[:80]}); "
                f"start the file with a header '{USER}<tab>{ITEM}<tab>{LABEL}'"
            )
    columns = [column for column in (USER, ITEM, LABEL) if column in header]
    try:
        with _readable(path), warnings.catch_warnings():
            # what pandas merely warns of here is a row longer than the header
            warnings.simplefilter("error", pd.errors.ParserWarning)
            inter = pd.read_csv(
                path,
                sep="\t",
                encoding="utf-8-sig",
                quoting=csv.QUOTE_NONE,
                index_col=False,
                low_memory=False,
                dtype=dict.fromkeys(columns, np.int64),
            )[columns]
    except UsageError:
        raise
    except (ValueError, OverflowError, pd.errors.ParserWarning) as error:
        raise UsageError(_first_bad_line(path, header, columns)) from error
    if inter.empty:
        raise UsageError(f"{path}: holds no interaction; add one line per user-item pair")
    for column, largest in ((USER, LARGEST_ID), (ITEM, LARGEST_ID), (LABEL, 2)):
        if column in inter:
            wrong = np.flatnonzero(~inter[column].between(0, largest))
            if len(wrong):
                raise UsageError(
                    f"{path}: '{column}' of interaction {wrong[0] + 1} is "
                    f"{inter[column].iloc[wrong[0]]}; it needs to be in 0..{largest}: "
                    + ("0 train, 1 validation, 2 test" if column == LABEL else "count ids from 0")
                )
    return inter


def _first_bad_line(path: Path, header: list[str], columns: list[str]) -> str:
    """Say which line kept the file from being read; only wrong files are read a second time."""
    places = [header.index(column) for column in columns]
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            fields = line.rstrip("\n").split("\t")
            if number == 1 or fields == [""]:
                continue
            if len(fields) != len(header):
                return (
                    f"{path}: line {number} has {len(fields)} tab-separated fields, the header "
                    f"has {len(header)}; mend or remove the line"
                )
            for place in places:
                if not re.fullmatch(r"-?[0-9]{1,18}", fields[place]):
                    return (
                        f"{path}: line {number} has '{fields[place][:40]}' as '{header[place]}'; "
                        f"it needs to be an integer"
                    )
    return f"{path}: is no plain tab-separated table of integers; write it again without quotes"


def _read_features(folder: Path, modality: str) -> NDArray[Any]:
    """One feature matrix, left on disk until it is used; objects are never unpickled."""
    path = folder / f"{modality}_feat.npy"
    fix = "save it with numpy.save as a float32 matrix [items, dim]"
    try:
        with _readable(path):
            matrix: NDArray[Any] = open_memmap(path, mode="r")
    except UsageError:
        raise
    except ValueError as error:
        detail = " ".join(str(error).split())
        raise UsageError(f"{path}: is no plain array in .npy format ({detail}); {fix}") from error
    if matrix.dtype.kind not in "fiu":
        raise UsageError(f"{path}: holds {matrix.dtype} values instead of real numbers; {fix}")
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise UsageError(f"{path}: has shape {matrix.shape} instead of [items, dim]; {fix}")
    check_finite(matrix, modality, path)
    return matrix


def _catalogue_size(
    items: NDArray[np.int64], features: dict[str, NDArray[Any]], inter_path: Path
) -> int:
    """The common number of feature rows; without features, as many as the largest id asks for."""
    largest = int(items.max())
    if not features:
        return largest + 1
    rows = {f"{modality}_feat.npy": len(matrix) for modality, matrix in features.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{file} {count}" for file, count in rows.items())
        raise UsageError(
            f"{inter_path.parent}: feature files have different row counts ({counts}); "
            f"every file needs one row per item, zeros where an item lacks the modality"
        )
    file, count = next(iter(rows.items()))
    if largest >= count:
        raise UsageError(
            f"{inter_path}: '{ITEM}' {largest} is out of range of {file}, which has {count} rows; "
            f"row i of a feature file belongs to item i: add the missing rows or renumber the items"
        )
    return count


def _read_items(path: Path, num_items: int) -> pd.DataFrame:
    """What is known about the items as text, one row per item id."""
    try:
        # only an empty field is unknown: films are called 'NA' and 'Null'
        with _readable(path):
            table = pd.read_csv(
                path,
                sep="\t",
                encoding="utf-8-sig",
                dtype=str,
                keep_default_na=False,
                na_values=[""],
            )
        table[ITEM] = table[ITEM].astype(np.int64)
    except UsageError:
        raise
    except (ValueError, KeyError) as error:
        detail = " ".join(str(error).split())
        raise UsageError(
            f"{path}: is no tab-separated table with an integer column '{ITEM}' "
            f"({detail}); mend it, or remove the file: it is optional"
        ) from error
    return table.drop_duplicates(ITEM).set_index(ITEM).reindex(range(num_items))
