from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.edges import Edges

PAIRS = [(0, 1), (0, 3), (2, 3), (2, 0), (2, 1)]  # row 1 and column 2 have no edge
INDPTR, COLUMNS = torch.tensor([0, 2, 2, 5]), torch.tensor([1, 3, 3, 0, 1])


@pytest.fixture
def edges(float64: None) -> Edges:
    """Three row nodes, four column nodes."""
    return Edges(INDPTR, COLUMNS, num_columns=4)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3, 2, generator=generator, requires_grad=True)
    columns = torch.randn(4, 2, generator=generator, requires_grad=True)
    weights = torch.randn(5, generator=generator, requires_grad=True)
    return rows, columns, weights


def test_dot_is_one_inner_product_per_edge(edges: Edges) -> None:
    rows, columns, _ = inputs()
    expected = torch.stack([(rows[i] * columns[j]).sum() for i, j in PAIRS])
    torch.testing.assert_close(edges.dot(rows, columns), expected)


def test_weighted_sum_gathers_by_row(edges: Edges) -> None:
    _, columns, weights = inputs()
    expected = torch.zeros(3, 2)
    for weight, (i, j) in zip(weights.detach(), PAIRS, strict=True):
        expected[i] += weight * columns[j].detach()
    torch.testing.assert_close(edges.weighted_sum(weights, columns).detach(), expected)
    assert torch.equal(expected[1], torch.zeros(2))


def test_gradients(edges: Edges) -> None:
    rows, columns, weights = inputs()
    assert torch.autograd.gradcheck(edges.dot, (rows, columns))
    assert torch.autograd.gradcheck(edges.weighted_sum, (weights, columns))


def test_gradients_where_only_one_input_needs_them(edges: Edges) -> None:
    rows, columns, weights = inputs()
    assert torch.autograd.gradcheck(edges.dot, (rows.detach(), columns))
    assert torch.autograd.gradcheck(edges.dot, (rows, columns.detach()))
    assert torch.autograd.gradcheck(edges.weighted_sum, (weights.detach(), columns))
    assert torch.autograd.gradcheck(edges.weighted_sum, (weights, columns.detach()))


def test_no_edges_at_all() -> None:
    edges = Edges(torch.zeros(3, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), 4)
    columns = torch.ones(4, 2, requires_grad=True)
    found = edges.weighted_sum(edges.dot(torch.ones(2, 2), columns), columns)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(found.detach(), torch.zeros(2, 2))
    assert columns.grad is not None
    assert torch.equal(columns.grad, torch.zeros(4, 2))
