"""Distinct user-item pairs, drawn by what users like and what items offer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray


def draw(
    random: Generator,
    counts: NDArray[np.int64],
    tastes: NDArray[np.float64],
    appeal: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct pairs, as many of every user as asked for.

    A user chooses a group by taste, and in it an item by appeal. Repeated pairs are dropped and
    drawn again, each time with a little more of chance in it, so that a user who has all that
    they like turns to other items.

    Args:
        random: Where chance comes from.
        counts: ``[users]``, each at most half of the items.
        tastes: ``[users, num_groups]``, rows that add up to 1.
        appeal: ``[items, num_groups]``.

    Returns:
        Users and items, sorted, each ``[counts.sum()]``.
    """
    num_items, num_groups = appeal.shape
    keys = np.empty(0, dtype=np.int64)
    missing, chance = counts, 0.0
    while missing.any():
        wanting = np.flatnonzero(missing)
        likes = (1 - chance) * tastes[wanting] + chance / num_groups
        chosen = random.multinomial(missing[wanting], likes).T  # [num_groups, num_wanting]
        users = np.repeat(np.tile(wanting, num_groups), chosen.ravel())
        items = []
        for column, size in zip(appeal.T, chosen.sum(1), strict=True):
            edges = np.cumsum((1 - chance) * column + chance * column.mean())
            places = np.searchsorted(edges, random.random(size) * edges[-1], side="right")
            items.append(places.clip(max=num_items - 1))
        # sorted by hand: np.unique hashes, which takes ten times as long here
        keys = np.sort(np.concatenate([keys, users * num_items + np.concatenate(items)]))
        keys = keys[np.diff(keys, prepend=-1) > 0]
        missing = counts - np.bincount(keys // num_items, minlength=len(counts))
        chance += 0.05 * (1 - chance)
    users, found = np.divmod(keys, num_items)
    return users, found


def covering(
    random: Generator,
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    intent: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same pairs, some with another item of the same intent, so that no item is nobody's.

    Every item without a pair takes the place of an item that has others; users and tastes stay.
    """
    order = random.permutation(len(items))
    spare = order[pd.Series(items[order]).duplicated().to_numpy()]
    unmet = np.setdiff1d(np.arange(len(intent)), items)
    items = items.copy()
    for each in range(intent.max() + 1):
        waiting = unmet[intent[unmet] == each]
        places = spare[intent[items[spare]] == each][: len(waiting)]
        items[places] = waiting[: len(places)]
    order = np.lexsort((items, users))
    return users[order], items[order]
