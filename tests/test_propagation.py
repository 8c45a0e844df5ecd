from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from models.propagation import SparseMatrix, inverse_sqrt


def matrix(kind: str, num_rows: int, num_columns: int, share: float) -> sp.csr_array[Any]:
    """Random entries; row 0 is empty, row 1 full, and column 2 empty but for row 1."""
    generator = np.random.default_rng(0)
    dense = (generator.random((num_rows, num_columns)) < share).astype(np.float32)
    dense[:, 2] = dense[0] = 0
    dense[1] = 1
    if kind == "weighted":
        dense *= generator.normal(size=dense.shape).astype(np.float32)
    return sp.csr_array(dense)


SHAPES = [(6, 6), (3, 8), (9, 4)]
SHARES = [0.0, 0.2, 0.5, 0.8, 1.0]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", ["binary", "weighted"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("share", SHARES)
def test_product_and_its_gradient(kind: str, shape: tuple[int, int], share: float) -> None:
    a = matrix(kind, *shape, share)
    dense = torch.from_numpy(a.toarray()).double()
    x = torch.randn(shape[1], 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    product = SparseMatrix(a, "cpu") @ x
    torch.testing.assert_close(product, dense @ x)
    weights = torch.arange(product.numel()).reshape(product.shape).double()
    (gradient,) = torch.autograd.grad((weights * product).sum(), x)
    torch.testing.assert_close(gradient, dense.T @ weights)
    assert torch.autograd.gradcheck(lambda y: SparseMatrix(a, "cpu") @ y, (x,))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("share", SHARES)
def test_symmetric_matrix_is_its_own_transpose(share: float) -> None:
    half = matrix("binary", 7, 7, share)
    a = sp.csr_array(half.maximum(half.T))
    symmetric, plain = SparseMatrix(a, "cpu", symmetric=True), SparseMatrix(a, "cpu")
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = [torch.autograd.grad((m @ x).square().sum(), x)[0] for m in (symmetric, plain)]
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("share", SHARES)
def test_rows_of_ones_never_store_more_than_half(share: float) -> None:
    a = matrix("binary", 9, 20, share)
    for direction in (a, a.T.tocsr()):
        counts = np.diff(direction.indptr)
        cheapest = np.minimum(counts, direction.shape[1] - counts).sum()
        assert len(SparseMatrix(direction, "cpu")._product.columns) == cheapest


def test_empty_rows_are_exactly_zero() -> None:
    a = matrix("binary", 50, 50, 0.9)  # all the other rows are stored by what they lack
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    assert (SparseMatrix(a, "cpu") @ x)[0].eq(0).all()


@pytest.mark.parametrize("kind", ["binary", "weighted"])
@pytest.mark.parametrize("share", SHARES)
def test_row_sums(kind: str, share: float) -> None:
    a = matrix(kind, 6, 8, share)
    sums = SparseMatrix(a, "cpu").row_sums()
    torch.testing.assert_close(sums, torch.from_numpy(a.toarray().sum(1)))


def test_indices_take_four_bytes() -> None:
    product = SparseMatrix(matrix("binary", 6, 8, 0.3), "cpu")._product
    assert product.columns.dtype == product.offsets.dtype == torch.int32
    assert product.values is None


@pytest.mark.parametrize("kind", ["binary", "weighted"])
def test_single_precision_by_default(kind: str) -> None:
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    a = matrix(kind, 6, 8, 0.6)
    product = SparseMatrix(a, "cpu") @ x
    assert product.dtype == torch.float32
    torch.testing.assert_close(product, torch.from_numpy(a.toarray()) @ x)


def test_the_given_matrix_is_left_alone() -> None:
    a = matrix("binary", 9, 8, 0.8)
    before = a.copy()
    SparseMatrix(a, "cpu")
    assert (a.toarray() == before.toarray()).all()


def test_inverse_sqrt() -> None:
    degrees = torch.tensor([4.0, 0.0, 0.25, 1.0], requires_grad=True)
    found = inverse_sqrt(degrees)
    assert found.tolist() == [0.5, 0, 2, 1]
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert degrees.grad is not None
    torch.testing.assert_close(degrees.grad, torch.tensor([-0.0625, 0.0, -4.0, -0.5]))
