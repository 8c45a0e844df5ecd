"""Data sets in the folder layout of the released code of MMGCN and HUIGN."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from benchmark.datasets.assembly import assemble
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.modalities import LARGEST_ID, Found, Ids, find_features
from benchmark.datasets.object_arrays import read_lists
from benchmark.datasets.reading import entries
from models.errors import UsageError

FILES = ("train.npy", "val_full.npy", "test_full.npy")
KINDS = {"v": "video", "a": "audio", "t": "text"}


def read_mmgcn(folder: Path) -> Dataset:
    """Read one folder::

        tiktok/
          train.npy                  [n, 2] integers, user and item of every pair; item ids go on
                                     where user ids end
          val_full.npy               lists: user, item, item, ...
          test_full.npy              the same
          FeatureVideo_normal.npy    row i belongs to item number_of_users + i; any number of
          t_feat.npy                 matrices, called video, audio, text where they say so

    Files called ``train*``, ``val*``, ``test*`` or ``*dict*`` hold no features.

    Raises:
        UsageError: If a file is missing, unreadable, malformed or no data, or if the features do
            not say with which id the items begin.
    """
    names = entries(folder)
    for name in FILES:
        if name not in names:
            raise UsageError(f"{folder}: has no '{name}'; all of {', '.join(FILES)} are needed")
    parts = [_pairs(folder / name) for name in FILES]
    users = np.concatenate([users for users, _ in parts])
    nodes = np.concatenate([nodes for _, nodes in parts])
    labels = np.repeat(np.arange(3, dtype=np.int8), [len(users) for users, _ in parts])
    path = folder / FILES[0]
    if len(users) == 0:
        raise UsageError(f"{path}: holds no interaction; get the file again")
    taken = [name for name in names if re.match(r"(train|val|test)|.*dict", name)]
    found = find_features(folder, (".npy",), taken)
    num_users = _first_item(users, nodes, found, path)
    items = nodes - num_users
    num_items = found.size(items, path, "item")
    features = found.features_by_number(num_items)
    called = {_modality(name): matrix for name, matrix in features.items()}
    if len(called) < len(features):
        raise UsageError(
            f"{folder}: of {', '.join(features)} several are the same modality; move one away"
        )
    return assemble(
        path,
        "files in the layout of MMGCN's and HUIGN's authors",
        users,
        items,
        labels=labels,
        num_users=num_users,
        num_items=num_items,
        features=called,
        item_names=[str(num_users + item) for item in range(num_items)],
    )


def _pairs(path: Path) -> tuple[Ids, Ids]:
    """Users and items of the rows ``user, item, item, ...``, items still counted on from users."""
    rows = read_lists(path)
    if isinstance(rows, np.ndarray):
        lengths = np.full(len(rows), rows.shape[1], dtype=np.int64)
        flat = np.ravel(rows)
    else:
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        if not lengths.all():
            raise UsageError(f"{path}: row {lengths.argmin()} is empty; put a user into it")
        values = [value for row in rows for value in row]
        flat = np.array([value if 0 <= value < 1 << 62 else -1 for value in values], dtype=np.int64)
    wrong = np.flatnonzero((flat < 0) | (flat > 2 * LARGEST_ID))
    if len(wrong):
        row = np.searchsorted(np.cumsum(lengths), wrong[0], side="right")
        raise UsageError(
            f"{path}: row {row} holds an id outside 0..{2 * LARGEST_ID}; count ids from 0"
        )
    starts = np.cumsum(lengths) - lengths
    users = np.repeat(flat[starts], lengths - 1).astype(np.int64)
    return users, np.delete(flat, starts).astype(np.int64)


def _first_item(users: Ids, nodes: Ids, found: Found, path: Path) -> int:
    """The id of item 0, which is the number of users."""
    least, most = int(users.max()) + 1, int(nodes.min())
    if most < least:
        raise UsageError(
            f"{path}: item id {most} is a user's as well (user ids go up to {least - 1}); "
            f"add the number of users to all item ids"
        )
    count = found.num_items
    if count is None:
        return least
    first = max(least, int(nodes.max()) + 1 - count)
    if first > most:
        raise UsageError(
            f"{path}: item ids {most}..{nodes.max()} do not fit into the {count} rows of "
            f"{next(iter(found.files.values())).name}; add the missing rows"
        )
    if first < most:
        raise UsageError(
            f"{path}: item 0 may have any id in {first}..{most}, and features would be taken for "
            f"another item's; save the features of the items {most}..{nodes.max()} alone"
        )
    return first


def _modality(name: str) -> str:
    """``video`` for ``FeatureVideo_normal`` and ``v``; other names stay."""
    known = re.match(r"feature(video|audio|text)", name, re.IGNORECASE)
    return known[1].lower() if known else KINDS.get(name.removesuffix("_normal"), name)
