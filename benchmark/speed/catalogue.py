"""What can be timed and at which sizes, apart from torch so that ``--help`` need not load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.errors import UsageError

WORKS = {
    "sampling": "shuffling and negative sampling, an epoch",
    "bpr": "BPR-MF, an epoch",
    "vbpr": "VBPR, an epoch",
    "ngcf": "NGCF with 3 layers, an epoch",
    "lightgcn": "LightGCN with 2 layers, an epoch",
    "mmgcn": "MMGCN with 2 layers, an epoch",
    "macridvae": "MacridVAE with 10 concepts and 600 hidden units, an epoch",
    "disengcn": "DisenGCN with 2 layers, an epoch",
    "huign": "HUIGN with 32-8-4 intents, an epoch",
    "evaluation": "full ranking of all items for all users with a test item",
    "item_graph": "graph of items that five users share",
    "propagation": "product with the normalised user-item graph, forward and backward",
    "trials": "25 trials of one study of HUIGN, 10 epochs each, start-up included",
    "help": "answer to 'python -m benchmark.run --help'",
}
"""What ``--works`` takes, with what it means."""

WIDE = {"visual": 2048, "acoustic": 128, "textual": 100}
"""Feature widths of the paper's MovieLens."""


@dataclass(frozen=True)
class Size:
    """How large the data are; ``train`` gets 8 of 10 interactions, ``test`` one.

    Args:
        name: What ``--sizes`` takes.
        num_users: Size of the user set.
        num_items: Size of the catalogue.
        num_interactions: Distinct pairs.
        widths: Width of every modality; the features are random numbers.
        dataset: Where the interactions come from when it can be read; else they are drawn.
    """

    name: str
    num_users: int
    num_items: int
    num_interactions: int
    widths: Mapping[str, int]
    dataset: str | None = None


SIZES = {
    size.name: size
    for size in (
        Size("tiny", 200, 150, 4_000, {"visual": 48, "acoustic": 16}),
        Size("movielens-100k", 943, 1_682, 100_000, WIDE, dataset="movielens-100k"),
        Size("movielens-1m", 6_040, 3_260, 998_539, WIDE, dataset="movielens-1m"),
        Size("paper", 55_485, 5_986, 1_239_508, WIDE),
        Size("tiktok", 36_656, 76_085, 726_065, dict.fromkeys(WIDE, 128)),
    )
}
"""What ``--sizes`` takes."""


@dataclass(frozen=True)
class Settings:
    """What all forms of a piece of work share.

    Args:
        embedding_dim: Width of ids and layers (default: ``64``).
        min_co_users: Threshold of the item graph (default: ``5``).
        device: Where it happens (default: ``cpu``).
    """

    embedding_dim: int = 64
    min_co_users: int = 5
    device: str = "cpu"


def chosen(names: list[str], known: Mapping[str, object], option: str) -> list[str]:
    """The names without repetitions.

    Raises:
        UsageError: If one is unknown.
    """
    for name in names:
        if name not in known:
            raise UsageError(f"{option} '{name}' is unknown: choose from {', '.join(known)}")
    return list(dict.fromkeys(names))
