"""Pooling a graph by soft assignments."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.propagation import SparseMatrix


def pool(assignment: Tensor, graph: SparseMatrix) -> Tensor:
    r""":math:`\Gamma^T A \Gamma` per modality, ``[num_modalities, M, K] -> [.., K, K]``."""
    result: Tensor = _Pool.apply(assignment, graph)  # type: ignore[no-untyped-call]
    return result


class _Pool(torch.autograd.Function):
    r"""Pooling with one sparse product per step.

    With :math:`B = A \Gamma` kept from the forward pass and A symmetric, the gradient for
    :math:`\Gamma` is :math:`B (G + G^T)`: the backward pass needs no second product with A.
    """

    @staticmethod
    def forward(ctx: Any, assignment: Tensor, graph: SparseMatrix) -> Tensor:
        modalities, items, size = assignment.shape
        flat = assignment.transpose(0, 1).reshape(items, modalities * size)
        neighbours = (graph @ flat).view(items, modalities, size).transpose(0, 1)  # B
        ctx.save_for_backward(neighbours)
        return assignment.mT @ neighbours

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (neighbours,) = ctx.saved_tensors
        return neighbours @ (grads[0] + grads[0].mT), None
