"""From what was read to a data set: ids for names, and every number checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.datasets.dataset import Dataset
from benchmark.datasets.modalities import Found, Ids, check_size
from models.errors import UsageError

PARTS = ("train", "validation", "test")

WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
"""A number that fits into int64 and is written in the one usual way."""


def number(tokens: pd.Series[Any]) -> tuple[Ids, list[str]]:
    """Ids for names: in ascending order, of numbers if all are whole numbers, else of text.

    Returns:
        The id of every row, and the names by id.
    """
    codes, found = pd.factorize(tokens)
    names = [str(name) for name in found]
    numbers = all(map(WHOLE_NUMBER.fullmatch, names))
    order = sorted(range(len(names)), key=lambda code: int(names[code]) if numbers else names[code])
    ids = np.empty(len(names), dtype=np.int64)
    ids[order] = np.arange(len(names))
    return ids[codes], [names[code] for code in order]


def item_ids(
    tokens: pd.Series[Any], found: Found, path: Path, column: str
) -> tuple[Ids, list[str]]:
    """Ids for items: their own numbers where features go by these, else those of :func:`number`."""
    ids, names = number(tokens)
    count = found.num_items
    if count is None:
        return ids, names
    file = next(iter(found.files.values())).name
    for name in names:
        if not WHOLE_NUMBER.fullmatch(name):
            raise UsageError(
                f"{path}: item '{name[:40]}' is no row number of {file}; number the items from 0, "
                f"or save the features as a table '{Path(file).stem}.csv' that names its items"
            )
    ids = np.asarray(names, dtype=np.int64)[ids]
    found.size(ids, path, column)
    return ids, [str(item) for item in range(count)]


def assemble(
    path: Path,
    layout: str,
    users: Ids,
    items: Ids,
    *,
    labels: NDArray[np.int8] | None,
    num_users: int,
    num_items: int,
    features: Mapping[str, NDArray[Any]],
    item_table: pd.DataFrame | None = None,
    user_names: Sequence[str] | None = None,
    item_names: Sequence[str] | None = None,
) -> Dataset:
    """Check what was read and make it a data set, named after its folder.

    Args:
        path: The file of interactions, for messages.
        layout: Of the files, in words.
        users: ``[num_rows]``
        items: ``[num_rows]``
        labels: ``[num_rows]``: 0 train, 1 validation, 2 test; ``None`` if no split is shipped.
        num_users: Size of the user set.
        num_items: Size of the catalogue.
        features: Per modality ``[num_items, feature_dim]``.
        item_table: One row per item.
        user_names: By user id; ``None`` if the files number the users like this, too.
        item_names: The same of the items.
    """
    if len(users) == 0:
        raise UsageError(f"{path}: holds no interaction; add one line per user-item pair")
    check_size("user", num_users, len(users), path)
    if not features:
        check_size("item", num_items, len(items), path)
    dataset = Dataset.from_pairs(
        name=path.parent.absolute().name,
        source=layout,
        users=users,
        items=items,
        num_users=num_users,
        num_items=num_items,
        features=features,
        labels=labels,
        item_table=item_table,
        user_names=user_names,
        item_names=item_names,
    )
    for label, part in enumerate(PARTS):
        if dataset.labels is not None and label not in dataset.labels:
            raise UsageError(
                f"{path}: the {part} part is empty (no pair has x_label {label}); "
                f"label some rows {label}, or drop the column to have a split drawn"
            )
    return dataset
