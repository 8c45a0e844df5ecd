from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from one_step import unmoved
from small_data import shuffled
from torch import Tensor
from torch.nn import functional

from baselines import ngcf
from baselines.ngcf import NGCF
from models.interactions import Interactions

Form = Literal["paper", "official", "recbole"]
FORMS: tuple[Form, ...] = ("paper", "official", "recbole")
BATCH = (torch.tensor([0, 1, 3]), torch.tensor([0, 2, 1]), torch.tensor([3, 0, 4]))


def built(train: Interactions, **options: Any) -> NGCF:
    model = NGCF(embedding_dim=3, **options)
    torch.manual_seed(1)
    model.build(train)
    if model.form == "recbole":  # biases of zeros would hide their absence
        for bias in (*model.sum_biases, *model.product_biases):
            torch.nn.init.uniform_(bias)
    return model.eval()


@torch.no_grad()
def expected(train: Interactions, model: NGCF) -> Tensor:
    """All representations, users first, node by node in plain Python."""
    num_users = train.num_users
    neighbours: dict[int, list[int]] = {n: [] for n in range(num_users + train.num_items)}
    for user, item in zip(train.users.tolist(), train.items.tolist(), strict=True):
        neighbours[user].append(num_users + item)
        neighbours[num_users + item].append(user)
    x = list(torch.cat([model.user_embedding, model.item_embedding]))
    outputs = [torch.stack(x)]
    for layer in range(model.num_layers):
        w1, w2 = model.sum_weights[layer], model.product_weights[layer]
        after, copies = [], []
        for node, around in neighbours.items():
            if model.form == "official":
                received = sum((x[other] for other in around), x[node]) / (len(around) + 1)
                own = torch.zeros(3)
            else:
                received, own = torch.zeros(3), x[node]
                for other in around:
                    received = received + x[other] / (len(around) * len(neighbours[other])) ** 0.5
            one = (received + own) @ w1
            two = (received * x[node]) @ w2
            if model.form != "paper":
                one = one + model.sum_biases[layer][0]
                two = two + model.product_biases[layer][0]
            if model.form == "official":
                new = functional.leaky_relu(one, 0.2) + functional.leaky_relu(two, 0.2)
            else:
                new = functional.leaky_relu(one + two, 0.2)
            unit = new / new.norm().clamp(min=1e-12)
            after.append(unit if model.form == "recbole" else new)
            copies.append(new if model.form == "paper" else unit)
        x = after
        outputs.append(torch.stack(copies))
    return torch.cat(outputs, dim=1)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("form", "scores"),
    [
        ("paper", [[-0.044120, -0.030008, 0.054894], [0.149727, -0.078695, -0.110247]]),
        ("official", [[0.915715, 0.972578, 1.056591], [1.141332, 0.920009, 0.887972]]),
        ("recbole", [[0.898671, 0.951142, 1.051731], [1.099220, 0.917180, 0.888812]]),
    ],
)
def test_golden_scores(
    fill: Callable[[tuple[int, ...], int], Tensor], form: Form, scores: list[list[float]]
) -> None:
    train = Interactions(
        torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 2]), num_users=2, num_items=3
    )
    model = NGCF(embedding_dim=2, num_layers=1, form=form)
    model.build(train)
    ids = fill((5, 2), 1)
    state = {
        "user_embedding": ids[:2],
        "item_embedding": ids[2:],
        "sum_weights.0": fill((2, 2), 3),
        "product_weights.0": fill((2, 2), 5),
    }
    if form != "paper":
        state |= {"sum_biases.0": fill((1, 2), 2), "product_biases.0": fill((1, 2), 4)}
    model.load_state_dict(state)
    found = model.eval().score(torch.arange(2))
    torch.testing.assert_close(found, torch.tensor(scores), atol=1e-6, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_representations_node_by_node(train: Interactions, form: Form, num_layers: int) -> None:
    model = built(train, form=form, num_layers=num_layers)
    user_repr, item_repr = model()
    assert user_repr.shape == (4, 3 * (num_layers + 1))
    torch.testing.assert_close(torch.cat([user_repr, item_repr]), expected(train, model))


@pytest.mark.usefixtures("float64")
def test_without_weights_and_activation_it_is_a_linear_filter(
    train: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngcf, "SLOPE", 1.0)
    model = built(train)
    for one, two in zip(model.sum_weights, model.product_weights, strict=True):
        one.data, two.data = torch.eye(3), torch.zeros(3, 3)
    observed = torch.zeros(10, 10)
    observed[train.users, 4 + train.items] = 1
    graph = observed + observed.T
    scale = graph.sum(1).clamp(min=1).pow(-0.5)
    step = scale[:, None] * graph * scale + torch.eye(10)
    ids = torch.cat([model.user_embedding, model.item_embedding])
    powers = [torch.linalg.matrix_power(step, layer) @ ids for layer in range(4)]
    torch.testing.assert_close(torch.cat(model()), torch.cat(powers, dim=1))


@pytest.mark.usefixtures("float64")
def test_nodes_without_edges_pass_their_ids_on(train: Interactions) -> None:
    model = built(train, num_layers=1)
    alone = functional.leaky_relu(model.user_embedding[2] @ model.sum_weights[0], 0.2)
    torch.testing.assert_close(model()[0][2], torch.cat([model.user_embedding[2], alone]))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_loss_by_hand(train: Interactions, form: Form) -> None:
    model = built(train, form=form, reg=0.1)
    nodes = expected(train, model)
    users, pos_items, neg_items = BATCH
    user, pos, neg = nodes[users], nodes[4 + pos_items], nodes[4 + neg_items]
    ranking = -torch.log(torch.sigmoid((user * (pos - neg)).sum(1))).mean()
    if form == "recbole":
        penalty = (user.norm() + pos.norm() + neg.norm()) / 3
    else:
        width = 3 if form == "paper" else 12  # the ids only, or all layers
        penalty = torch.stack([user, pos, neg])[:, :, :width].square().sum() / 6
    if form == "paper":
        for weight in (*model.sum_weights, *model.product_weights):
            penalty = penalty + weight.square().sum() / 6
    torch.testing.assert_close(model.loss(*BATCH), ranking + 0.1 * penalty)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_gradient(train: Interactions, form: Form) -> None:
    model = built(train, form=form, num_layers=2, reg=0.1)
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), tuple(model.parameters()))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("form", FORMS)
def test_renumbering_users_and_items_renumbers_scores(train: Interactions, form: Form) -> None:
    model = built(train, form=form)
    other, user_order, item_order = shuffled(train)
    renumbered = built(other, form=form)
    state = model.state_dict()
    state["user_embedding"] = state["user_embedding"][user_order]
    state["item_embedding"] = state["item_embedding"][item_order]
    renumbered.load_state_dict(state)
    scores = model.score(user_order)[:, item_order]
    torch.testing.assert_close(renumbered.score(torch.arange(4)), scores)


@pytest.mark.parametrize("form", FORMS)
def test_one_step_moves_every_parameter(train: Interactions, form: Form) -> None:
    model = built(train, form=form)
    assert len(model.state_dict()) == (2 + 3 * 2 if form == "paper" else 2 + 3 * 4)
    assert unmoved(model, *BATCH) == set()


def test_dropout_happens_in_training_alone(train: Interactions) -> None:
    model = built(train, dropout=0.5)
    assert torch.equal(model()[0], model()[0])
    model.train()
    assert not torch.equal(model()[0], model()[0])
    assert torch.equal(model()[0][:, :3], model.user_embedding)  # ids are never dropped


def test_defaults_are_the_paper() -> None:
    model = NGCF()
    found = (model.embedding_dim, model.num_layers, model.dropout, model.form)
    assert found == (64, 3, 0.1, "paper")


def test_recbole_form_equals_recbole(train: Interactions) -> None:
    peer = pytest.importorskip("recbole.model.general_recommender.ngcf").NGCF
    model = built(train, form="recbole", dropout=0.0)
    layers = []
    for layer in range(3):
        copy = pytest.importorskip("recbole.model.layers").BiGNNLayer(3, 3)
        copy.linear.weight.data = model.sum_weights[layer].data.T
        copy.linear.bias.data = model.sum_biases[layer].data[0]
        copy.interActTransform.weight.data = model.product_weights[layer].data.T
        copy.interActTransform.bias.data = model.product_biases[layer].data[0]
        layers.append(copy)
    stand_in = SimpleNamespace(
        n_users=4,
        n_items=6,
        node_dropout=0,
        eye_matrix=None,
        emb_dropout=torch.nn.Identity(),
        GNNlayers=layers,
        norm_adj_matrix=model.graph @ torch.eye(10),
        get_ego_embeddings=lambda: torch.cat([model.user_embedding, model.item_embedding]),
    )
    torch.testing.assert_close(torch.cat(model()), torch.cat(peer.forward(stand_in)))
