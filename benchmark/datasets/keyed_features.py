"""Features that name their items, in a table, a JSON file or a folder of one file per item."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.placement import place
from benchmark.datasets.reading import is_called, open_array, read_table, readable
from models.errors import UsageError

DEEPEST = 6
"""Levels of folders in which the files of items are looked for."""


def item_folders(folder: Path) -> list[Path]:
    """The folders of ``.npy`` files in and below a folder; links to folders are not followed."""

    def stop(error: OSError) -> None:
        raise error

    found = []
    with readable(folder):
        for here, inner, files in os.walk(folder, onerror=stop):
            if any(file.endswith(".npy") for file in files):
                found.append(Path(here))
            if len(Path(here).relative_to(folder).parts) >= DEEPEST:
                inner.clear()
    return sorted(found)


def read_keyed(path: Path, modality: str, item_names: Sequence[str]) -> NDArray[np.float32]:
    """The features of the named items.

    Args:
        path: ``*.csv`` or ``*.parquet`` (``item``, then one number per column), ``*.json``
            (``{item: [numbers]}``), or a folder of files ``<item>.npy``.
        modality: For messages.
        item_names: By item id.

    Returns:
        ``[num_items, feature_dim]``; items that are not there have zeros.

    Raises:
        UsageError: If the file is malformed, or knows none of the items.
    """
    if path.is_dir():
        return place(*_from_folder(path, item_names), path, modality, item_names)
    if path.suffix == ".json":
        return place(*_from_json(path), path, modality, item_names)
    return place(*_from_table(path), path, modality, item_names)


def _from_table(path: Path) -> tuple[list[str], NDArray[Any]]:
    table = read_table(path, keyed=True)
    if len(table.columns) < 2 or table.empty:
        raise UsageError(f"{path}: needs a column of items, columns of numbers, and a row per item")
    if not is_called(table.columns[0], "item"):
        raise UsageError(
            f"{path}: its first column is '{str(table.columns[0])[:40]}', not 'item' or 'item_id'; "
            f"rename the column, or move the file away if it holds no features of items"
        )
    try:
        with np.errstate(over="ignore"):
            rows = table.iloc[:, 1:].to_numpy(np.float32)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: every column after the first needs to hold numbers") from error
    return table.iloc[:, 0].astype(str).tolist(), rows


def _from_json(path: Path) -> tuple[list[str], list[Any]]:
    try:
        with readable(path), path.open(encoding="utf-8-sig") as file:
            # as pairs, since a dictionary would drop what comes twice
            pairs = json.load(file, object_pairs_hook=list)
    except UsageError:
        raise
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is no JSON ({error}); write it again") from error
    wrong = not isinstance(pairs, list) or not pairs
    if wrong or any(type(p) is not tuple or not isinstance(p[1], list) for p in pairs):
        raise UsageError(f"{path}: needs to be {{item: [numbers]}}; mend it or move it away")
    return [name for name, _ in pairs], [row for _, row in pairs]


def _from_folder(folder: Path, item_names: Sequence[str]) -> tuple[list[str], list[Any]]:
    wanted, names, rows = set(item_names), [], []
    with readable(folder):
        files = sorted(file for file in folder.iterdir() if file.suffix == ".npy")
    for file in files:
        if file.stem not in wanted:
            continue
        vector = np.asarray(open_array(file, "extract it again")).squeeze()
        if vector.dtype.kind not in "fiu" or vector.ndim > 1:
            raise UsageError(
                f"{file}: holds {vector.dtype} values of shape {vector.shape} instead of the "
                f"vector of one item; extract it again"
            )
        names.append(file.stem)
        with np.errstate(over="ignore"):
            rows.append(np.array(vector, dtype=np.float32).reshape(-1))
    if not names:
        raise UsageError(
            f"{folder}: no file is named after an item, like '{item_names[0][:40]}.npy'; "
            f"rename the files, or move the folder away"
        )
    return names, rows
