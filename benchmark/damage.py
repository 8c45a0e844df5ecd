"""What happens to item features before a model is trained on them: items lose a modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from benchmark.features import scale_features
from models.interactions import Interactions
from models.propagation import SparseMatrix, inverse_sqrt
from models.ranking import top_k

NEIGHBOURS = 20
"""Of each item, how many of those it shares most users with lend it their features."""

ROUNDS = 10
"""Of propagation; the number of items that features travel at most."""

EVERY = "*"
"""Stands for all modalities at once."""

CHUNK_ENTRIES = 20_000_000
"""Upper bound on the entries of one block of the items' common users (or one row)."""


@dataclass(frozen=True)
class Damage:
    """What happens to one modality, or to every one.

    Args:
        modality: The one, or :data:`EVERY`.
        policy: What becomes of the items that lose it, one of :data:`POLICIES` or ``shuffle``.
        rate: Their share among the items that have it.
    """

    modality: str
    policy: str
    rate: float

    def __str__(self) -> str:
        return f"{self.modality} {self.policy} {self.rate:g}"

    @classmethod
    def read(cls, text: str) -> Damage:
        """What :meth:`__str__` wrote."""
        modality, policy, rate = text.rsplit(" ", 2)
        return cls(modality, policy, float(rate))

    def names(self, train: Interactions) -> list[str]:
        """The modalities that it happens to, one after the other."""
        return list(train.features) if self.modality == EVERY else [self.modality]


def remaining(train: Interactions, damage: Damage) -> Interactions:
    """The training interactions that are left: all of them unless the policy is ``drop``."""
    if damage.policy != "drop":
        return train
    for name in damage.names(train):
        kept = ~lost_items(train.features[name], damage.rate)[train.items]
        train = replace(train, users=train.users[kept], items=train.items[kept])
    return train


def damaged(train: Interactions, damage: Damage, scaling: str) -> Interactions:
    """The same interactions with the features that are left.

    What the lost rows held reaches nothing: the others are scaled as if these had never been
    there, and only then are gaps filled, from training interactions and the rows that are left.
    Items that lacked the modality from the start lack it still.

    - ``mask``: the lost rows are zero;
    - ``mean``: they are the mean of the rows that are left;
    - ``neighbours``: see :func:`propagated`;
    - ``drop``: they are zero, and :func:`remaining` takes the items' interactions out of training.
      The items stay candidates, known ones are still left out of rankings, and the held-out
      positives are the same, so that results compare with those of the other policies;
    - ``shuffle``: the items exchange their rows at random, so that the modality is distributed as
      before but says nothing about an item; of several modalities that all items have, together.

    Args:
        train: What is :func:`remaining`, with all features, scaled.
        damage: What happens.
        scaling: How they were scaled, one of :data:`benchmark.presets.FEATURE_SCALING`; to scale
            once more what is left is the same as to have scaled nothing else.
    """
    left = {name: _left(train, name, damage, scaling) for name in damage.names(train)}
    return train.with_features({**train.features, **left})


def _left(train: Interactions, name: str, damage: Damage, scaling: str) -> Tensor:
    """What is left of one modality, ``[num_items, feature_dim]``."""
    matrix = train.features[name]
    lost = lost_items(matrix, damage.rate)
    if damage.policy == "shuffle":
        return shuffled(matrix, lost)
    rescaled = partial(_rescaled, how=scaling)
    filled = POLICIES[damage.policy](rescaled(matrix.masked_fill(lost[:, None], 0)), lost, train)
    # what was filled in is of unit length, too
    return rescaled(filled) if scaling == "l2_row" else filled


def lost_items(matrix: Tensor, rate: float) -> Tensor:
    """Which items lose a modality, at random, yet always the same for the same data.

    Args:
        matrix: Its features, ``[num_items, feature_dim]``; a row of zeros is missing already.
        rate: The share of the others; who is lost at one rate is lost at all higher ones.

    Returns:
        ``[num_items]`` bool.
    """
    present = torch.nonzero(matrix.any(dim=1)).squeeze(1).cpu()
    order = torch.randperm(len(present), generator=torch.Generator().manual_seed(0))
    lost = torch.zeros(len(matrix), dtype=torch.bool)
    lost[present[order[: round(rate * len(present))]]] = True
    return lost.to(matrix.device)


def shuffled(matrix: Tensor, among: Tensor) -> Tensor:
    """The rows of some items (a mask) exchanged at random."""
    generator = torch.Generator().manual_seed(1)  # another than that of who is lost
    places = torch.nonzero(among).squeeze(1)
    order = torch.randperm(len(places), generator=generator).to(matrix.device)
    return matrix.index_copy(0, places, matrix[places[order]])


def masked(matrix: Tensor, lost: Tensor, train: Interactions) -> Tensor:
    """Nothing is filled in."""
    return matrix


def averaged(matrix: Tensor, lost: Tensor, train: Interactions) -> Tensor:
    """The mean of the rows that are left, for every lost one."""
    left = matrix[matrix.any(dim=1)]
    return torch.where(lost[:, None], left.mean(dim=0) if len(left) else 0, matrix)


def propagated(matrix: Tensor, lost: Tensor, train: Interactions) -> Tensor:
    r"""Lost rows are made of those of similar items, by feature propagation.

    .. math:: X^{(t+1)} = X^{(0)} + M \, D^{-1/2} A D^{-1/2} X^{(t)}

    from `"On the Unreasonable Effectiveness of Feature Propagation in Learning on Graphs with
    Missing Node Features" <https://arxiv.org/abs/2111.12128>`_, where :math:`X^{(0)}` has zeros in
    the lost rows, which M selects, and D holds the degrees. As in `"Do We Really Need to Drop Items
    with Missing Modalities in Multimodal Recommendation?" <https://arxiv.org/abs/2408.11767>`_ the
    graph A is that of the items' common users, thinned out, see :func:`neighbour_graph`.

    Args:
        matrix: ``[num_items, feature_dim]``, the lost rows zero.
        lost: ``[num_items]`` bool.
        train: Training interactions; the only ones that are looked at.

    Returns:
        ``[num_items, feature_dim]``; a row out of reach of all others is still zero.
    """
    graph = SparseMatrix(neighbour_graph(train), matrix.device, symmetric=True)
    weight = inverse_sqrt(graph.row_sums())[:, None].to(matrix)
    x = matrix
    for _ in range(ROUNDS):
        x = torch.where(lost[:, None], weight * (graph @ (weight * x)), matrix)
    return x


def neighbour_graph(train: Interactions, neighbours: int = NEIGHBOURS) -> sp.csr_array[Any]:
    """Connect each item with those it shares most users with, ties by ascending item id.

    Args:
        train: Training interactions.
        neighbours: How many each item chooses; two are connected if one chose the other.

    Returns:
        A symmetric matrix of ones with an empty diagonal, ``[num_items, num_items]``.
    """
    size = train.num_items
    users, items = train.users.cpu().numpy(), train.items.cpu().numpy()
    ones = np.ones(len(users), dtype=np.float32)
    r = sp.csr_array((ones, (users, items)), shape=(train.num_users, size))
    r_t, chosen = r.T.tocsr(), []
    step = max(1, CHUNK_ENTRIES // size)
    for own in (torch.arange(first, min(first + step, size)) for first in range(0, size, step)):
        shared = torch.from_numpy((r_t[own.numpy()] @ r).toarray())  # [block, num_items]
        shared[torch.arange(len(own)), own] = 0
        chosen.append(top_k(shared.masked_fill(shared == 0, -torch.inf), min(neighbours, size)))
    columns = torch.cat(chosen)  # [num_items, neighbours], -1 where there is none
    rows, place = torch.nonzero(columns >= 0).unbind(1)
    pairs = (rows.numpy(), columns[rows, place].numpy())
    graph = sp.csr_array((np.ones(len(rows), dtype=np.float32), pairs), shape=(size, size))
    return graph.maximum(graph.T).tocsr()


def _rescaled(matrix: Tensor, how: str) -> Tensor:
    return scale_features({"": matrix.cpu().numpy()}, how)[""].to(matrix)


Policy = Callable[[Tensor, Tensor, Interactions], Tensor]
"""Fills the lost rows of a matrix, which are zero."""

POLICIES: dict[str, Policy] = {
    "mask": masked,
    "mean": averaged,
    "neighbours": propagated,
    "drop": masked,
}
"""What may become of items that lost a modality, in the order of printing."""
