from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models import mixture
from models.interactions import Interactions, UserItems
from models.mixture import mixture_logits, negative_log_likelihood

USERS = torch.tensor([3, 0, 2, 1])


def observed() -> UserItems:
    """User 2 has no items."""
    users, items = torch.tensor([0, 0, 1, 3, 3]), torch.tensor([1, 4, 0, 0, 2])
    return Interactions(users, items, num_users=4, num_items=5).by_user()


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Three parts, four users, five items, width two."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 4, 2, generator=generator, requires_grad=True)
    items = torch.randn(5, 2, generator=generator, requires_grad=True)
    log_weights = torch.randn(5, 3, generator=generator, requires_grad=True)
    return states, items, log_weights


def expected_logits(states: Tensor, items: Tensor, log_weights: Tensor) -> Tensor:
    parts = torch.einsum("kud,id->kui", states, items).exp()
    return torch.einsum("ik,kui->ui", log_weights.exp(), parts).log()


@pytest.fixture(params=[1, 3, 32])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    size: int = request.param
    monkeypatch.setattr(mixture, "CHUNK", size)
    return size


@pytest.mark.usefixtures("float64", "chunk")
def test_logits() -> None:
    torch.testing.assert_close(mixture_logits(*inputs()), expected_logits(*inputs()))


@pytest.mark.usefixtures("float64", "chunk")
def test_likelihood() -> None:
    probabilities = expected_logits(*inputs()).softmax(1)
    rows, items = torch.tensor([0, 0, 1, 1, 3]), torch.tensor([0, 2, 1, 4, 0])
    found = negative_log_likelihood(*inputs(), observed(), USERS)
    torch.testing.assert_close(found, -probabilities[rows, items].log().sum())


@pytest.mark.usefixtures("float64", "chunk")
def test_gradient() -> None:
    def loss(states: Tensor, items: Tensor, log_weights: Tensor) -> Tensor:
        return 3 * negative_log_likelihood(states, items, log_weights, observed(), USERS)

    assert torch.autograd.gradcheck(loss, inputs())


def test_extreme_scores_stay_finite() -> None:
    states, items, log_weights = (tensor.detach() * 1000 for tensor in inputs())
    states.requires_grad_()
    loss = negative_log_likelihood(states, items, log_weights, observed(), USERS)
    (gradient,) = torch.autograd.grad(loss, states)
    assert torch.isfinite(mixture_logits(states, items, log_weights)).all()
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_users_without_items_add_nothing() -> None:
    states, items, log_weights = inputs()
    alone = negative_log_likelihood(states[:, 2:3], items, log_weights, observed(), USERS[2:3])
    assert alone.item() == 0
