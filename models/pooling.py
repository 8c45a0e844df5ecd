"""Pooling a graph by soft assignments."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.propagation import SparseMatrix


def pool(assignment: Tensor, graph: SparseMatrix) -> Tensor:
    r""":math:`\Gamma^T A \Gamma` of every modality, for a symmetric graph A.

    Args:
        assignment: Gamma, ``[num_nodes, num_modalities, K]``.
        graph: A, ``[num_nodes, num_nodes]``.

    Returns:
        ``[num_modalities, K, K]``.
    """
    result: Tensor = _Pool.apply(assignment, graph)  # type: ignore[no-untyped-call]
    return result


class _Pool(torch.autograd.Function):
    r"""Pooling with one sparse product per step.

    With :math:`B = A \Gamma` kept from the forward pass and A symmetric, the gradient for
    :math:`\Gamma` is :math:`B (G + G^T)`: the backward pass needs no second product with A.
    """

    @staticmethod
    def forward(ctx: Any, assignment: Tensor, graph: SparseMatrix) -> Tensor:
        neighbours = (graph @ assignment.flatten(1)).view_as(assignment)  # B
        ctx.save_for_backward(neighbours)
        return assignment.permute(1, 2, 0) @ neighbours.transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (neighbours,) = ctx.saved_tensors
        gradient = neighbours.transpose(0, 1) @ (grads[0] + grads[0].mT)
        return gradient.transpose(0, 1), None  # [num_nodes, num_modalities, K]
