"""Data sets in RecBole's atomic files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.datasets.assembly import assemble, item_ids, number
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.interaction_table import about_items, column
from benchmark.datasets.modalities import check_name, find_features
from benchmark.datasets.placement import place
from benchmark.datasets.reading import columns, entries, only, read_table
from models.errors import UsageError

WELL_KNOWN = {"movie_title": "title", "class": "genres"}
"""Names of columns in RecBole's own data sets, and what the suite calls them."""

PARTS = (".train.inter", ".valid.inter", ".test.inter")


def is_atomic(path: Path) -> bool:
    """Whether the header says the type of every column, as in ``user_id:token``."""
    try:
        return all(":" in name for name in columns(path, "\t"))
    except UsageError:  # the reader of the other kind of file will say what is wrong
        return False


def read_atomic_files(folder: Path) -> Dataset:
    """Read one folder::

        ml-100k/
          ml-100k.inter     tab-separated: user_id:token  item_id:token  [rating:float ...]
          ml-100k.item      optional: item_id:token  title:token_seq  image_emb:float_seq ...
          text_feat.npy     optional: row i belongs to the item of token i; or
          audio.json        {item token: [numbers]}; or a folder of <item token>.npy

    or ``.train.inter``, ``.valid.inter`` and ``.test.inter``, which are the split then. Every row
    is an interaction, whatever its rating. Each ``float_seq`` of the items is a modality; an empty
    one is missing. Users, and items where no ``.npy`` goes by row, are numbered in the order of
    their tokens (of whole numbers by size), and not, as in RecBole, of their appearance; there is
    no id for padding. Items without an interaction are left out.

    Raises:
        UsageError: If a file is missing, unreadable or malformed; the message names it.
    """
    names = entries(folder)
    if any(name.endswith(PARTS) for name in names):
        paths = [folder / only(names, ending, folder) for ending in PARTS]
    else:
        paths = [folder / only(names, ".inter", folder)]
    tables, path = [_read(path) for path in paths], paths[0]
    user, item = (
        pd.concat([column(*each) for each in zip(tables, [what] * len(paths), paths, strict=True)])
        for what in ("user", "item")
    )
    if user.empty:
        raise UsageError(f"{path}: holds no interaction; add one line per user-item pair")
    labels = np.repeat(np.arange(len(tables), dtype=np.int8), [len(each) for each in tables])
    found = find_features(folder, ("_feat.npy", ".json"))
    users, user_names = number(user)
    items, item_names = item_ids(item, found, path, "item")
    features, item_table = found.features(item_names), None
    if any(name.endswith(".item") for name in names):
        known = folder / only(names, ".item", folder)
        about, vectors = _read(known), _sequences(known)
        for name in vectors:
            if name in features:
                raise UsageError(f"{known}: has modality '{name}', and so has a file; keep one")
            features[name] = _vectors(about, name, known, item_names)
        item_table = about_items(about.drop(columns=vectors), known, item_names)
        better = {old: new for old, new in WELL_KNOWN.items() if new not in item_table}
        item_table = item_table.rename(columns=better)
    return assemble(
        path,
        f"atomic files of RecBole ({path.name})",
        users,
        items,
        labels=labels if len(tables) == len(PARTS) else None,
        num_users=len(user_names),
        num_items=len(item_names),
        features=features,
        item_table=item_table,
        user_names=user_names,
        item_names=item_names,
    )


def _read(path: Path) -> pd.DataFrame:
    """The table as text, its columns without their types."""
    table = read_table(path, "\t").rename(columns=lambda name: str(name).partition(":")[0])
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise UsageError(f"{path}: has two columns '{str(twice)[:40]}'; keep one")
    return table


def _sequences(path: Path) -> list[str]:
    """The columns of several numbers."""
    header = [name.partition(":") for name in columns(path, "\t")]
    return [name for name, _, kind in header if kind == "float_seq"]


def _vectors(
    about: pd.DataFrame, name: str, path: Path, item_names: list[str]
) -> NDArray[np.float32]:
    """A column of numbers with spaces between them as features of the items."""
    check_name(name, path)
    some = about[about[name] != ""]
    if some.empty:
        raise UsageError(f"{path}: column '{name}' is empty; fill it in, or take it out")
    rows: list[Any] = [text.split() for text in some[name]]
    return place(column(some, "item", path).tolist(), rows, path, name, item_names)
