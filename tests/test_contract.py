"""What every registered recommender has to do, also a user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import discover, registered
from models.training import TrainedRecommender

for folder in ("models", "baselines"):
    discover(Path(__file__).parents[1] / folder)

FAST = {"learning_rate": 0.01, "batch_size": 128, "epochs": 100, "patience": 30}
"""Trains most models on the checkerboard in about a second."""

OVERRIDES: dict[str, dict[str, Any]] = {}
"""Settings of models that ``FAST`` does not suit."""

IMPERSONAL = {"popularity"}
"""Models that give everybody the same list, so cannot find the right items."""

IDLE = {
    # cancels in the difference of two scores, up to rounding
    "duif": {"network.3.bias"},
    # its tables are never trained
    "mmgcn_official": {
        "user_embedding",
        "item_embedding",
        *(f"preferences.{modality}" for modality in range(3)),
    },
}
"""Parameters that training does not have to change."""

ON_THE_DEFAULT_DEVICE = {
    # torch puts a sparse matrix where its values are, unless a default device is set
    "disengcn", "macridvae",
    # draws by itself on a CPU only
    "ngcf",
}  # fmt: skip
"""Models that a default device confuses, though they work on every device."""


class Case:
    """A recommender class under test, with settings that train it quickly."""

    def __init__(self, name: str, cls: type[Recommender]) -> None:
        self.name = name
        self.cls = cls
        fast = {key: value for key, value in FAST.items() if key in cls.defaults()}
        self.settings = {**fast, **OVERRIDES.get(name, {})}
        self._trained: Recommender | None = None

    def make(self, **hyper_parameters: Any) -> Recommender:
        return self.cls(**{**self.settings, **hyper_parameters})

    def make_short(self, **hyper_parameters: Any) -> Recommender:
        """For checks that hold whether or not the model has learned anything."""
        short = {"epochs": 2} if "epochs" in self.settings else {}
        return self.make(**short, **hyper_parameters)

    def trained(self, data: Interactions) -> Recommender:
        """One model for all checks that only look at it."""
        if self._trained is None:
            self._trained = self.make().fit(data, lambda model: hits(model, data))
        return self._trained


def hits(model: Recommender, data: Interactions) -> float:
    """Share of users whose best new item is the right one, their own number."""
    users = torch.arange(data.num_users)
    best = model.recommend(users, 1, exclude=data).squeeze(1)
    return float((best == users).float().mean())


def all_scores(model: Recommender, data: Interactions) -> Tensor:
    return model.score(torch.arange(data.num_users))


def leaves(loss: Tensor) -> list[Tensor]:
    """The tensors that a backward pass gives a gradient to."""
    nodes, seen = [loss.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [earlier for earlier, _ in node.next_functions]
    return [node.variable for node in seen if hasattr(node, "variable")]


def check_constructor_stores_every_hyper_parameter(case: Case, data: Interactions) -> None:
    model = case.make()
    for name, default in case.cls.defaults().items():
        assert getattr(model, name) == case.settings.get(name, default)
    assert case.cls(**model.params()).params() == model.params()


def check_constructor_does_no_work(case: Case, data: Interactions) -> None:
    before = torch.get_rng_state()
    model = case.make()
    assert torch.equal(torch.get_rng_state(), before)
    if isinstance(model, nn.Module):
        assert list(model.state_dict()) == []


def check_search_space_names_hyper_parameters(case: Case, data: Interactions) -> None:
    assert set(case.cls.search_space) <= set(case.cls.defaults())
    assert all(case.cls.search_space.values())


def check_fit_returns_the_model_and_leaves_the_data(case: Case, data: Interactions) -> None:
    users, items = data.users.clone(), data.items.clone()
    features = {name: matrix.clone() for name, matrix in data.features.items()}
    model = case.make_short()
    assert model.fit(data) is model
    assert torch.equal(data.users, users)
    assert torch.equal(data.items, items)
    assert all(torch.equal(data.features[name], features[name]) for name in features)


def check_finds_the_right_items(case: Case, data: Interactions) -> None:
    if case.name not in IMPERSONAL:
        assert hits(case.trained(data), data) == 1


def check_scores_are_finite_floats_for_every_item(case: Case, data: Interactions) -> None:
    users = torch.tensor([3, 0, 3, data.num_users - 1])
    scores = case.trained(data).score(users)
    assert scores.shape == (len(users), data.num_items)
    assert scores.is_floating_point()
    assert not scores.requires_grad
    assert torch.isfinite(scores).all()


def check_a_batch_equals_its_rows(case: Case, data: Interactions) -> None:
    model = case.trained(data)
    users = torch.tensor([5, 0, 29, 5, 11])
    rows = torch.cat([model.score(user[None]) for user in users])
    torch.testing.assert_close(model.score(users), rows, rtol=1e-4, atol=1e-5)


def check_recommends_new_items_by_descending_score(case: Case, data: Interactions) -> None:
    model, users = case.trained(data), torch.arange(data.num_users)
    seen = torch.zeros(data.num_users, data.num_items, dtype=torch.bool)
    seen[data.users, data.items] = True
    unseen = int((~seen).sum(1).min())
    items = model.recommend(users, unseen, exclude=data)
    assert items.shape == (data.num_users, unseen)
    assert not seen.gather(1, items).any()
    assert all(len(set(row)) == unseen for row in items.tolist())
    chosen = model.score(users).gather(1, items)
    assert (chosen.diff() <= 0).all()
    assert (
        chosen[:, -1:] >= model.score(users).masked_fill(seen, torch.inf).amin(1)[:, None]
    ).all()


def check_a_seed_decides_everything(case: Case, data: Interactions) -> None:
    model = case.make_short()
    scores = all_scores(model.fit(data), data)
    torch.manual_seed(123)  # what happens outside must not matter
    assert torch.equal(all_scores(case.make_short().fit(data), data), scores)
    assert torch.equal(all_scores(model.fit(data), data), scores), "a second fit starts afresh"
    if "epochs" in case.settings:
        other = all_scores(case.make_short(seed=1).fit(data), data)
        assert not torch.equal(other, scores)


def check_an_epoch_moves_every_parameter(case: Case, data: Interactions) -> None:
    if not issubclass(case.cls, TrainedRecommender):
        return
    start, model = (case.make(epochs=epochs).fit(data) for epochs in (0, 1))
    assert isinstance(start, TrainedRecommender)
    assert isinstance(model, TrainedRecommender)
    before = dict(start.named_parameters())
    still = {name for name, x in model.named_parameters() if torch.equal(x, before[name])}
    assert still <= IDLE.get(case.name, set())


def check_the_optimiser_knows_all_that_the_loss_learns(case: Case, data: Interactions) -> None:
    """A tensor that is no registered parameter would keep its first values unnoticed."""
    if not issubclass(case.cls, TrainedRecommender):
        return
    model = case.make(epochs=1).fit(data)
    assert isinstance(model, TrainedRecommender)
    loss = model.loss(*next(model.batches(data, torch.Generator().manual_seed(0))))
    parameters = {id(parameter) for parameter in model.parameters()}
    learned = leaves(loss)
    assert learned
    assert [leaf.shape for leaf in learned if id(leaf) not in parameters] == []


def check_users_and_items_without_interactions_are_scored(case: Case, data: Interactions) -> None:
    features = {name: nn.functional.pad(x, (0, 0, 0, 1)) for name, x in data.features.items()}
    num_users, num_items = data.num_users + 2, data.num_items + 1
    wider = replace(data, num_users=num_users, num_items=num_items, features=features)
    scores = all_scores(case.make_short().fit(wider), wider)
    assert scores.shape == (num_users, num_items)
    assert torch.isfinite(scores).all()


def check_tensors_are_made_on_the_device_of_the_data(case: Case, data: Interactions) -> None:
    if case.name in ON_THE_DEFAULT_DEVICE:
        return
    expected = all_scores(case.make_short().fit(data), data)
    users = torch.arange(data.num_users)
    with torch.device("meta"):  # where tensors go that are made without saying where
        scores = case.make_short().fit(data).score(users)
    assert torch.equal(scores, expected)


def check_validation_is_given_the_model_alone(case: Case, data: Interactions) -> None:
    calls = []

    def validate(*arguments: object) -> float:
        calls.append(arguments)
        (model,) = arguments
        assert isinstance(model, Recommender)  # the model, or the part that is being trained
        assert not (isinstance(model, nn.Module) and model.training)
        return 0.0

    case.make_short().fit(data, validate)
    assert calls or "epochs" not in case.settings


CHECKS: list[Callable[[Case, Interactions], None]] = [
    check_constructor_stores_every_hyper_parameter,
    check_constructor_does_no_work,
    check_search_space_names_hyper_parameters,
    check_fit_returns_the_model_and_leaves_the_data,
    check_finds_the_right_items,
    check_scores_are_finite_floats_for_every_item,
    check_a_batch_equals_its_rows,
    check_recommends_new_items_by_descending_score,
    check_a_seed_decides_everything,
    check_an_epoch_moves_every_parameter,
    check_the_optimiser_knows_all_that_the_loss_learns,
    check_users_and_items_without_interactions_are_scored,
    check_tensors_are_made_on_the_device_of_the_data,
    check_validation_is_given_the_model_alone,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "case", [Case(*entry) for entry in registered().items()], ids=lambda case: case.name
)
def test_contract(
    case: Case, check: Callable[[Case, Interactions], None], checkerboard: Interactions
) -> None:
    check(case, checkerboard)
