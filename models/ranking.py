"""Exact top-k with a fixed order among ties."""

from __future__ import annotations

import torch
from torch import Tensor

from models.errors import DivergedError


def top_k(scores: Tensor, k: int) -> Tensor:
    """The ``k`` best columns of every row, best first, ties in ascending column order.

    Columns scored ``-inf`` are never returned: their places at the end hold ``-1``.
    ``torch.topk`` alone leaves the order among ties open, so a ranking could depend on the batch
    size or the device.

    Args:
        scores: ``[batch_size, num_items]``.
        k: Length of the lists, at most ``num_items``.

    Returns:
        ``[batch_size, k]`` item ids.

    Raises:
        ValueError: If ``k`` is not in ``1..num_items``.
        DivergedError: If a score is NaN.
    """
    num_items = scores.shape[1]
    if not 1 <= k <= num_items:
        raise ValueError(f"'k' needs to be in 1..{num_items}, the catalogue (got {k})")
    # one place more than asked for shows whether a tie crosses the boundary
    values, items = torch.topk(scores, min(k + 1, num_items), dim=1)
    if torch.isnan(values).any():
        raise DivergedError("scores hold NaN: the model has diverged")
    if k < num_items:
        tied = (values[:, k - 1] == values[:, k]) & (values[:, k] > -torch.inf)
        values, items = values[:, :k], items[:, :k]
        if tied.any():
            exact = torch.sort(scores[tied], dim=1, descending=True, stable=True)
            values[tied], items[tied] = exact.values[:, :k], exact.indices[:, :k]
    items, order = torch.sort(items, dim=1)
    values, order = torch.sort(values.gather(1, order), dim=1, descending=True, stable=True)
    return items.gather(1, order).masked_fill_(values == -torch.inf, -1)
