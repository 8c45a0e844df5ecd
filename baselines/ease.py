"""The closed-form linear item-item model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import Self

from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender, Validate
from models.registry import register

MAX_ITEMS = 20_000
"""Largest catalogue: about 10 GB for three dense item-item matrices in double precision."""


@register("ease", label="EASE")
class EASE(Recommender):
    r"""EASE from `"Embarrassingly Shallow Autoencoders for Sparse Data"
    <https://arxiv.org/abs/1905.03375>`_ (WWW 2019).

    .. math::
        \min_B \lVert X - X B \rVert_F^2 + \lambda \lVert B \rVert_F^2, \quad B_{ii} = 0
        \qquad P = (X^T X + \lambda I)^{-1}, \quad B_{ij} = -P_{ij} / P_{jj} \;\; (i \ne j)

    with X the binary matrix of the training interactions; user u's scores are row u of X B.

    Args:
        l2: The regularisation lambda (default: ``250``).

    Note:
        Solved in double precision and scored in the default one. Time grows with the cube of the
        catalogue, memory with its square; see ``MAX_ITEMS``.
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "l2": (10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0)
    }

    def __init__(self, *, l2: float = 250.0) -> None:
        self.l2 = l2

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        """Solve for B in one step; ``validate`` is not used.

        Raises:
            UsageError: If ``l2`` is not positive or the catalogue exceeds ``MAX_ITEMS``.
        """
        if not self.l2 > 0:
            raise UsageError(f"'l2' of EASE needs to be positive (got {self.l2})")
        if train.num_items > MAX_ITEMS:
            raise UsageError(
                f"EASE needs dense item-item matrices, about {24e-9 * train.num_items**2:.0f} GB "
                f"for {train.num_items} items (it takes at most {MAX_ITEMS}): leave out 'ease', "
                f"or choose 'item_knn'"
            )
        users, items = train.users.cpu().numpy(), train.items.cpu().numpy()
        shape = (train.num_users, train.num_items)
        x = sp.csr_array((np.ones(len(users)), (users, items)), shape=shape)
        gram = torch.from_numpy((x.T @ x).toarray()).to(train.device)  # [num_items, num_items]
        gram.diagonal().add_(self.l2)
        p = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = (p / -p.diagonal()).fill_diagonal_(0)  # divides column j by -P_jj
        # LAPACK leaves columns adjacent, scoring sums rows
        self.weights = weights.to(torch.get_default_dtype()).contiguous()  # B
        self.seen = train.by_user()
        return self

    def score(self, users: Tensor) -> Tensor:
        """Sum B over the rows of a user's items, ``[batch_size] -> [batch_size, num_items]``."""
        _, items = self.seen.positions(users)
        ends = torch.cumsum(self.seen.counts(users), 0)
        starts = functional.pad(ends, (1, 0))  # [batch_size + 1]
        return functional.embedding_bag(
            items, self.weights, starts, mode="sum", include_last_offset=True
        )
