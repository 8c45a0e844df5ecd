"""What is kept of HUIGN's intents when it is tested, so that they can be shown without it."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmark.datasets import Dataset
from benchmark.foreign_files import check_file, read_arrays
from benchmark.store import Store, lost
from benchmark.writing import write_atomic
from models.huign import HUIGN
from models.recommender import Recommender

MAX_ITEMS = 2000
"""Largest number of items whose distributions are kept."""

STRONGEST = 10
"""Number of items that stand for an intent."""

COLUMNS = ["modality", "level", "intent", "share", "parent", "items", "weights", "titles"]
"""Of the table of intents, see :func:`described`."""


@dataclass(frozen=True)
class Kept:
    """A sample of items and how they were assigned to intents.

    Args:
        items: ``[num_kept]`` item ids, ascending.
        assignments: Per modality Gamma of every level, ``[num_kept, K_1]`` for the items and
            ``[K_(l-1), K_l]`` above them.
    """

    items: NDArray[np.int64]
    assignments: Mapping[str, Sequence[NDArray[np.float64]]]

    def distributions(self, modality: str) -> list[NDArray[np.float64]]:
        """H of Eq. 11 at every level, each ``[num_kept, K_l]``.

        Where HUIGN has collapsed, items differ by less than single precision can tell. They are
        multiplied in double precision, of rows that add up to 1 in it, so that no rounding shows.
        """
        return list(itertools.accumulate(self.assignments[modality], np.matmul))


def is_kept(store: Store, run_id: str) -> bool:
    """Whether :func:`save` was called for a run; it was not for those of older versions."""
    return all(_path(store, run_id, suffix).exists() for suffix in (".npz", ".csv"))


def save(store: Store, run_id: str, model: Recommender, dataset: Dataset) -> None:
    """Keep a sample of items and the table of all intents; nothing of a model without intents.

    Items without a neighbour in the item graph all have the same, uniform distribution: they are
    neither sampled, nor counted in an intent's share, nor among its strongest items.

    Args:
        store: Gets ``intents/<run_id>.npz`` and ``intents/<run_id>.csv``.
        run_id: The run that the model comes from.
        model: Trained.
        dataset: What it was trained on.
    """
    if not isinstance(model, HUIGN) or not model.modality_names:
        return
    with torch.no_grad():
        first, *others = (gamma.cpu().numpy() for gamma in model.intents().assignments)
    gammas = {
        modality: [precise(first[:, index]), *(precise(gamma[index]) for gamma in others)]
        for index, modality in enumerate(model.modality_names)
    }
    uneven = np.logical_or.reduce([has_own(levels[0]) for levels in gammas.values()])
    candidates = np.flatnonzero(uneven)
    size = min(MAX_ITEMS, len(candidates))
    items = np.sort(np.random.default_rng(0).choice(candidates, size, replace=False))
    arrays: dict[str, Any] = {
        f"{modality}/{level}": (gamma[items] if level == 1 else gamma).astype(np.float32)
        for modality, levels in gammas.items()
        for level, gamma in enumerate(levels, start=1)
    }
    content = io.BytesIO()
    np.savez_compressed(content, items=items.astype(np.int32), **arrays)
    write_atomic(_path(store, run_id, ".npz"), content.getvalue())
    rows = [row for name, levels in gammas.items() for row in described(name, levels, dataset)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_atomic(_path(store, run_id, ".csv"), text)


def described(
    modality: str, gammas: Sequence[NDArray[np.float64]], dataset: Dataset
) -> list[dict[str, object]]:
    """A row per intent of a modality: its share, parent and strongest items.

    Args:
        modality: Its name.
        gammas: Assignments of all items and of the intents of every level.
        dataset: Knows the items' titles.

    Returns:
        Rows of :data:`COLUMNS`: ``share`` is the mean weight over the items; ``parent`` the intent
        of the next level that it is mostly assigned to, empty at the last; ``items`` and
        ``weights`` are separated by spaces, ``titles`` by `` | ``.
    """
    named, rows = titles(dataset), []
    ids = np.flatnonzero(has_own(gammas[0]))
    distributions = itertools.accumulate([gammas[0][ids], *gammas[1:]], np.matmul)
    for level, weights in enumerate(distributions, start=1):
        parents = gammas[level].argmax(1).tolist() if level < len(gammas) else None
        for intent, column in enumerate(weights.T):
            best = np.argsort(-column, kind="stable")[:STRONGEST]
            rows.append(
                {
                    "modality": modality,
                    "level": level,
                    "intent": intent,
                    "share": column.mean(),
                    "parent": "" if parents is None else parents[intent],
                    "items": " ".join(map(str, ids[best])),
                    "weights": " ".join(f"{weight:.6g}" for weight in column[best]),
                    "titles": " | ".join(named[item] for item in ids[best] if named[item]),
                }
            )
    return rows


def has_own(weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which items have a distribution of their own, ``[num_items]``; all of them if none has.

    Args:
        weights: Of level 1, ``[num_items, K_1]``; rows of equal weights say nothing of the item.
    """
    uneven: NDArray[np.bool_] = np.ptp(weights, axis=1) > 0
    return uneven if uneven.any() else ~uneven


def precise(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rows that add up to 1 in double precision; those of zeros stay."""
    exact = weights.astype(np.float64)
    total: NDArray[np.float64] = exact.sum(1, keepdims=True)
    return exact / np.where(total > 0, total, 1)


def titles(dataset: Dataset) -> list[str]:
    """The title of every item, empty where it is not known."""
    table = dataset.item_table
    if table is None or "title" not in table:
        return [""] * dataset.num_items
    return [str(title) for title in table["title"].fillna("")]


def read(store: Store, run_id: str, num_items: int) -> Kept:
    """The sample of items that :func:`save` kept of a run.

    Args:
        store: Where.
        run_id: The run.
        num_items: Of the data that it was trained on.

    Raises:
        StoreError: If the file is gone or damaged.
    """
    path = _path(store, run_id, ".npz")
    try:
        stored = read_arrays(path)
        items = _known(stored.pop("items"), num_items)
        assignments: dict[str, list[NDArray[np.float64]]] = {}
        for name, weights in stored.items():  # in the order of writing, levels ascending
            levels = assignments.setdefault(name.rpartition("/")[0], [])
            before = levels[-1].shape[1] if levels else len(items)
            if weights.dtype.kind != "f" or weights.ndim != 2 or len(weights) != before:
                raise ValueError(f"'{name[:40]}' has shape {weights.shape} after {before} rows")
            if 0 in weights.shape or not (np.isfinite(weights).all() and (weights >= 0).all()):
                raise ValueError(f"'{name[:40]}' holds no weights")
            levels.append(precise(weights))
        return Kept(items, assignments)
    except (OSError, ValueError, KeyError) as error:
        raise lost(path, run_id, error) from error


def table(store: Store, run_id: str, num_items: int) -> pd.DataFrame:
    """The table of intents that :func:`save` kept of a run, with :data:`COLUMNS`.

    Args:
        store: Where.
        run_id: The run.
        num_items: Of the data that it was trained on.

    Raises:
        StoreError: If the file is gone or damaged.
    """
    path = _path(store, run_id, ".csv")
    try:
        text = dict.fromkeys(("modality", "parent", "items", "weights", "titles"), str)
        check_file(path)
        # a film may be called "NA"
        found = pd.read_csv(path, usecols=COLUMNS, dtype=text, keep_default_na=False)
        for items in found["items"]:
            _known(np.array(items.split(), dtype=np.int64), num_items)
        return found
    except (OSError, ValueError) as error:
        raise lost(path, run_id, error) from error


def _known(items: NDArray[Any], num_items: int) -> NDArray[np.int64]:
    if items.dtype.kind not in "iu" or items.ndim != 1:
        raise ValueError("its items are no ids")
    if ((items < 0) | (items >= num_items)).any():
        raise ValueError(f"the data have {num_items} items, and it names others")
    return items.astype(np.int64)


def _path(store: Store, run_id: str, suffix: str) -> Path:
    return store.folder / "intents" / f"{run_id}{suffix}"
