"""Training, validation and test interactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.datasets.dataset import Dataset
from benchmark.presets import COLD_ITEMS, SPLIT_METHODS
from models.errors import UsageError
from models.interactions import Interactions

TRAIN, VALIDATION, TEST = 0, 1, 2
LEFT_OUT = 3
"""In none of the parts."""

SHIPPED = "shipped"
"""What is stored as the seed of a split that came with the data."""


@dataclass(frozen=True)
class Split:
    """Three disjoint parts of a data set; only ``train`` carries item features."""

    train: Interactions
    validation: Interactions
    test: Interactions

    def to(self, device: torch.device) -> Split:
        """The same parts on a device."""
        return Split(self.train.to(device), self.validation.to(device), self.test.to(device))


def split(
    dataset: Dataset, features: Mapping[str, Tensor], seed: int, method: str = "interactions"
) -> Split:
    """Split a data set; a split shipped with it is taken as it is, unless items are held out.

    Args:
        dataset: The distinct interactions.
        features: Scaled item features, for the training part.
        seed: Seed of the drawn split.
        method: How to draw: ``interactions`` (:func:`random_split`), ``per_user``
            (:func:`split_per_user`) or ``cold_items`` (:func:`split_items`, which replaces a
            shipped split).

    Raises:
        UsageError: If a part comes out empty, or ``method`` is unknown or contradicts the
            shipped split.

    Note:
        In a shipped split users may be without a training interaction, and items always may:
        such items stay candidates.
    """
    if method not in SPLIT_METHODS:
        raise UsageError(
            f"--split-method '{method}' is unknown; choose among {', '.join(SPLIT_METHODS)}"
        )
    labels = dataset.labels
    if method == COLD_ITEMS:
        labels = split_items(dataset.users, dataset.items, seed)
    elif labels is None:
        labels = METHODS[method](dataset.users, seed)
    elif method != "interactions":
        raise UsageError(
            f"--split-method '{method}' contradicts the split that '{dataset.name}' ships; "
            f"leave the option out, or drop the labels from the data"
        )
    counts = np.bincount(labels, minlength=3)[:LEFT_OUT]
    if not counts.all():
        raise UsageError(
            f"splitting the {len(dataset)} interactions of '{dataset.name}' gives "
            f"{counts[TRAIN]} train, {counts[VALIDATION]} validation and {counts[TEST]} test; "
            f"every part needs one: use a larger data set"
        )

    train, validation, test = (interactions_of(dataset, labels == part) for part in range(LEFT_OUT))
    return Split(train.with_features(features), validation, test)


def interactions_of(
    dataset: Dataset, chosen: NDArray[np.bool_] | slice = slice(None)
) -> Interactions:
    """The chosen pairs of a data set, all by default, without features."""
    return Interactions(
        torch.from_numpy(dataset.users[chosen]),
        torch.from_numpy(dataset.items[chosen]),
        dataset.num_users,
        dataset.num_items,
    )


def seed_of(stored: str) -> int:
    """The seed of a split, from what is stored; a shipped split takes none, so any will do."""
    return 0 if stored == SHIPPED else int(stored)


def random_split(users: NDArray[np.int64], seed: int) -> NDArray[np.int8]:
    """A tenth of all interactions for validation, a tenth for test (rounded down), at random.

    A user left without a training interaction gets one of the held-out ones back, at random.

    Args:
        users: ``[num_interactions]``
        seed: Seed of a generator of its own.

    Returns:
        ``[num_interactions]``: 0 train, 1 validation, 2 test.
    """
    generator = np.random.default_rng(seed)
    order, tenth = generator.permutation(len(users)), len(users) // 10
    labels = np.zeros(len(users), dtype=np.int8)
    labels[order[:tenth]] = VALIDATION
    labels[order[tenth : 2 * tenth]] = TEST
    # a second order, since in the first a user's validation pairs come before the test pairs
    order = generator.permutation(len(users))
    ids, first = np.unique(users[order], return_index=True)
    without_train = ~np.isin(ids, users[labels == TRAIN])
    labels[order[first[without_train]]] = TRAIN
    return labels


def split_per_user(users: NDArray[np.int64], seed: int) -> NDArray[np.int8]:
    """Like :func:`random_split` with a tenth of every user's interactions, rounded down.

    A user with fewer than ten interactions has all of them in train.
    """
    order = np.random.default_rng(seed).permutation(len(users))
    order = order[np.argsort(users[order], kind="stable")]  # grouped by user, at random within
    _, first, counts = np.unique(users[order], return_index=True, return_counts=True)
    rank = np.arange(len(users)) - np.repeat(first, counts)
    tenth = np.repeat(counts // 10, counts)
    labels = np.zeros(len(users), dtype=np.int8)
    labels[order[rank < 2 * tenth]] = TEST
    labels[order[rank < tenth]] = VALIDATION
    return labels


def split_items(users: NDArray[np.int64], items: NDArray[np.int64], seed: int) -> NDArray[np.int8]:
    """A tenth of the items for validation, a tenth for test (rounded down), the others for train.

    An item takes all its interactions along, so that validation and test are about items without
    any: the cold start of DropoutNet (Volkovs et al., NIPS 2017) or `CLCRec
    <https://arxiv.org/abs/2107.05315>`_ (MM 2021), whose held-out items are drawn at random, too.

    Args:
        users: ``[num_interactions]``
        items: ``[num_interactions]``; those without an interaction are not drawn.
        seed: Seed of a generator of its own.

    Returns:
        ``[num_interactions]``: 0 train, 1 validation, 2 test, and 3 for the held-out interactions
        of users without one in train, of whom no model knows anything.
    """
    ids, place = np.unique(items, return_inverse=True)
    order, tenth = np.random.default_rng(seed).permutation(len(ids)), len(ids) // 10
    part = np.zeros(len(ids), dtype=np.int8)
    part[order[:tenth]] = VALIDATION
    part[order[tenth : 2 * tenth]] = TEST
    labels = part[place]
    labels[~np.isin(users, users[labels == TRAIN])] = LEFT_OUT
    return labels


METHODS = {"interactions": random_split, "per_user": split_per_user}
"""How interactions are drawn, by the name of the method."""
