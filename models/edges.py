"""Sums and inner products along edges, for graphs whose edge weights are computed."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


class Edges:
    r"""Edges from column nodes j to row nodes i, and the two operations on them.

    .. math::
        \mathrm{dot}(a, b)_e = a_{i(e)} \cdot b_{j(e)}, \qquad
        \mathrm{weighted\_sum}(w, x)_i = \sum_{e \to i} w_e \, x_{j(e)}

    Each is the derivative of the other, so that neither pass ever holds a vector per edge, only
    a number per edge. Where the weights are constant, :class:`models.propagation.SparseMatrix`
    is enough.

    Args:
        indptr: ``[num_rows + 1]``, where each row's edges start and end.
        columns: ``[num_edges]``, column node of each edge.
        num_columns: Number of column nodes.
    """

    def __init__(self, indptr: Tensor, columns: Tensor, num_columns: int) -> None:
        num_rows = len(indptr) - 1
        index = torch.int32 if len(columns) < 2**31 else torch.int64
        rows = torch.repeat_interleave(
            torch.arange(num_rows, device=columns.device), torch.diff(indptr)
        )
        # the same edges grouped by column node: order[e] is the place of the e-th in `columns`
        self.order = torch.argsort(columns, stable=True)
        counts = torch.bincount(columns, minlength=num_columns)
        ends = torch.cumsum(counts, 0)
        self.by_row = (indptr.to(index), columns.to(index))
        self.by_column = (
            torch.cat([ends.new_zeros(1), ends]).to(index),
            rows[self.order].to(index),
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            self.pattern = torch.sparse_csr_tensor(
                *self.by_row,
                torch.zeros(len(columns), device=columns.device),
                (num_rows, num_columns),
                check_invariants=False,
            )

    def dot(self, a: Tensor, b: Tensor) -> Tensor:
        """``[num_rows, width], [num_columns, width] -> [num_edges]``, differentiable in both."""
        result: Tensor = _Dot.apply(a, b, self)  # type: ignore[no-untyped-call]
        return result

    def weighted_sum(self, weights: Tensor, x: Tensor) -> Tensor:
        """``[num_edges], [num_columns, width] -> [num_rows, width]``, differentiable in both."""
        result: Tensor = _WeightedSum.apply(weights, x, self)  # type: ignore[no-untyped-call]
        return result


def _inner_products(edges: Edges, a: Tensor, b: Tensor) -> Tensor:
    values: Tensor = torch.sparse.sampled_addmm(edges.pattern, a, b.T, beta=0.0).values()
    return values


def _gather_sum(group: tuple[Tensor, Tensor], weights: Tensor, x: Tensor) -> Tensor:
    offsets, nodes = group
    return functional.embedding_bag(
        nodes, x, offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


class _Dot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, edges: Edges) -> Tensor:
        ctx.edges = edges
        ctx.save_for_backward(a, b)
        return _inner_products(edges, a, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        a, b = ctx.saved_tensors
        edges, grad = ctx.edges, grads[0]
        for_a = for_b = None
        if ctx.needs_input_grad[0]:
            for_a = _gather_sum(edges.by_row, grad, b)
        if ctx.needs_input_grad[1]:
            for_b = _gather_sum(edges.by_column, grad.index_select(0, edges.order), a)
        return for_a, for_b, None


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, x: Tensor, edges: Edges) -> Tensor:
        ctx.edges = edges
        ctx.save_for_backward(weights, x)
        return _gather_sum(edges.by_row, weights, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        weights, x = ctx.saved_tensors
        edges, grad = ctx.edges, grads[0].contiguous()
        for_weights = for_x = None
        if ctx.needs_input_grad[0]:
            for_weights = _inner_products(edges, grad, x)
        if ctx.needs_input_grad[1]:
            for_x = _gather_sum(edges.by_column, weights.index_select(0, edges.order), grad)
        return for_weights, for_x, None
