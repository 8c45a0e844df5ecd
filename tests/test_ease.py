from __future__ import annotations

import pytest
import torch
from small_data import from_matrix
from torch import Tensor

from baselines.ease import EASE, MAX_ITEMS
from models.errors import UsageError
from models.interactions import Interactions

NUM_USERS, NUM_ITEMS = 40, 15


def test_solves_every_column_as_a_ridge_regression_on_the_other_items(
    x: Tensor, float64: None
) -> None:
    weights = EASE(l2=7.0).fit(from_matrix(x)).weights
    for item in range(NUM_ITEMS):
        others = [i for i in range(NUM_ITEMS) if i != item]
        # the same least squares problem with the penalty as extra rows, solved by QR
        design = torch.cat([x[:, others], 7.0**0.5 * torch.eye(NUM_ITEMS - 1)])
        target = torch.cat([x[:, item], torch.zeros(NUM_ITEMS - 1)])
        expected = torch.linalg.lstsq(design, target[:, None]).solution.squeeze(1)
        torch.testing.assert_close(weights[others, item], expected)


def test_diagonal_is_zero_and_normal_equations_hold(x: Tensor, float64: None) -> None:
    weights = EASE(l2=7.0).fit(from_matrix(x)).weights
    assert torch.count_nonzero(weights.diagonal()) == 0
    gram = x.T @ x
    residual = (gram + 7.0 * torch.eye(NUM_ITEMS)) @ weights - gram
    assert residual.fill_diagonal_(0).abs().max() < 1e-12


def test_scores_are_the_users_rows_times_the_weights(x: Tensor) -> None:
    model = EASE().fit(from_matrix(x))
    users = torch.tensor([5, NUM_USERS - 1, 0, 5])  # one of them without items
    torch.testing.assert_close(model.score(users), x[users].float() @ model.weights)


def test_renaming_items_renames_the_scores(x: Tensor) -> None:
    order = torch.randperm(NUM_ITEMS, generator=torch.Generator().manual_seed(1))
    users = torch.arange(NUM_USERS)
    scores = EASE().fit(from_matrix(x)).score(users)
    torch.testing.assert_close(EASE().fit(from_matrix(x[:, order])).score(users), scores[:, order])


def test_order_of_the_interactions_does_not_matter(x: Tensor) -> None:
    train = from_matrix(x)
    mirrored = Interactions(train.users.flip(0), train.items.flip(0), NUM_USERS, NUM_ITEMS)
    assert torch.equal(EASE().fit(train).weights, EASE().fit(mirrored).weights)


def test_a_catalogue_above_the_limit_is_refused_with_the_memory_it_needs() -> None:
    train = Interactions(torch.tensor([0]), torch.tensor([0]), 1, 5 * MAX_ITEMS)
    with pytest.raises(UsageError, match=r"240 GB for 100000 items .*at most 20000"):
        EASE().fit(train)


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan")])
def test_l2_needs_to_be_positive(x: Tensor, l2: float) -> None:
    with pytest.raises(UsageError, match=rf"'l2' of EASE .*got {l2}"):
        EASE(l2=l2).fit(from_matrix(x))
