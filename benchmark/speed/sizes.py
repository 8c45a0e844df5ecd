"""Data of a given size: real interactions where there are some, else drawn with a long tail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.datasets import Dataset, load
from benchmark.speed.catalogue import Size
from benchmark.splits import Split, split
from models.errors import UsageError

TAIL = 0.8
"""Exponent of the long tails: the n-th user and item are drawn in proportion to n ** -TAIL."""


def make(size: Size, data_root: Path | None, seed: int = 0) -> tuple[Split, str]:
    """Interactions split 8:1:1 with random features, and where the interactions come from.

    Args:
        size: What to make.
        data_root: Folder of data sets, see :func:`benchmark.datasets.load`.
        seed: Of everything drawn.
    """
    origin = "drawn"
    users, items = np.empty((2, 0), dtype=np.int64)
    num_users, num_items = size.num_users, size.num_items
    if size.dataset is not None:
        try:
            real = load(size.dataset, data_root)
        except UsageError:  # not here: draw data of its shape
            pass
        else:
            origin, users, items = "real", real.users, real.items
            num_users, num_items = real.num_users, real.num_items
    if origin == "drawn":
        users, items = draw(num_users, num_items, size.num_interactions, seed)
    dataset = Dataset(size.name, origin, users, items, num_users, num_items, {})
    generator = torch.Generator().manual_seed(seed)
    features = {
        modality: torch.nn.functional.normalize(torch.randn(num_items, width, generator=generator))
        for modality, width in size.widths.items()
    }
    return split(dataset, features, seed), origin


def draw(
    num_users: int, num_items: int, num_interactions: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct pairs with a long tail of users and of items; every user has at least one.

    Raises:
        ValueError: If so many distinct pairs do not exist, or fewer than users are asked for.
    """
    if not num_users <= num_interactions <= num_users * num_items // 2:
        raise ValueError(
            f"'num_interactions' needs to be in {num_users}..{num_users * num_items // 2}, from "
            f"one per user to half of all pairs (got {num_interactions})"
        )
    generator = np.random.default_rng(seed)
    user_ends, item_ends = (np.cumsum(tail(n, generator)) for n in (num_users, num_items))

    def pick(ends: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        places = np.searchsorted(ends, generator.random(count) * ends[-1], side="right")
        return np.asarray(places, dtype=np.int64)

    first = np.arange(num_users) * num_items + pick(item_ends, num_users)
    others = np.empty(0, dtype=np.int64)
    while len(others) < num_interactions - num_users:
        count = 2 * (num_interactions - num_users - len(others))
        fresh = pick(user_ends, count) * num_items + pick(item_ends, count)
        others = np.setdiff1d(np.concatenate([others, fresh]), first)
    others = generator.choice(others, num_interactions - num_users, replace=False, shuffle=False)
    keys = generator.permutation(np.concatenate([first, others]))
    return keys // num_items, keys % num_items


def tail(count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Weights that fall with a power of the rank; ids are in no order of rank."""
    weights: NDArray[np.float64] = generator.permutation((np.arange(count) + 5.0) ** -TAIL)
    return weights
