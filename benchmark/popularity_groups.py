"""What is found of items by how well known they are, from the never seen to the most popular."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.evaluation import Ranking
from benchmark.splits import Split
from benchmark.store import Store, lost
from benchmark.writing import write_atomic

GROUPS = 5
"""Of about equal numbers of test interactions, beside the items without any in training."""

COLUMNS = ("least", "most", "items", "positives")
"""Of a table, beside the hits at every cut-off."""


def by_popularity(ranking: Ranking, parts: Split) -> pd.DataFrame:
    """Test interactions, and how many of them are found, by popularity of their items.

    Items without a training interaction are a group of their own; the others are cut into groups
    that hold about a fifth of the remaining test interactions each.

    Args:
        ranking: Of the test data.
        parts: What was trained and tested on.

    Returns:
        One row per group, the least popular first: ``least`` and ``most``, the training
        interactions of its items; ``items`` and ``positives``, how many items and test
        interactions it has; and ``hits@k`` for every cut-off, how many of the latter are listed.
    """

    def per_item(items: Tensor) -> NDArray[np.int64]:
        counted: NDArray[np.int64] = torch.bincount(items, minlength=num_items).cpu().numpy()
        return counted

    num_items = parts.train.num_items
    known, positives = per_item(parts.train.items), per_item(parts.test.items)
    tested = np.sort(np.repeat(known, positives))
    fifths = np.array_split(tested[tested > 0], GROUPS)
    edges = np.unique([fifth[-1] for fifth in fifths[:-1] if len(fifth)])
    group = np.where(known == 0, 0, 1 + np.searchsorted(edges, known))
    table = pd.DataFrame({"least": known, "most": known, "items": 1, "positives": positives})
    for k in ranking.ks:
        table[f"hits@{k}"] = per_item(ranking.items[:, :k][ranking.hits[:, :k]])
    how = {name: "sum" for name in table} | {"least": "min", "most": "max"}
    return table.groupby(group).agg(how)


def save(store: Store, run_id: str, table: pd.DataFrame) -> None:
    """Keep what :func:`by_popularity` found for a run, in ``popularity/<run_id>.csv``."""
    text = table.to_csv(index=False, lineterminator="\n")
    write_atomic(store.folder / "popularity" / f"{run_id}.csv", text)


def is_kept(store: Store, run_id: str) -> bool:
    """Whether there is such a file; runs that are older than it have none."""
    return (store.folder / "popularity" / f"{run_id}.csv").exists()


def read(store: Store, run_id: str, k: int) -> pd.DataFrame:
    """What :func:`save` kept of a run, with the hits at one cut-off.

    Raises:
        StoreError: If the file is gone or damaged.
    """
    path = store.folder / "popularity" / f"{run_id}.csv"
    try:
        table = pd.read_csv(path)[[*COLUMNS, f"hits@{k}"]]
        if not all(map(pd.api.types.is_integer_dtype, table.dtypes)):
            raise ValueError("it holds other things than counts")
        return table
    except (OSError, ValueError, KeyError) as error:
        raise lost(path, run_id, error) from error
