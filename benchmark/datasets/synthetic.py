"""Data with planted intents, so that what a model finds can be held against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from string import ascii_uppercase
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from benchmark.datasets.dataset import Dataset
from benchmark.datasets.drawn_pairs import covering, draw
from models.errors import UsageError

PREFIX = "synthetic-"
"""Names of these data sets are this and a key of :data:`SIZES`."""

SYNTHETIC = "synthetic"
"""Stands for ``synthetic-small``."""

TRUTH = ("intent_1", "intent_2", "intent_3")
"""Columns of the item table with the planted intents: fine, middle and coarse, as HUIGN counts."""

LATENT = 32
"""Width of what an item's content is made of, whatever the widths of the features."""

LEAST = 5
"""Every user has this many interactions at least."""


@dataclass(frozen=True)
class Size:
    """How much there is of everything.

    Args:
        users: Number of users.
        items: Number of items.
        interactions: Number of distinct pairs, exactly.
        dims: Widths of the features by modality.
        branches: Number of coarse intents, of middle ones in each of them, and of fine ones in
            each of those (default: ``(4, 2, 4)``, which is 4, 8 and 32).
    """

    users: int
    items: int
    interactions: int
    dims: Mapping[str, int]
    branches: tuple[int, int, int] = (4, 2, 4)


SIZES = {
    "tiny": Size(200, 100, 2600, {"visual": 32, "textual": 16}, (2, 2, 2)),
    "small": Size(1500, 600, 36_000, {"visual": 64, "acoustic": 32, "textual": 32}),
    "movielens": Size(
        55_485, 5_986, 1_239_508, {"visual": 2048, "acoustic": 128, "textual": 100}
    ),
    "tiktok": Size(36_656, 76_085, 726_065, {"visual": 128, "acoustic": 128, "textual": 128}),
    "kwai": Size(7_010, 86_483, 298_492, {"visual": 2048}),
}  # fmt: skip
"""By name; the last three as in the paper's Table 1."""

MADE_UP = tuple(PREFIX + size for size in SIZES)
"""Names of all these data sets."""


@dataclass(frozen=True)
class World:
    """What users, items and content are like.

    Args:
        noise: How much of an item's content is its own, as the standard deviation in units of
            that between intents; 0 for none, a very large number for nothing but that
            (default: ``0.7``).
        geometry: Shares of the variance between fine intents that lie between coarse ones,
            between middle ones of a coarse one, and within middle ones
            (default: ``(0.5, 0.3, 0.2)``).
        common: Content that all items share, in units of the standard deviation of intents and
            noise together; it makes raw features alike (default: ``1.0``).
        missing: Share of the items without a modality, drawn for each (default: ``0.05``).
        dominance: Least weight of an item's own fine intent among all that it mixes, above one
            half (default: ``0.9``).
        focus: Concentration of a user's tastes over coarse intents, over the middle ones of each,
            and over the fine ones of these: near 0 a user likes one of them, at 1 any
            distribution is as likely, and large values leave all users alike
            (default: ``(0.15, 0.4, 0.4)``).
        visible: Share of the tastes that follow the intents; the others follow groups of items
            that nothing but interactions shows (default: ``0.9``).
        popularity: Tail of the items' popularity, the deviation of its logarithm
            (default: ``1.2``).
        activity: The same of the users' numbers of interactions (default: ``1.0``).
    """

    noise: float = 0.7
    geometry: tuple[float, float, float] = (0.5, 0.3, 0.2)
    common: float = 1.0
    missing: float = 0.05
    dominance: float = 0.9
    focus: tuple[float, float, float] = (0.15, 0.4, 0.4)
    visible: float = 0.9
    popularity: float = 1.2
    activity: float = 1.0


DEFAULT = World()


def synthetic(size: str, seed: int = 0, world: World = DEFAULT) -> Dataset:
    """Data in which items have intents, users like intents, and content shows them.

    Fine intents lie in middle ones and these in coarse ones. An item mixes fine intents, one of
    which dominates; a user likes some coarse intents, in these some middle ones, and in these
    some fine ones. Who meets what is drawn by taste, then by popularity. Content is a linear
    image of the item's mixture, plus noise.

    Interactions and content have random numbers of their own: with another ``noise`` the same
    users have the same items.

    Args:
        size: One of :data:`SIZES`.
        seed: Of everything that is drawn.
        world: What is to be different from the default.

    Returns:
        A data set without a split whose item table has a ``title`` and ``genres`` that tell the
        intent, and the columns :data:`TRUTH`. No model is given an item table.

    Raises:
        UsageError: If the size is unknown.
    """
    if size not in SIZES:
        raise UsageError(
            f"data set '{PREFIX}{size}' is unknown; "
            f"choose among {', '.join(PREFIX + name for name in SIZES)}"
        )
    shape = SIZES[size]
    for_items, for_users, for_pairs, for_content = np.random.default_rng(seed).spawn(4)
    mixture = mixtures(for_items, shape, world)
    intent = mixture.argmax(1)
    counts = activity(for_users, shape, world.activity)
    tastes, appeal = attractions(for_users, mixture, shape, world)
    users, items = covering(for_pairs, *draw(for_pairs, counts, tastes, appeal), intent)
    made = ", ".join(f"{each.name} {getattr(world, each.name)}" for each in fields(world))
    return Dataset.from_pairs(
        name=PREFIX + size,
        source=f"drawn with seed {seed} ({made})",
        users=users,
        items=items,
        num_users=shape.users,
        num_items=shape.items,
        features=content(for_content, mixture, shape, world),
        item_table=item_table(intent, shape.branches),
    )


def mixtures(random: Generator, shape: Size, world: World) -> NDArray[np.float64]:
    """Every item's weights of the fine intents, ``[items, num_fine]``; all are equally frequent."""
    num_fine = int(np.prod(shape.branches))
    own = random.permutation(np.arange(shape.items) % num_fine)
    others = random.dirichlet(np.full(num_fine, 0.1), shape.items)
    weights: NDArray[np.float64] = (1 - world.dominance) * others
    weights[np.arange(shape.items), own] += world.dominance
    return weights


def activity(random: Generator, shape: Size, spread: float) -> NDArray[np.int64]:
    """Every user's number of interactions, ``[users]``: at most half of the items."""
    weights = random.lognormal(0, spread, shape.users)
    counts = np.full(shape.users, LEAST)
    while left := shape.interactions - counts.sum():
        weights[counts >= shape.items // 2] = 0
        counts += random.multinomial(left, weights / weights.sum())
        counts = counts.clip(max=shape.items // 2)
    return counts


def attractions(
    random: Generator, mixture: NDArray[np.float64], shape: Size, world: World
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What users like and what items offer.

    Returns:
        Over the fine intents, then as many groups that no content shows: users' tastes
        ``[users, 2 * num_fine]``, whose rows add up to 1, and items' appeal
        ``[items, 2 * num_fine]``, popularity included.
    """
    num_fine = mixture.shape[1]
    tastes = np.ones((shape.users, 1))
    for branch, focus in zip(shape.branches, world.focus, strict=True):
        parts = random.dirichlet(np.full(branch, focus), tastes.shape)
        tastes = (tastes[:, :, None] * parts).reshape(shape.users, -1)
    others = random.dirichlet(np.full(num_fine, 0.1), shape.users)
    groups = np.eye(num_fine)[random.integers(num_fine, size=shape.items)]
    popularity = random.lognormal(0, world.popularity, (shape.items, 1))
    return (
        np.hstack([world.visible * tastes, (1 - world.visible) * others]),
        np.hstack([mixture, groups]) * popularity,
    )


def content(
    random: Generator, mixture: NDArray[np.float64], shape: Size, world: World
) -> dict[str, NDArray[Any]]:
    """Features by modality, float32 ``[items, dim]``; rows of zeros where they are missing."""
    features: dict[str, NDArray[Any]] = {}
    for modality, dim in shape.dims.items():
        centres = np.zeros((1, LATENT))
        for branch, share in zip(shape.branches, world.geometry, strict=True):
            centres = np.repeat(centres, branch, axis=0)
            centres += np.sqrt(share) * random.normal(size=centres.shape)
        own = random.normal(size=(shape.items, LATENT))
        latent = (mixture @ centres + world.noise * own) / np.hypot(1, world.noise)
        latent += world.common * random.normal(size=LATENT)
        # few binary digits and signs: sums are exact and thus the same on every machine
        digits = (np.round(latent * 256) / 256).astype(np.float32)
        matrix = digits @ random.choice(np.array([-1, 1], dtype=np.float32), (LATENT, dim))
        matrix[random.random(shape.items) < world.missing] = 0
        features[modality] = matrix
    return features


def item_table(intent: NDArray[np.int64], branches: Sequence[int]) -> pd.DataFrame:
    """Made-up titles and genres that tell where an item's intent is, and the intents as numbers.

    Intents are spelt by their place in the one above: ``BAD`` is the fourth fine intent of the
    first middle one, ``BA``, of the second coarse one, ``B``.

    Args:
        intent: Fine intents, ``[items]``.
        branches: Of :class:`Size`.
    """
    _, middles, fines = branches
    middle = intent // fines
    coarse = middle // middles
    letters = np.array(list(ascii_uppercase))
    of_coarse = letters[coarse]
    of_middle = np.char.add(of_coarse, letters[middle % middles])
    of_fine = np.char.add(of_middle, letters[intent % fines])
    rows = enumerate(zip(of_coarse, of_middle, of_fine, strict=True))
    named = [(f"item {n} of {c}", f"coarse-{a} middle-{b} fine-{c}") for n, (a, b, c) in rows]
    table = pd.DataFrame(named, columns=["title", "genres"])
    table[list(TRUTH)] = np.stack([intent, middle, coarse], axis=1)
    return table.rename_axis("itemID")
