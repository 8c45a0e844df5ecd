"""What lists expose of the catalogue: coverage, novelty and concentration, beside accuracy.

All take ``items``, ``[num_users, k]``: the listed items, ``-1`` at an empty place. They describe
the lists of all evaluated users together, and none of them is good in itself: lists drawn at random
cover everything evenly.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.interactions import Interactions


def coverage(items: Tensor, num_items: int) -> float:
    """Share of the catalogue that is in anybody's list, in [0, 1]."""
    return float((listed(items, num_items) > 0).double().mean())


def novelty(items: Tensor, counts: Tensor, num_users: int) -> float:
    r"""Mean self-information of the listed items in bits, from 0 to :math:`\log_2 |U|`.

    .. math:: \mathrm{mean}_{i \text{ listed}} \; -\log_2 \frac{\max(n_i, 1)}{|U|}

    with :math:`n_i` of the :math:`|U|` users known to have interacted with item i, as in `"Solving
    the apparent diversity-accuracy dilemma of recommender systems"
    <https://doi.org/10.1073/pnas.1000488107>`_ (PNAS 2010). An item that nobody knows counts as
    known to one user.

    Args:
        items: ``[num_users, k]``.
        counts: ``[num_items]``, the items' numbers of training interactions.
        num_users: Size of the user set.
    """
    information = -torch.log2(counts.clamp(min=1).double() / num_users)  # [num_items]
    return float(information[items[items >= 0]].mean())


def gini(items: Tensor, num_items: int) -> float:
    r"""Inequality of how often the items are listed, in [0, 1].

    .. math:: \frac{1}{M - 1} \sum_{j=1}^{M} (2j - M - 1) \frac{x_j}{\sum_l x_l}

    with :math:`x_1 \le \dots \le x_M` the numbers of lists that each of the :math:`M` items is in
    (Shani and Gunawardana in the Recommender Systems Handbook): 0 if all are listed equally often,
    1 if every place has the same item, which only lists of length 1 can do.
    """
    exposure = torch.sort(listed(items, num_items)).values.double()
    rank = torch.arange(1, num_items + 1, dtype=torch.float64, device=items.device)
    weights = (2 * rank - num_items - 1) / max(num_items - 1, 1)
    return float((weights * exposure).sum() / exposure.sum())


def listed(items: Tensor, num_items: int) -> Tensor:
    """In how many lists each item is, ``[num_items]``."""
    return torch.bincount(items[items >= 0], minlength=num_items)


def exposure_metrics(items: Tensor, train: Interactions, ks: Sequence[int]) -> dict[str, float]:
    """All of them at every cut-off, under names such as ``coverage@10``.

    Args:
        items: ``[num_users, K]`` with K at least the largest cut-off.
        train: Training interactions.
        ks: The cut-offs.
    """
    counts = torch.bincount(train.items, minlength=train.num_items)
    return {
        **{f"coverage@{k}": coverage(items[:, :k], train.num_items) for k in ks},
        **{f"novelty@{k}": novelty(items[:, :k], counts, train.num_users) for k in ks},
        **{f"gini@{k}": gini(items[:, :k], train.num_items) for k in ks},
    }
