"""Dropout whose random numbers cost little."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

STEPS = 2**16
"""The share that is dropped is a multiple of one over this."""


def dropped_out(x: Tensor, share: float) -> Tensor:
    """``x`` with a random share of its entries zero and the others scaled up to make up for it.

    As :func:`torch.nn.functional.dropout`, which on a CPU draws a random number per entry, and in
    a graph model spends an eighth of a step on that; here 16 random bits decide.

    Args:
        x: Of any shape.
        share: Probability of becoming zero, in ``[0, 1)``.
    """
    if x.is_cuda or share == 0:
        return functional.dropout(x, share)
    low, high = torch.iinfo(torch.int64).min, torch.iinfo(torch.int64).max
    draws = torch.randint(low, high, (-(-x.numel() // 4),)).view(torch.int16)[: x.numel()]
    dropped = round(share * STEPS)
    kept = (draws >= dropped - STEPS // 2).to(x.dtype).mul_(STEPS / (STEPS - dropped))
    return x * kept.view(x.shape)
