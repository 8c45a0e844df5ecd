"""Products with constant sparse matrices, the inner loop of every graph model."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

DENSE_DENSITY = 0.15
"""Above this share of stored entries a dense product is the faster one."""

DENSE_ROWS = 20_000
"""Largest matrix ever stored densely (1.6 GB in single precision)."""


class SparseMatrix:
    r"""A constant matrix A to multiply dense matrices with: ``A @ x``.

    The product is ``embedding_bag`` in sum mode over the rows of x, 10 to 20 times faster on a
    CPU than the sparse formats of torch; very full small matrices are stored densely. Gradients
    flow to x: :math:`\partial L / \partial x = A^T \, \partial L / \partial (A x)`, where a
    symmetric A serves as its own transpose.

    Args:
        matrix: Any SciPy sparse matrix, ``[num_rows, num_columns]``.
        device: Where the products happen.
        symmetric: Promise that ``matrix`` equals its transpose, so that none is stored.
    """

    def __init__(
        self, matrix: sp.csr_array[Any], device: torch.device | str, *, symmetric: bool = False
    ) -> None:
        self.shape: tuple[int, int] = matrix.shape
        self._product = _Product(matrix, device)
        self._transposed = self._product if symmetric else _Product(matrix.T.tocsr(), device)

    def __matmul__(self, x: Tensor) -> Tensor:
        """``[num_columns, width] -> [num_rows, width]``, differentiable in ``x``."""
        result: Tensor = _Multiply.apply(x, self._product, self._transposed)  # type: ignore[no-untyped-call]
        return result

    def row_sums(self) -> Tensor:
        """``[num_rows]``; the degrees, where entries are ones."""
        return self @ torch.ones(self.shape[1], 1, device=self._product.device).squeeze(1)


class _Product:
    """One direction of :class:`SparseMatrix`, without gradients."""

    def __init__(self, matrix: sp.csr_array[Any], device: torch.device | str) -> None:
        self.device = torch.device(device)
        num_rows, num_columns = matrix.shape
        dtype = torch.get_default_dtype()
        full = matrix.nnz > DENSE_DENSITY * num_rows * num_columns
        self.dense: Tensor | None = None
        self.values: Tensor | None = None
        if full and max(num_rows, num_columns) <= DENSE_ROWS:
            self.dense = torch.from_numpy(matrix.toarray()).to(self.device, dtype)
            return
        index = torch.int32 if matrix.nnz < 2**31 else torch.int64
        self.offsets = torch.from_numpy(matrix.indptr).to(self.device, index)
        self.columns = torch.from_numpy(matrix.indices).to(self.device, index)
        if not np.all(matrix.data == 1):
            self.values = torch.from_numpy(matrix.data).to(self.device, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        if self.dense is not None:
            return self.dense.to(x.dtype) @ x
        return functional.embedding_bag(
            self.columns,
            x,
            self.offsets,
            mode="sum",
            per_sample_weights=None if self.values is None else self.values.to(x.dtype),
            include_last_offset=True,
        )


class _Multiply(torch.autograd.Function):
    """``product(x)`` with the transposed product as its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, product: _Product, transposed: _Product) -> Tensor:
        ctx.transposed = transposed
        return product(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return ctx.transposed(grads[0].contiguous()), None, None


def inverse_sqrt(degrees: Tensor) -> Tensor:
    """``degrees ** -0.5``, and 0 where a degree is 0."""
    positive = degrees > 0
    return torch.where(positive, degrees, 1.0).rsqrt() * positive
