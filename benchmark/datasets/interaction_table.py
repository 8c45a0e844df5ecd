"""Data sets whose interactions are a CSV or Parquet table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.datasets.assembly import assemble, item_ids, number
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.modalities import find_features
from benchmark.datasets.reading import entries, is_called, read_table
from models.errors import UsageError

NAMES = ("interactions.csv", "interactions.parquet")
TITLES = "items.csv"
SPLITS = {
    "train": 0, "0": 0, "validation": 1, "valid": 1, "val": 1, "1": 1, "test": 2, "2": 2,
}  # fmt: skip


def read_interaction_table(folder: Path) -> Dataset:
    """Read one folder::

        shop/
          interactions.csv    user,item[,split]; or interactions.parquet, with pyarrow
          image.npy           row i belongs to item i: items are numbered from 0 then; or
          text.csv            item,f0,f1,...: a row per item, by the name it has in interactions; or
          audio.parquet       the same; or
          brand.json          {item: [numbers]}; or
          visual/             <item>.npy, in this folder or in folders in it (as Ducho writes them)
          items.csv           optional: item,title,genres,description

    ``split`` is train, validation or test. ``user_id``, ``userID``, ``item_id`` and so on will do
    as well; other columns, such as a timestamp, are ignored. Users, and items where no ``.npy``
    goes by row, are numbered in the order of their names (of whole numbers by size). Where no split
    is shipped, it depends on the order of the rows.

    Raises:
        UsageError: If a file is missing, unreadable or malformed; the message names it.
    """
    names = entries(folder)
    path = folder / next(name for name in NAMES if name in names)
    table = read_table(path)
    user, item = column(table, "user", path), column(table, "item", path)
    if user.empty:
        raise UsageError(f"{path}: holds no interaction; add one row per user-item pair")
    found = find_features(folder, (".npy", ".csv", ".parquet", ".json"), (*NAMES, TITLES))
    users, user_names = number(user)
    items, item_names = item_ids(item, found, path, str(item.name))
    known = folder / TITLES
    return assemble(
        path,
        f"a table of interactions ({path.name})",
        users,
        items,
        labels=_labels(table, path),
        num_users=len(user_names),
        num_items=len(item_names),
        features=found.features(item_names),
        item_table=about_items(read_table(known), known, item_names) if TITLES in names else None,
        user_names=user_names,
        item_names=item_names,
    )


def column(table: pd.DataFrame, what: str, path: Path) -> pd.Series[Any]:
    """The column of users or of items, however it is written; every row has one."""
    names = [name for name in table if is_called(name, what)]
    if len(names) != 1:
        raise UsageError(
            f"{path}: needs one column '{what}' or '{what}_id', has {len(names)} "
            f"({' '.join(', '.join(map(str, table.columns)).split())[:80]}); mend its header"
        )
    values = table[names[0]]
    is_name = pd.api.types.is_integer_dtype(values) or pd.api.types.is_string_dtype(values)
    if len(values) and not is_name:
        raise UsageError(
            f"{path}: '{str(names[0])[:40]}' holds {values.dtype} values; use integers or text"
        )
    empty = np.flatnonzero(values.isna() | (values == ""))
    if len(empty):
        raise UsageError(
            f"{path}: row {empty[0] + 1} has no '{str(names[0])[:40]}'; fill it in or remove it"
        )
    return values


def about_items(table: pd.DataFrame, path: Path, item_names: list[str]) -> pd.DataFrame:
    """What is known about the items as text, one row per item id; an empty field is unknown."""
    item = column(table, "item", path)
    rows = table.drop(columns=[str(item.name)]).set_axis(item.astype(str), axis=0)
    rows = rows[~rows.index.duplicated()].reindex(item_names)
    return rows.mask(rows == "").reset_index(drop=True).rename_axis("itemID")


def _labels(table: pd.DataFrame, path: Path) -> NDArray[np.int8] | None:
    split = next((name for name in table.columns if str(name).lower() in ("split", "x_label")), "")
    if not split:
        return None
    labels = table[split].astype(str).str.lower().map(SPLITS)
    wrong = np.flatnonzero(labels.isna())
    if len(wrong):
        raise UsageError(
            f"{path}: row {wrong[0] + 1} has '{str(table[split].iloc[wrong[0]])[:40]}' as "
            f"'{split}'; it needs to be train, validation or test"
        )
    return np.asarray(labels, dtype=np.int8)
