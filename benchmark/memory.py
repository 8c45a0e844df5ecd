"""How much memory a model will take, from a step of it on toy data of the same proportions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmark.ledger import Ledger, grown_peak
from models.huign import HUIGN
from models.interactions import Interactions
from models.item_graph import CHUNK_ENTRIES
from models.ranking import top_k
from models.registry import create, model_class
from models.sampling import DENSE_LIMIT
from models.training import PairwiseRecommender, TrainedRecommender

LEAST, MOST, BATCH = 32, 1000, 8
"""Size of the toy data: the fewer of users and items are at least ``LEAST`` and the batch at least
``BATCH``, unless the more of users and items would be above ``MOST``."""

DEGREE = 2
"""Training interactions of every user of the toy data."""

LARGER, DENSER = 2, 16
"""The second toy has so many times the users, items and batch, and so many the interactions."""

RANKED, LISTED = 256, 20
"""Users ranked at a time and items listed, as :class:`benchmark.evaluation.Evaluator` does."""

PER_INTERACTION = 160
"""Bytes: an epoch's order, triples and the draws they come from, and a graph while it is made."""

SLACK = 1.5
"""What allocators keep and operations take within, as a factor; from measurements."""

LIBRARIES = 100 * 2**20
"""What torch loads with the first optimizer."""

CLOSED_FORMS = {
    # five matrices in double precision: Gram matrix, its factor, the inverse, work space, weights
    "ease": lambda items: 40 * items**2,
    # similarities of a block of at most 20 million in double precision, seven at a time
    "item_knn": lambda items: 56 * min(items**2, 20_000_000) + 4000 * items,
    "popularity": lambda items: 8 * items,
}
"""What models without steps are likely to take, in bytes by the number of items."""


@dataclass(frozen=True)
class Need:
    """Memory that a model takes beside the data and the program, in bytes.

    Args:
        least: What is certain: the sizes of tensors that live at the same time.
        likely: What the process grows by. With what it had before, this was 0.93 to 1.37 times
            the measured peak of every model on MovieLens-1M and TikTok.
    """

    least: float
    likely: float


@dataclass(frozen=True)
class Sizes:
    """What the memory depends on.

    Args:
        users: Number of users.
        items: Number of items.
        interactions: Number of training interactions.
        co_occurrences: Ordered pairs of items of one user, summed over users.
        widths: Of the features of every modality.
    """

    users: int
    items: int
    interactions: int
    co_occurrences: int
    widths: Mapping[str, int]

    @classmethod
    def of(cls, train: Interactions, widths: Mapping[str, int]) -> Sizes:
        """Those of training interactions and of features, which need not be at hand."""
        degrees = torch.bincount(train.users, minlength=train.num_users)
        pairs = int((degrees * (degrees - 1)).sum())
        return cls(train.num_users, train.num_items, len(train), pairs, widths)


def estimate(name: str, params: Mapping[str, Any], sizes: Sizes) -> Need | None:
    r"""What training and ranking take at their peak.

    A model is built and makes one step twice, on toy data of two sizes; a :class:`Ledger` tells
    how every tensor grew, and so how large it will be. Parameters, gradients, Adam's moments, the
    copy of the best weights, what is kept for the backward pass, sparse matrices and scores are
    all among them. To this come what is not torch's: the arrays and the table of negative
    sampling, and HUIGN's item graph, while it is made: of its at most
    :math:`\sum_u d_u (d_u - 1) / \tau` edges nothing is certain, so it is only likely.

    Args:
        name: Of a registered model.
        params: Hyper-parameters other than its defaults.
        sizes: Of the data.

    Returns:
        ``None`` for a model that nothing can be told of.
    """
    scores = 16.0 * RANKED * sizes.items  # of a block of users, a copy, and ids in their order
    if name in CLOSED_FORMS:
        likely = CLOSED_FORMS[name](sizes.items) + scores
        return Need(likely / 2, likely)
    try:
        model = create(name, **params)
        if not isinstance(model, TrainedRecommender):
            return None
        steps = estimated_steps(name, params, sizes, model.batch_size)
    except Exception:  # a model of any kind: what is wrong with it shows when it is trained
        return None
    if steps is None:
        return None
    table, graph = sizes.users * sizes.items, 0.0
    if isinstance(model, PairwiseRecommender) and table <= DENSE_LIMIT:
        steps += table
    if isinstance(model, HUIGN):
        most = min(sizes.items**2, sizes.co_occurrences)
        edges = min(most, sizes.co_occurrences / model.min_co_users)
        graph = 16 * edges + 12 * min(most, CHUNK_ENTRIES)  # indices and values, twice; a block
    epoch = PER_INTERACTION * sizes.interactions
    return Need(steps, max(SLACK * (steps + epoch), graph) + LIBRARIES)


def estimated_steps(
    name: str, params: Mapping[str, Any], sizes: Sizes, batch_size: int
) -> float | None:
    """The peak of torch's memory, see :func:`estimate`."""
    few, many = sorted((sizes.users, sizes.items))
    if by_user := not issubclass(model_class(name), PairwiseRecommender):
        # such models may go through a batch in parts, whose number has to stay the same
        batch_size = min(batch_size, sizes.users)
        shrink = max(min(few / LEAST, sizes.users / batch_size), 1)
    else:
        shrink = max(min(few / LEAST, batch_size / BATCH), many / MOST, 1)
        batch_size = max(2, math.ceil(batch_size / shrink))
    users, items = (max(LEAST, math.ceil(count / shrink)) for count in (sizes.users, sizes.items))

    def run(larger: int, denser: int) -> Ledger:
        train = toy(larger * users, larger * items, denser // larger * DEGREE, sizes.widths)
        batch = batch_size if by_user else larger * batch_size
        model: Any = create(name, **{**params, "batch_size": batch})
        if isinstance(model, HUIGN):
            model.min_co_users = 2 * users + 1  # the graph of random interactions says nothing
        return one_step(model, train)

    edges = sizes.interactions / (users * DEGREE)
    growths = {
        1: 1.0,
        LARGER: shrink,
        LARGER**2: shrink**2,
        DENSER: edges,
        # of a fixed number of users
        DENSER / LARGER: sizes.interactions / (sizes.users * DEGREE),
    }
    return grown_peak(run(1, 1), run(LARGER, DENSER), growths)


def toy(users: int, items: int, degree: int, widths: Mapping[str, int]) -> Interactions:
    """Users with equally many items, so that batches of them are alike, and random features."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randint(items, (users, 1), generator=generator) + torch.arange(degree)
    features = {
        name: torch.rand(items, width, generator=generator) for name, width in widths.items()
    }
    owners = torch.arange(users).repeat_interleave(degree)
    return Interactions(owners, chosen.flatten() % items, users, items, features)


def one_step(model: TrainedRecommender, train: Interactions) -> Ledger:
    """What building a model, a step of training, and ranking a block of users allocate."""
    ledger = Ledger([train.users, train.items, *train.features.values()])
    with torch.random.fork_rng([]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        with ledger:
            model.build(train)
        batch = first_batch(model.train(), train)
        with ledger:
            model.loss(*batch).backward()  # type: ignore[no-untyped-call]
            # Adam's moments; its class would load much of torch
            moments = [torch.zeros_like(each) for each in [*model.parameters()] * 2]
            best = [value.clone() for value in model.state_dict().values()]
            users = torch.arange(RANKED) % train.num_users
            top_k(model.eval().score(users).clone(), LISTED)
            del moments, best
    return ledger


def first_batch(model: TrainedRecommender, train: Interactions) -> tuple[Tensor, ...]:
    """A batch as large as the model's; triples may repeat, as toy data hold fewer."""
    generator = torch.Generator().manual_seed(0)
    if not isinstance(model, PairwiseRecommender):
        return next(model.batches(train, generator))
    users, items, size = train.num_users, train.num_items, (model.batch_size,)
    return tuple(torch.randint(most, size, generator=generator) for most in (users, items, items))
