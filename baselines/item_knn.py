"""Item-based nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from typing_extensions import Self

from models.interactions import Interactions
from models.propagation import SparseMatrix
from models.ranking import top_k
from models.recommender import Recommender, Validate
from models.registry import register

BLOCK_ENTRIES = 20_000_000
"""Similarities held at a time while neighbours are chosen (160 MB in double precision)."""


@register("item_knn", label="ItemKNN")
class ItemKNN(Recommender):
    r"""Item-based collaborative filtering from `"Item-based Top-N Recommendation Algorithms"
    <https://doi.org/10.1145/963770.963776>`_ (TOIS 2004).

    .. math::
        s_{ij} = \frac{c_{ij}}{\sqrt{n_i n_j} + \text{shrinkage}}, \qquad
        s(u, i) = \sum_{j \in \mathcal{N}_u \cap kNN(i)} s_{ij}

    with :math:`n_i` the users of item i, :math:`c_{ij}` the users of both, and kNN(i) the items
    with the largest positive :math:`s_{ij}`, ties by ascending id.

    Args:
        neighbours: Size of kNN(i) (default: ``100``).
        shrinkage: Pulls similarities that few users support towards zero (default: ``0``).

    Note:
        The paper offers to scale every item's similarities to a sum of one; not done here.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "neighbours": (10, 20, 50, 100, 200, 500),
        "shrinkage": (0.0, 10.0, 50.0, 100.0),
    }

    def __init__(self, *, neighbours: int = 100, shrinkage: float = 0.0) -> None:
        self.neighbours = neighbours
        self.shrinkage = shrinkage

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        """Find every item's neighbours, block by block; ``validate`` is not used."""
        users, items = train.users.cpu().numpy(), train.items.cpu().numpy()
        shape = (train.num_users, train.num_items)
        r = sp.csr_array((np.ones(len(users)), (users, items)), shape=shape)
        r_t = r.T.tocsr()
        counts = torch.bincount(train.items, minlength=train.num_items).double()
        step = max(1, BLOCK_ENTRIES // train.num_items)
        blocks = []
        for start in range(0, train.num_items, step):
            rows = slice(start, start + step)
            shared = torch.from_numpy((r_t[rows] @ r).toarray()).to(train.device)  # c [rows, M]
            # an item without users shares none, whatever it is divided by
            norms = torch.outer(counts[rows], counts).clamp_(min=1).sqrt_()
            similarity = shared / (norms + self.shrinkage)
            similarity.diagonal(start).zero_()
            blocks.append(self._nearest(similarity))
        self.similarity = SparseMatrix(sp.vstack(blocks, format="csr"), train.device)
        self.seen = train.by_user()
        return self

    def _nearest(self, similarity: Tensor) -> sp.csr_array[Any]:
        """Keep the largest positive entries of every row, ``[rows, num_items]``."""
        positive = similarity.masked_fill(similarity <= 0, -torch.inf)
        columns = top_k(positive, min(self.neighbours, similarity.shape[1]))
        rows, places = torch.nonzero(columns >= 0, as_tuple=True)
        columns = columns[rows, places]
        values = similarity[rows, columns].cpu().numpy()
        num_rows, num_items = similarity.shape
        ends = (rows.cpu().numpy(), columns.cpu().numpy())
        return sp.csr_array((values, ends), shape=(num_rows, num_items))

    def score(self, users: Tensor) -> Tensor:
        """Sum the similarities to a user's items, ``[batch_size] -> [batch_size, num_items]``."""
        rows, items = self.seen.positions(users)
        history = torch.zeros(self.seen.num_items, len(users), device=users.device)
        history[items, rows] = 1
        return (self.similarity @ history).T  # [num_items, batch_size] -> [batch_size, num_items]
