"""Trainable tensors: the paper's initialisation, and their rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def xavier(rows: int, columns: int, device: torch.device) -> nn.Parameter:
    """A ``[rows, columns]`` parameter, Xavier (Glorot) uniform with fan-in ``rows``."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns, device=device)))


def zeros(*shape: int, device: torch.device) -> nn.Parameter:
    """A parameter of zeros, for biases."""
    return nn.Parameter(torch.zeros(*shape, device=device))


def lookup(table: Tensor, ids: Tensor) -> Tensor:
    """``table[ids]``, several times as fast on a CPU, its gradient too."""
    return table.index_select(0, ids)
