from __future__ import annotations

from math import exp, log

import pytest
import torch

from models.losses import bpr, contrast, l2_batch, margins


def test_bpr_of_equal_scores_is_ln_2() -> None:
    assert bpr(torch.zeros(3)).item() == pytest.approx(log(2))


def test_bpr_by_hand() -> None:
    found = bpr(torch.tensor([2.0, -1.0]))
    assert found.item() == pytest.approx((log(1 + exp(-2)) + log(1 + exp(1))) / 2)


@pytest.mark.parametrize(("margin", "loss", "slope"), [(1000.0, 0.0, 0.0), (-1000.0, 1000.0, -1.0)])
def test_bpr_at_extreme_margins(margin: float, loss: float, slope: float) -> None:
    given = torch.tensor([margin], requires_grad=True)
    found = bpr(given)
    (gradient,) = torch.autograd.grad(found, given)
    assert found.item() == pytest.approx(loss)
    assert gradient.item() == pytest.approx(slope)


def test_margins_by_hand() -> None:
    user, pos, neg = torch.tensor([[1.0, 2.0], [3.0, 0.5]]), torch.eye(2), torch.ones(2, 2)
    assert margins(user, pos, neg).tolist() == [1 - 3, 0.5 - 3.5]


def test_l2_batch_by_hand() -> None:
    matrix = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    vector = torch.tensor([5.0, 6.0])
    assert l2_batch(matrix).item() == pytest.approx((1 + 4 + 9 + 16) / (2 * 2))
    assert l2_batch(matrix, vector).item() == pytest.approx((30 + 25 + 36) / (2 * 2))


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bpr, (a,))
    assert torch.autograd.gradcheck(l2_batch, (a, matrix))


def test_contrast_is_margins_and_norm_with_their_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    users, items = (
        torch.randn(size, 3, generator=generator, dtype=torch.float64).requires_grad_()
        for size in (4, 6)
    )
    ids = torch.tensor([[3, 0, 3, 1], [5, 2, 2, 0], [1, 2, 5, 5]])
    rows = users[ids[0]], items[ids[1]], items[ids[2]]
    found = contrast(users, items, *ids)
    for value, expected in zip(found, (margins(*rows), l2_batch(*rows)), strict=True):
        torch.testing.assert_close(value, expected)
    assert torch.autograd.gradcheck(lambda *tables: contrast(*tables, *ids), (users, items))
