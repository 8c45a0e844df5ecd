"""Ranking metrics of every user, from the hits in their lists.

All take ``hits``, ``[num_users, k]`` bool: whether the item at each place of the list, best first,
is among the user's held-out positives; and ``num_positives``, ``[num_users]``: how many of these
there are. All return float64 ``[num_users]``. Users without a held-out positive have no metrics:
they are left out before any mean is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def precision(hits: Tensor, num_positives: Tensor) -> Tensor:
    r"""Share of the list that is relevant, :math:`h / k` with :math:`h` hits, in [0, 1]."""
    return hits.sum(1).double() / hits.shape[1]


def recall(hits: Tensor, num_positives: Tensor) -> Tensor:
    r"""Share of the relevant items that are listed, :math:`h / |T_u|`, in [0, 1]."""
    return hits.sum(1).double() / num_positives


def ndcg(hits: Tensor, num_positives: Tensor) -> Tensor:
    r"""Discounted gain relative to the best possible list, in [0, 1].

    .. math::
        \sum_{r \le k,\, \text{hit at } r} \frac{1}{\log_2(r + 1)} \Big/
        \sum_{r=1}^{\min(k, |T_u|)} \frac{1}{\log_2(r + 1)}
    """
    return _relative_gain(hits, num_positives)


def ndcg_hits(hits: Tensor, num_positives: Tensor) -> Tensor:
    r"""Discounted gain relative to the best order of the same hits, in [0, 1]; 0 without a hit.

    The definition in HUIGN's released code: as :func:`ndcg`, but the ideal has :math:`\min(h, k)`
    terms for :math:`h` hits. It rewards early hits whatever their number, so it is never below
    the standard value. Only for comparison with published numbers.
    """
    return _relative_gain(hits, hits.sum(1))


METRICS = {"precision": precision, "recall": recall, "ndcg": ndcg, "ndcg_hits": ndcg_hits}


def all_metrics(hits: Tensor, num_positives: Tensor, ks: Sequence[int]) -> dict[str, Tensor]:
    """Every metric at every cut-off, under names such as ``"recall@10"``.

    Args:
        hits: ``[num_users, K]`` with K at least the largest cut-off.
        num_positives: ``[num_users]``.
        ks: The cut-offs.
    """
    return {
        f"{name}@{k}": metric(hits[:, :k], num_positives)
        for name, metric in METRICS.items()
        for k in ks
    }


def _relative_gain(hits: Tensor, ideal_hits: Tensor) -> Tensor:
    """Discounted gain over that of a list with its first ``ideal_hits`` places relevant."""
    k = hits.shape[1]
    ranks = torch.arange(1, k + 1, dtype=torch.float64, device=hits.device)
    discounts = 1 / torch.log2(ranks + 1)
    # both sums add up in the order of ranks, so that a perfect list scores exactly 1
    gain = torch.cumsum(hits * discounts, 1)[:, -1]  # [num_users, k] -> [num_users]
    ideal: Tensor = torch.cumsum(discounts, 0)[ideal_hits.clamp(1, k) - 1]
    return gain / ideal
