from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch
from one_step import unmoved
from small_data import NEG_ITEMS, POS_ITEMS, USERS, shuffled
from torch import Tensor, nn

from baselines.bpr_mf import BPRMF
from baselines.cb2cf import CB2CF, ContentNetwork, ContentRegression
from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import create, label

Fill = Callable[[tuple[int, ...], int], Tensor]
Mode = Literal["two_stage", "joint"]

COLD = 27


@pytest.fixture
def learnable(learnable: Interactions) -> Interactions:
    """Nobody likes the item ``COLD``; item 4 has the same features."""
    liked = learnable.items != COLD
    features = learnable.features["visual"].clone()
    features[COLD] = features[4]
    return replace(
        learnable,
        users=learnable.users[liked],
        items=learnable.items[liked],
        features={"visual": features},
    )


def built(train: Interactions, model: CB2CF) -> CB2CF:
    """The model with random parameters, biases as well, in evaluation mode."""
    torch.manual_seed(0)
    model.build(train)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model.eval()


def regression(train: Interactions, reg: float = 1e-4) -> ContentRegression:
    """The second stage of a small model with random parameters, in evaluation mode."""
    model = built(train, CB2CF(embedding_dim=2, view_dim=3, hidden_dim=3))
    stage = ContentRegression(model.factors, model.network, reg=reg)
    stage.build(train)
    return stage.eval()


@pytest.mark.usefixtures("float64")
def test_linear_network_reaches_the_ridge_solution(fill: Fill) -> None:
    x, q = fill((3, 4), 1), fill((3, 2), 3)
    train = Interactions(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2]), 2, 3, {"visual": x})
    linear = nn.Linear(4, 2, bias=False)
    nn.init.zeros_(linear.weight)
    network = ContentNetwork({"visual": x}, 4, 4, 2, dropout=0.0)
    network.views, network.combiner = nn.ModuleList([nn.Identity()]), nn.Sequential(linear)
    factors = BPRMF(embedding_dim=2)
    factors.build(train)
    factors.item_embedding = nn.Parameter(q)
    stage = ContentRegression(factors, network, reg=0.01 / 3)  # the loss is a mean over 3 items
    stage.build(train)
    optimizer = torch.optim.LBFGS(
        linear.parameters(), max_iter=200, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = stage.loss(torch.arange(3))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    weight = linear.weight.detach().T
    expected = [
        [0.320383, 0.338557],
        [0.773430, -0.126583],
        [-0.657474, 0.373038],
        [-0.524909, -0.470999],
    ]
    torch.testing.assert_close(weight, torch.tensor(expected), atol=1e-6, rtol=0)
    normal = torch.linalg.solve(x.T @ x + 0.01 * torch.eye(4), x.T @ q)
    torch.testing.assert_close(weight, normal, atol=1e-6, rtol=0)
    assert float((x @ weight - q).square().mean()) == pytest.approx(1.8733e-4, abs=1e-8)


@pytest.mark.usefixtures("float64")
def test_content_vectors_are_the_formula(small: Interactions) -> None:
    network = built(small, CB2CF(embedding_dim=2, view_dim=3, hidden_dim=4)).network
    weight = network.state_dict()
    views = []
    for index, x in enumerate(small.features.values()):
        length = x.norm(dim=1, keepdim=True).clamp(min=1e-12)
        layer = x / length @ weight[f"views.{index}.0.weight"].T + weight[f"views.{index}.0.bias"]
        views.append(layer.clamp(min=0))
    hidden = torch.cat(views, dim=1) @ weight["combiner.0.weight"].T + weight["combiner.0.bias"]
    expected = hidden.clamp(min=0) @ weight["combiner.3.weight"].T + weight["combiner.3.bias"]
    items = torch.tensor([2, 0, 3, 2])
    torch.testing.assert_close(network(items), expected[items])


@pytest.mark.usefixtures("float64")
def test_regression_loss_is_the_formula(small: Interactions) -> None:
    stage = regression(small, reg=0.1)
    items = torch.tensor([0, 4, 2])
    total = (stage.network(items) - stage.factors.item_embedding[items]).square().sum() / 3
    weights = [name for name, _ in stage.network.named_parameters() if name.endswith("weight")]
    assert len(weights) == 4
    for name in weights:
        total = total + 0.1 * stage.network.get_parameter(name).square().sum()
    torch.testing.assert_close(stage.loss(items), total)


def test_regression_sees_items_with_interactions_only(small: Interactions) -> None:
    stage = regression(small)
    stage.batch_size = 3
    batches = [items for (items,) in stage.batches(small, torch.Generator().manual_seed(0))]
    assert [len(items) for items in batches] == [3, 1]
    assert sorted(torch.cat(batches).tolist()) == [0, 1, 2, 4]


def test_regression_has_no_gradient_into_the_factors(small: Interactions) -> None:
    stage = regression(small)
    stage.loss(torch.tensor([0, 1])).backward()  # type: ignore[no-untyped-call]
    assert all(value.grad is None for value in stage.factors.parameters())
    assert all(value.grad is not None for value in stage.network.parameters())


@pytest.mark.usefixtures("float64")
def test_joint_loss_is_the_formula(small: Interactions) -> None:
    model = CB2CF(embedding_dim=2, view_dim=3, hidden_dim=4, content_weight=0.7, reg=0.1)
    built(small, model)
    user, item = model.factors.user_embedding, model.factors.item_embedding
    content = model.network(torch.arange(5))
    total = torch.zeros(())
    for u, p, n in zip(USERS, POS_ITEMS, NEG_ITEMS, strict=True):
        total = total + torch.log1p(torch.exp(user[u] @ item[n] - user[u] @ item[p]))
        for i in (p, n):
            total = total + 0.7 / 2 * (content[i] - item[i]).square().sum()
            total = total + 0.1 / 2 * item[i].square().sum()
        total = total + 0.1 / 2 * user[u].square().sum()
    torch.testing.assert_close(model.loss(USERS, POS_ITEMS, NEG_ITEMS), total / len(USERS))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("mode", ["two_stage", "joint"])
def test_scores(small: Interactions, mode: Mode) -> None:
    model = built(small, CB2CF(embedding_dim=2, view_dim=3, hidden_dim=4, mode=mode))
    user, item = model.factors.user_embedding, model.factors.item_embedding
    content = user @ model.network(torch.arange(5)).T
    collaborative, mean = user @ item.T, (user @ item.T + content) / 2
    cold = torch.arange(5) == 3
    expected = {
        "content": content,
        "warm_cf": torch.where(cold, content, collaborative),
        "mean": torch.where(cold, content, mean),
    }
    own = {"two_stage": "content", "joint": "warm_cf"}[mode]
    torch.testing.assert_close(model.score(torch.arange(4)), expected[own])
    model.scoring = "content"
    torch.testing.assert_close(model.eval().score(torch.arange(4)), expected["content"])
    model.scoring = "warm_cf"
    torch.testing.assert_close(model.eval().score(torch.arange(4)), expected["warm_cf"])
    model.scoring = "mean"
    torch.testing.assert_close(model.eval().score(torch.arange(4)), expected["mean"])


def test_first_stage_is_bpr_mf(learnable: Interactions) -> None:
    factors = BPRMF(epochs=5, batch_size=32, seed=3).fit(learnable)
    model = CB2CF(epochs=5, batch_size=32, seed=3, scoring="warm_cf").fit(learnable)
    users, warm = torch.arange(20), torch.arange(30) != COLD
    assert torch.equal(model.score(users)[:, warm], factors.score(users)[:, warm])
    content = CB2CF(epochs=5, batch_size=32, seed=3).fit(learnable).score(users)
    assert torch.equal(model.score(users)[:, COLD], content[:, COLD])
    assert not torch.allclose(content, factors.score(users))


@pytest.mark.usefixtures("float64")
def test_network_that_interpolates_ranks_like_bpr_mf(small: Interactions) -> None:
    factors = BPRMF(learning_rate=0.01, reg=0.0, epochs=200).fit(small)
    users, warm = torch.arange(4), [0, 1, 2, 4]
    expected = factors.score(users)[:, warm]

    def closeness(model: Recommender) -> float:
        return -float((model.score(users)[:, warm] - expected).abs().max())

    torch.manual_seed(0)
    network = ContentNetwork(small.features, 128, 256, 64, dropout=0.0)
    stage = ContentRegression(
        factors, network, learning_rate=0.01, reg=0.0, epochs=200, patience=200
    )
    assert closeness(stage.fit(small, closeness)) > -1e-2
    assert torch.equal(stage.score(users)[:, warm].argsort(1), expected.argsort(1))


def test_history_has_both_stages_each_with_its_own_stop(learnable: Interactions) -> None:
    script = {BPRMF: [0.5, 0.9, 0.1, 0.1], ContentRegression: [0.2, 0.1, 0.3, 0.1, 0.1]}
    seen: list[Tensor] = []

    def validate(model: Recommender) -> float:
        seen.append(model.score(torch.arange(20)))
        return script[type(model)].pop(0)

    model = CB2CF(patience=2, scoring="warm_cf").fit(learnable, validate)
    assert [(row["stage"], row["epoch"], row["validation"]) for row in model.history] == [
        (1, 1, 0.5),
        (1, 2, 0.9),
        (1, 3, 0.1),
        (1, 4, 0.1),
        (2, 1, 0.2),
        (2, 2, 0.1),
        (2, 3, 0.3),
        (2, 4, 0.1),
        (2, 5, 0.1),
    ]
    # the best epochs of both: the factors of the second, the network of the third
    assert torch.equal(model.factors.score(torch.arange(20)), seen[1])
    model.scoring = "content"
    assert torch.equal(model.eval().score(torch.arange(20)), seen[6])


@pytest.mark.parametrize("mode", ["two_stage", "joint"])
def test_cold_item_is_scored_by_its_content(learnable: Interactions, mode: Mode) -> None:
    model = CB2CF(mode=mode, scoring="content", epochs=3, batch_size=32).fit(learnable)
    scores = model.score(torch.arange(20))
    torch.testing.assert_close(scores[:, COLD], scores[:, 4])
    assert not torch.allclose(scores[:, COLD], scores[:, 5])


def test_joint_mode_has_a_name_of_its_own(learnable: Interactions) -> None:
    model = create("cb2cf_joint", epochs=2)
    assert label("cb2cf_joint") == "CB2CF (joint)"
    assert model.params() == {**CB2CF.defaults(), "mode": "joint", "epochs": 2}
    expected = CB2CF(mode="joint", epochs=2).fit(learnable).score(torch.arange(20))
    assert torch.equal(model.fit(learnable).score(torch.arange(20)), expected)


@pytest.mark.usefixtures("float64")
def test_order_of_users_and_items_does_not_matter(small: Interactions) -> None:
    model = built(small, CB2CF(scoring="mean"))
    moved, user_order, item_order = shuffled(small)
    new_user, new_item = torch.argsort(user_order), torch.argsort(item_order)  # ids after moving
    other = built(moved, CB2CF(scoring="mean"))
    state = model.state_dict()
    for name, order in (("user_embedding", user_order), ("item_embedding", item_order)):
        state[f"factors.{name}"] = state[f"factors.{name}"][order]
    other.load_state_dict(state)
    expected = model.score(user_order)[:, item_order]
    torch.testing.assert_close(other.score(torch.arange(4)), expected)
    torch.testing.assert_close(
        other.loss(new_user[USERS], new_item[POS_ITEMS], new_item[NEG_ITEMS]),
        model.loss(USERS, POS_ITEMS, NEG_ITEMS),
    )
    stages = [ContentRegression(each.factors, each.network) for each in (model, other)]
    for stage, train in zip(stages, (small, moved), strict=True):
        stage.build(train)
    assert stages[1].warm_items.tolist() == sorted(new_item[stages[0].warm_items].tolist())
    torch.testing.assert_close(
        stages[1].loss(stages[1].warm_items), stages[0].loss(stages[0].warm_items)
    )


@pytest.mark.usefixtures("float64")
def test_gradients(small: Interactions) -> None:
    model = built(small, CB2CF(embedding_dim=2, view_dim=3, hidden_dim=3, reg=0.1))
    assert torch.autograd.gradcheck(
        lambda *_: model.loss(USERS, POS_ITEMS, NEG_ITEMS), tuple(model.parameters())
    )
    stage = regression(small, reg=0.1)
    assert torch.autograd.gradcheck(
        lambda *_: stage.loss(stage.warm_items), tuple(stage.network.parameters())
    )


def test_one_step_moves_every_parameter(small: Interactions) -> None:
    joint, second = built(small, CB2CF()).train(), built(small, CB2CF())
    stage = ContentRegression(second.factors, second.network)
    stage.build(small)
    assert unmoved(joint, USERS, POS_ITEMS, NEG_ITEMS) == set()
    assert unmoved(stage, stage.warm_items) == {"factors.user_embedding", "factors.item_embedding"}


def test_dropout_acts_on_both_layers_in_training_only(learnable: Interactions) -> None:
    model = CB2CF(dropout=0.5)
    model.build(learnable)
    view, combiner = model.network.views[0], model.network.combiner
    for layer, inputs in ((view, torch.randn(9, 64)), (combiner, torch.randn(9, 128))):
        model.train()
        assert not torch.equal(layer(inputs), layer(inputs))
        model.eval()
        assert torch.equal(layer(inputs), layer(inputs))


def test_modalities_can_be_chosen(small: Interactions) -> None:
    model = CB2CF(modalities=["textual"])
    model.build(small)
    assert len(model.network.views) == 1
    changed = small.with_features({**small.features, "visual": torch.zeros(5, 3)})
    first, second = (CB2CF(modalities=["textual"], epochs=2).fit(x) for x in (small, changed))
    assert torch.equal(first.score(torch.arange(4)), second.score(torch.arange(4)))
