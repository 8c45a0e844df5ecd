from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from one_step import unmoved
from small_data import NEG_ITEMS, POS_ITEMS, USERS, shuffled
from torch import Tensor, nn

from baselines.duif import DUIF, perceptron
from baselines.vbpr import VBPR
from models.interactions import Interactions

Fill = Callable[[tuple[int, ...], int], Tensor]
Similarity = Literal["dot", "cosine"]


def built(train: Interactions, model: DUIF) -> DUIF:
    """The model with random parameters, biases as well, in evaluation mode."""
    torch.manual_seed(0)
    model.build(train)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model.eval()


@pytest.mark.usefixtures("float64")
def test_golden_scores(fill: Fill) -> None:
    train = Interactions(
        torch.tensor([0, 1]), torch.tensor([0, 2]), 2, 3, {"visual": torch.ones(3, 4)}
    )
    model = DUIF(embedding_dim=2, hidden=(3,))
    model.build(train)
    model.features = fill((3, 4), 1)
    state = {
        "user_embedding": fill((2, 2), 2),
        "network.0.weight": fill((4, 3), 2).T,
        "network.0.bias": fill((3,), 1),
        "network.3.weight": fill((3, 2), 3).T,
        "network.3.bias": fill((2,), 4),
    }
    model.load_state_dict(state)
    expected = [[0.088020, 0.018864, 0.102546], [-0.114208, -0.018663, -0.125028]]
    scores = model.eval().score(torch.tensor([0, 1]))
    torch.testing.assert_close(scores, torch.tensor(expected), atol=1e-6, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize("item_bias", [False, True])
def test_loss_is_the_formula_with_the_scores_of_the_model(
    small: Interactions, similarity: Similarity, item_bias: bool
) -> None:
    model = DUIF(
        embedding_dim=3, hidden=(4, 2), similarity=similarity, item_bias=item_bias, reg=0.1
    )
    built(small, model)
    layers = [layer for layer in model.network if isinstance(layer, nn.Linear)]
    weights = [layer.weight for layer in layers]
    transformed = model.features @ weights[0].T + layers[0].bias
    for layer in layers[1:]:
        transformed = transformed.clamp(min=0) @ layer.weight.T + layer.bias
    user = model.user_embedding
    scores = user @ transformed.T
    if similarity == "cosine":
        scores = scores / user.norm(dim=1)[:, None] / transformed.norm(dim=1)
    bias = model.bias if item_bias else torch.zeros(5)
    scores = scores + bias
    torch.testing.assert_close(model.score(torch.arange(4)), scores)

    total = torch.zeros(())
    for u, p, n in zip(USERS, POS_ITEMS, NEG_ITEMS, strict=True):
        total = total + torch.log1p(torch.exp(scores[u, n] - scores[u, p]))
        total = total + 0.1 / 2 * (user[u].square().sum() + bias[p] ** 2 + bias[n] ** 2)
    for weight in weights:
        total = total + 0.1 / 2 * weight.square().sum()
    torch.testing.assert_close(model.loss(USERS, POS_ITEMS, NEG_ITEMS), total / len(USERS))


def test_starts_with_xavier_weights_and_zero_biases() -> None:
    torch.manual_seed(0)
    network = perceptron((300, 200, 100), dropout=0.0, device=torch.device("cpu"))
    for index, bound in ((0, (6 / 500) ** 0.5), (3, (6 / 300) ** 0.5)):
        layer = network[index]
        assert isinstance(layer, nn.Linear)
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.bias.count_nonzero() == 0
    assert network(torch.randn(50, 300)).min() < 0  # no ReLU behind the last layer


def test_items_with_equal_features_have_equal_scores(learnable: Interactions) -> None:
    features = learnable.features["visual"].clone()
    features[7] = 3 * features[4]  # equal once scaled to unit length
    train = learnable.with_features({"visual": features})
    model = DUIF(epochs=3, batch_size=32, learning_rate=0.01).fit(train)
    scores = model.score(torch.arange(20))
    torch.testing.assert_close(scores[:, 7], scores[:, 4])
    assert not torch.allclose(scores[:, 7], scores[:, 5])


def test_without_hidden_layers_is_the_content_part_of_vbpr(small: Interactions) -> None:
    vbpr = VBPR(embedding_dim=3)
    torch.manual_seed(0)
    vbpr.build(small)
    nn.init.zeros_(vbpr.user_embedding)
    nn.init.zeros_(vbpr.feature_bias)
    model = DUIF(embedding_dim=3, hidden=())
    model.build(small)
    state = {
        "user_embedding": vbpr.user_content,
        "network.0.weight": vbpr.projection.T,
        "network.0.bias": torch.zeros(3),
    }
    model.load_state_dict(state)
    users = torch.arange(4)
    torch.testing.assert_close(model.eval().score(users), vbpr.eval().score(users))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_order_of_users_and_items_does_not_matter(
    small: Interactions, similarity: Similarity
) -> None:
    model = built(small, DUIF(embedding_dim=3, similarity=similarity, item_bias=True))
    moved, user_order, item_order = shuffled(small)
    new_user, new_item = torch.argsort(user_order), torch.argsort(item_order)  # ids after moving
    other = built(moved, DUIF(embedding_dim=3, similarity=similarity, item_bias=True))
    state = model.state_dict()
    state["user_embedding"] = state["user_embedding"][user_order]
    state["bias"] = state["bias"][item_order]
    other.load_state_dict(state)
    expected = model.score(user_order)[:, item_order]
    torch.testing.assert_close(other.score(torch.arange(4)), expected)
    torch.testing.assert_close(
        other.loss(new_user[USERS], new_item[POS_ITEMS], new_item[NEG_ITEMS]),
        model.loss(USERS, POS_ITEMS, NEG_ITEMS),
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_gradients(small: Interactions, similarity: Similarity) -> None:
    model = DUIF(embedding_dim=2, hidden=(3,), similarity=similarity, item_bias=True, reg=0.1)
    built(small, model)

    def loss(*_: Tensor) -> Tensor:
        return model.loss(USERS, POS_ITEMS, NEG_ITEMS)

    assert torch.autograd.gradcheck(loss, tuple(model.parameters()))


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_one_step_moves_every_parameter(small: Interactions, similarity: Similarity) -> None:
    model = built(small, DUIF(embedding_dim=4, similarity=similarity, item_bias=True)).train()
    still = set(unmoved(model, USERS, POS_ITEMS, NEG_ITEMS))
    if similarity == "dot":  # the last bias cancels in the difference of two scores
        bias = model.get_parameter("network.3.bias")
        torch.testing.assert_close(bias.grad, torch.zeros_like(bias))
        still.discard("network.3.bias")
    assert not still


def test_an_item_without_features_leaves_first_gradients_small(small: Interactions) -> None:
    torch.manual_seed(0)
    model = DUIF(similarity="cosine")
    model.build(small)
    model.loss(USERS, POS_ITEMS, NEG_ITEMS).backward()  # type: ignore[no-untyped-call]
    assert all(value.grad is not None and value.grad.norm() < 1e3 for value in model.parameters())


def test_equal_seeds_give_equal_models(learnable: Interactions) -> None:
    first, second, other = (
        DUIF(epochs=2, dropout=0.3, seed=seed).fit(learnable).score(torch.arange(20))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_dropout_acts_in_training_only(learnable: Interactions) -> None:
    model = DUIF(dropout=0.5)
    model.build(learnable)
    batch = (learnable.users, learnable.items, learnable.items.flip(0))
    assert not torch.equal(model.train().loss(*batch), model.loss(*batch))
    assert torch.equal(model.eval().loss(*batch), model.loss(*batch))
