from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from baselines.bpr_mf import BPRMF
from models.errors import DivergedError
from models.interactions import Interactions
from models.recommender import Recommender


class Recorded(BPRMF):
    """BPR-MF that remembers, for every step, its batch, the parameters and the mode before it."""

    def build(self, train: Interactions) -> None:
        super().build(train)
        self.steps: list[tuple[Tensor, ...]] = []
        self.before: list[dict[str, Tensor]] = []
        self.modes: list[bool] = []

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = super().forward()
        return user.clone(), item.clone()  # so that cached results can be stale

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        self.steps.append((users, pos_items, neg_items))
        self.before.append(weights(self))
        self.modes.append(self.training)
        return super().loss(users, pos_items, neg_items)


def weights(model: BPRMF) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


class Scripted:
    """A ``validate`` callback with given answers that remembers what it saw."""

    def __init__(self, scores: list[float]) -> None:
        self.scores: Iterator[float] = iter(scores)
        self.seen: list[dict[str, Tensor]] = []
        self.rated: list[Tensor] = []
        self.training: list[bool] = []

    def __call__(self, model: Recommender) -> float:
        assert isinstance(model, BPRMF)
        self.seen.append(weights(model))
        self.rated.append(model.score(torch.arange(3)))
        self.training.append(model.training)
        return next(self.scores)


def test_stops_after_patience_and_restores_the_best(checkerboard: Interactions) -> None:
    # an equal score is no improvement
    validate = Scripted([0.1, 0.3, 0.2, 0.3, 0.3, 0.9])
    model = Recorded(patience=3).fit(checkerboard, validate)
    assert [row["epoch"] for row in model.history] == [1, 2, 3, 4, 5]
    assert [row["validation"] for row in model.history] == [0.1, 0.3, 0.2, 0.3, 0.3]
    assert same(weights(model), validate.seen[1])
    assert not same(weights(model), validate.seen[4])
    assert torch.equal(model.score(torch.arange(3)), validate.rated[1])


def test_steps_are_in_training_mode_and_all_else_in_evaluation(checkerboard: Interactions) -> None:
    validate = Scripted([0.1, 0.2])
    model = Recorded(epochs=2).fit(checkerboard, validate)
    assert model.modes == [True, True]
    assert validate.training == [False, False]
    assert not model.training


def test_an_improvement_starts_the_count_again(checkerboard: Interactions) -> None:
    model = BPRMF(patience=2).fit(checkerboard, Scripted([0.1, 0.0, 0.2, 0.1, 0.0, 0.9]))
    assert len(model.history) == 5


def test_stops_at_the_last_epoch(checkerboard: Interactions) -> None:
    validate = Scripted([0.1, 0.2, 0.3])
    model = BPRMF(epochs=3).fit(checkerboard, validate)
    assert same(weights(model), validate.seen[2])


def test_without_validation_the_last_weights_stay(checkerboard: Interactions) -> None:
    model = BPRMF(epochs=4, patience=1).fit(checkerboard)
    assert len(model.history) == 4
    assert model.history[-1]["loss"] < model.history[0]["loss"]
    assert model.history[-1].keys() == {"epoch", "loss", "seconds"}


def test_learns(checkerboard: Interactions) -> None:
    model = BPRMF(learning_rate=0.01, epochs=150).fit(checkerboard)
    users = torch.arange(checkerboard.num_users)
    assert torch.equal(model.recommend(users, 1, exclude=checkerboard).squeeze(1), users)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_diverged_loss_raises(checkerboard: Interactions, value: float) -> None:
    class Diverges(Recorded):
        def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
            loss = super().loss(users, pos_items, neg_items)
            return loss + value if len(self.steps) == 2 else loss

    with pytest.raises(DivergedError, match=rf"loss is {value} in epoch 2 of Diverges\(.*seed=0"):
        Diverges(epochs=3).fit(checkerboard)


def test_seed_decides_the_outcome(checkerboard: Interactions) -> None:
    def fit(seed: int) -> dict[str, Tensor]:
        return weights(BPRMF(epochs=2, batch_size=100, seed=seed).fit(checkerboard))

    assert same(fit(1), fit(1))
    assert not same(fit(1), fit(2))


def test_sampling_seed_changes_sampling_only(checkerboard: Interactions) -> None:
    def fit(seed: int, sampling_seed: int | None) -> Recorded:
        return Recorded(epochs=1, seed=seed, sampling_seed=sampling_seed).fit(checkerboard)

    def same_batches(first: Recorded, second: Recorded) -> bool:
        return all(torch.equal(a, b) for a, b in zip(first.steps[0], second.steps[0], strict=True))

    base, other_sampling, other_start = fit(1, 1), fit(1, 2), fit(2, 1)
    assert same(base.before[0], other_sampling.before[0])
    assert not same_batches(base, other_sampling)
    assert not same(base.before[0], other_start.before[0])
    assert same_batches(base, other_start)
    # without its own seed, sampling follows the model's
    assert same_batches(base, fit(1, None))


def test_global_random_state_is_neither_used_nor_touched(checkerboard: Interactions) -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        state = torch.get_rng_state()
        first = weights(BPRMF(epochs=2).fit(checkerboard))
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(2)
        assert same(weights(BPRMF(epochs=2).fit(checkerboard)), first)


def test_one_step_moves_every_row(checkerboard: Interactions) -> None:
    model = Recorded(epochs=1, batch_size=len(checkerboard)).fit(checkerboard)
    assert len(model.steps) == 1
    for name, value in weights(model).items():
        assert (value != model.before[0][name]).any(dim=1).all()


def test_gradients_do_not_pile_up(checkerboard: Interactions) -> None:
    # two batches: what is left afterwards has to be the gradient of the second alone
    model = Recorded(epochs=1, batch_size=len(checkerboard) // 2).fit(checkerboard)
    assert len(model.steps) == 2
    fresh = BPRMF(epochs=0).fit(checkerboard)
    fresh.load_state_dict(model.before[1])
    fresh.loss(*model.steps[1]).backward()  # type: ignore[no-untyped-call]
    for expected, found in zip(fresh.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_fitting_again_starts_anew(checkerboard: Interactions) -> None:
    model = BPRMF(epochs=2).fit(checkerboard)
    first = weights(model)
    assert same(weights(model.fit(checkerboard)), first)
    assert len(model.history) == 2


def test_scores_are_fresh_after_eval(checkerboard: Interactions) -> None:
    model = Recorded(epochs=1).fit(checkerboard)
    users = torch.arange(3)
    before = model.score(users)
    with torch.no_grad():
        model.user_embedding.mul_(2)
    torch.testing.assert_close(model.eval().score(users), 2 * before)
    assert not before.requires_grad


@pytest.mark.parametrize("make", [BPRMF, lambda: BPRMF(embedding_dim=8, seed=3)])
def test_hyper_parameters_are_what_was_asked_for(make: Callable[[], BPRMF]) -> None:
    model = make()
    assert list(model.params()) == list(BPRMF.defaults())
    assert eval(repr(model)).params() == model.params()


def test_defaults_include_those_of_the_base_class() -> None:
    assert BPRMF.defaults() == {
        "learning_rate": 1e-3,
        "reg": 1e-4,
        "batch_size": 1024,
        "epochs": 1000,
        "patience": 20,
        "seed": 0,
        "sampling_seed": None,
        "embedding_dim": 64,
    }
    assert BPRMF(reg=0.5).params() == BPRMF.defaults() | {"reg": 0.5}


def test_defaults_of_a_subclass_win() -> None:
    class Stronger(BPRMF):
        def __init__(self, *, reg: float = 0.5) -> None:
            super().__init__(reg=reg)

    assert Stronger.defaults() == BPRMF.defaults() | {"reg": 0.5}
    assert Stronger().params() == Stronger.defaults()
