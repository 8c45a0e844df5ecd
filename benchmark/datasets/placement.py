"""Features that name their items, brought into the order of item ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.datasets.dataset import check_finite
from models.errors import UsageError

LARGEST_MATRIX = 10**10
"""Numbers that the features of one modality may have, 40 GB in float32."""


def place(
    names: Sequence[str], rows: Any, path: Path, modality: str, item_names: Sequence[str]
) -> NDArray[np.float32]:
    """Bring rows into the order of the items; zeros where an item has none.

    Args:
        names: Of the items that have a row.
        rows: As many, of one length; nested lists or an array.
        path: Where they were read, for messages.
        modality: For messages.
        item_names: By item id.
    """
    fix = "every item needs as many numbers"
    wanted = pd.Index(item_names)
    given = pd.Index(names)
    if not given.is_unique:
        twice = given[given.duplicated()][0]
        raise UsageError(f"{path}: item '{twice[:40]}' comes twice; keep one of its rows")
    try:
        with np.errstate(over="ignore"):
            matrix = np.asarray(rows, dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise UsageError(f"{path}: {_first_odd(names, rows)}; {fix}") from error
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise UsageError(f"{path}: its rows are no vectors (shape {matrix.shape}); {fix}")
    if len(wanted) * matrix.shape[1] > LARGEST_MATRIX:
        raise UsageError(
            f"{path}: {len(wanted)} items of {matrix.shape[1]} numbers are too many; "
            f"reduce their dimension, for instance with sklearn.decomposition.PCA"
        )
    check_finite(matrix, modality, path)
    where = wanted.get_indexer(given)  # -1: an item without interactions
    if not (where >= 0).any():
        raise UsageError(
            f"{path}: knows none of the items, which are called like '{item_names[0][:40]}', by "
            f"its own names, like '{given[0][:40]}'; use the same names in both"
        )
    placed = np.zeros((len(wanted), matrix.shape[1]), dtype=np.float32)
    placed[where[where >= 0]] = matrix[where >= 0]
    return placed


def _first_odd(names: Sequence[str], rows: Any) -> str:
    """What is wrong with the first row that is no vector as long as the one before it."""
    length = None
    for name, row in zip(names, rows, strict=True):
        try:
            vector = np.asarray(row, dtype=np.float32)
        except (ValueError, TypeError, OverflowError):
            return f"the row of item '{name[:40]}' is no list of numbers"
        if length not in (None, vector.shape):
            return (
                f"the row of item '{name[:40]}' has shape {vector.shape}, those before it {length}"
            )
        length = vector.shape
    return "its rows are no lists of numbers"
