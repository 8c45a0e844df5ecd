from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from one_step import unmoved
from small_data import shuffled
from torch import Tensor
from torch.nn import functional

from baselines.mmgcn import MMGCN, Layer, OfficialMMGCN
from models.errors import UsageError
from models.interactions import Interactions
from models.registry import create, label

BATCH = (torch.tensor([0, 1, 3]), torch.tensor([0, 2, 1]), torch.tensor([3, 0, 4]))


def with_features(train: Interactions) -> Interactions:
    generator = torch.Generator().manual_seed(3)
    widths = {"visual": 6, "textual": 4, "acoustic": 3}
    return train.with_features(
        {
            name: torch.randn(train.num_items, width, generator=generator)
            for name, width in widths.items()
        }
    )


@pytest.fixture
def train(train: Interactions) -> Interactions:
    """With features."""
    return with_features(train)


@pytest.fixture
def more_users() -> Interactions:
    """The other way round: six users and four items, of which user 5 and item 3 are alone."""
    users = torch.tensor([0, 0, 1, 2, 3, 4])
    items = torch.tensor([0, 1, 1, 2, 0, 1])
    return with_features(Interactions(users, items, num_users=6, num_items=4))


def built(train: Interactions, cls: type[MMGCN] = MMGCN, **options: Any) -> MMGCN:
    """A model whose biases are not 0; visual features are wider than the projection."""
    model = cls(embedding_dim=3, projection_dim=4, **options)
    torch.manual_seed(1)
    model.build(train)
    for layer in model.layers:
        assert isinstance(layer, Layer)
        for bias in (*layer.own_bias, *layer.combine_bias):
            torch.nn.init.uniform_(bias, -0.5, 0.5)
    return model.eval()


def expected(train: Interactions, model: MMGCN) -> Tensor:
    """Fused outputs, users first, node by node in plain Python."""
    num_users = train.num_users
    neighbours: dict[int, list[int]] = {n: [] for n in range(num_users + train.num_items)}
    for user, item in zip(train.users.tolist(), train.items.tolist(), strict=True):
        neighbours[user].append(num_users + item)
        neighbours[num_users + item].append(user)
    ids = torch.cat([model.user_embedding, model.item_embedding])
    outputs = []
    for modality, features in enumerate(train.features.values()):
        if features.shape[1] > model.projection_dim:
            features = features @ model.projections[str(modality)]
        x = torch.cat([model.preferences[modality], features])
        if model.normalise_input:
            x = x / x.norm(dim=1, keepdim=True)
        for layer in model.layers:
            assert isinstance(layer, Layer)
            w1, w2, w3 = layer.neighbour[modality], layer.own[modality], layer.combine[modality]
            b2, b3 = layer.own_bias[modality], layer.combine_bias[modality]
            after = []
            for node, around in neighbours.items():
                mean = x[around].mean(0) if around else torch.zeros_like(x[0])
                h = functional.leaky_relu(mean @ w1, 0.01)
                own = functional.leaky_relu(x[node] @ w2 + b2, 0.01) + ids[node]
                both = torch.cat([h, own]) @ w3 if model.combination == "concat" else h @ w3 + own
                after.append(functional.leaky_relu(both + b3, 0.01))
            x = torch.stack(after)
        outputs.append(x)
    total = torch.stack(outputs).sum(0)
    return total / len(outputs) if model.fusion == "mean" else total


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("combination", "weight", "scores"),
    [
        (
            "concat",
            ((5, 2), 7),
            [[0.173185, 0.108931, 0.135781], [0.182910, 0.115046, 0.143403]],
        ),
        ("ele", ((3, 2), 9), [[0.350473, 0.383145, 0.273179], [0.386084, 0.413432, 0.295785]]),
    ],
)
def test_golden_scores(
    fill: Callable[[tuple[int, ...], int], Tensor],
    combination: Literal["ele", "concat"],
    weight: tuple[tuple[int, int], int],
    scores: list[list[float]],
) -> None:
    users, items = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 2])
    train = Interactions(users, items, 2, 3, {"visual": fill((3, 3), 2)})
    model = MMGCN(embedding_dim=2, num_layers=1, combination=combination, normalise_input=True)
    model.build(train)
    ids = fill((5, 2), 6)
    model.load_state_dict(
        {
            "user_embedding": ids[:2],
            "item_embedding": ids[2:],
            "preferences.0": fill((2, 3), 1),
            "layers.0.neighbour.0": fill((3, 3), 3),
            "layers.0.own.0": fill((3, 2), 4),
            "layers.0.own_bias.0": fill((2,), 5),
            "layers.0.combine.0": fill(*weight),
            "layers.0.combine_bias.0": fill((2,), 8),
        }
    )
    found = model.eval().score(torch.arange(2))
    torch.testing.assert_close(found, torch.tensor(scores), atol=1e-6, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("data", ["train", "more_users"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 1},
        {"num_layers": 3, "combination": "concat"},
        {"fusion": "mean", "normalise_input": True},
    ],
)
def test_representations_node_by_node(
    data: str, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    train: Interactions = request.getfixturevalue(data)
    model = built(train, **options)
    torch.testing.assert_close(torch.cat(model()), expected(train, model))


@pytest.mark.usefixtures("float64")
def test_official_representations_node_by_node(train: Interactions) -> None:
    model = built(train, OfficialMMGCN)
    assert (len(model.layers), model.combination, model.fusion) == (3, "concat", "mean")
    torch.testing.assert_close(torch.cat(model()), expected(train, model))


@pytest.mark.usefixtures("float64")
def test_without_ids_and_neighbours_it_is_a_perceptron(train: Interactions) -> None:
    model = built(train, num_layers=1, modalities=["textual"])
    (layer,) = model.layers
    assert isinstance(layer, Layer)
    for parameter in (model.user_embedding, model.item_embedding, layer.combine[0]):
        torch.nn.init.zeros_(parameter)
    hidden = functional.linear(train.features["textual"], layer.own[0].T, layer.own_bias[0])
    output = functional.leaky_relu(functional.leaky_relu(hidden) + layer.combine_bias[0])
    torch.testing.assert_close(model()[1], output)


@pytest.mark.usefixtures("float64")
def test_loss_by_hand(train: Interactions) -> None:
    model = built(train, reg=0.1)
    nodes = expected(train, model)
    users, pos_items, neg_items = BATCH
    margin = (nodes[users] * (nodes[4 + pos_items] - nodes[4 + neg_items])).sum(1)
    tables = [model.user_embedding, *model.preferences]
    rows = [table[users] for table in tables]
    rows += [model.item_embedding[pos_items], model.item_embedding[neg_items]]
    penalty = sum((row.square().sum() for row in rows), torch.tensor(0.0)) / 6
    ranking = -torch.log(torch.sigmoid(margin)).mean()
    torch.testing.assert_close(model.loss(*BATCH), ranking + 0.1 * penalty)


@pytest.mark.usefixtures("float64")
def test_official_penalty_by_hand(train: Interactions) -> None:
    users, pos_items, neg_items = BATCH
    model, plain = (built(train, OfficialMMGCN, reg=reg) for reg in (0.1, 0.0))
    rows = [model.user_embedding[users], model.item_embedding[torch.cat([pos_items, neg_items])]]
    penalty = torch.cat(rows).square().mean() + model.preferences[0].square().mean()
    torch.testing.assert_close(model.loss(*BATCH) - plain.loss(*BATCH), 0.1 * penalty)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("options", [{}, {"combination": "concat", "normalise_input": True}])
def test_gradient(train: Interactions, options: dict[str, Any]) -> None:
    model = built(train, reg=0.1, **options)
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), tuple(model.parameters()))


@pytest.mark.usefixtures("float64")
def test_renumbering_users_and_items_renumbers_scores(train: Interactions) -> None:
    model = built(train)
    other, user_order, item_order = shuffled(train)
    renumbered = built(other)
    state = model.state_dict()
    for name in state:
        if name == "user_embedding" or name.startswith("preferences"):
            state[name] = state[name][user_order]
    state["item_embedding"] = state["item_embedding"][item_order]
    renumbered.load_state_dict(state)
    scores = model.score(user_order)[:, item_order]
    torch.testing.assert_close(renumbered.score(torch.arange(4)), scores)


@pytest.mark.usefixtures("float64")
def test_the_order_of_modalities_does_not_matter(train: Interactions) -> None:
    model = built(train, modalities=["acoustic", "textual"])
    swapped = built(train, modalities=["textual", "acoustic"])
    state = {}
    for name, value in model.state_dict().items():
        owner, _, modality = name.rpartition(".")
        state[f"{owner}.{1 - int(modality)}" if owner else name] = value
    swapped.load_state_dict(state)
    everybody = torch.arange(4)
    torch.testing.assert_close(swapped.eval().score(everybody), model.score(everybody))


def test_one_step_moves_every_parameter(train: Interactions) -> None:
    model = built(train)
    assert len(model.state_dict()) == 2 + 3 + 1 + 2 * 3 * 5  # ids, P, projection, layers
    assert unmoved(model, *BATCH) == set()


def test_official_tables_never_move(train: Interactions) -> None:
    frozen = unmoved(built(train, OfficialMMGCN), *BATCH)
    preferences = {f"preferences.{modality}" for modality in range(3)}
    assert frozen == {"user_embedding", "item_embedding", *preferences}


def test_wide_features_alone_are_projected(train: Interactions) -> None:
    model = built(train)
    assert {name: p.shape for name, p in model.projections.items()} == {"0": (6, 4)}
    assert [table.shape[1] for table in model.preferences] == [4, 4, 3]
    assert [mean is None for mean in model.item_means] == [True, False, False]


def test_defaults_are_the_paper() -> None:
    model = MMGCN()
    assert (model.embedding_dim, model.num_layers, model.projection_dim) == (64, 2, 256)
    assert (model.combination, model.fusion) == ("ele", "sum")
    assert model.train_tables
    assert not model.normalise_input


def test_official_can_be_made_again_from_its_parameters() -> None:
    model = create("mmgcn_official", embedding_dim=8)
    assert create("mmgcn_official", **model.params()).params() == model.params()
    assert model.params() == {**OfficialMMGCN.defaults(), "embedding_dim": 8}
    assert label("mmgcn_official") == "MMGCN (official)"


def test_no_modality_is_an_error(train: Interactions) -> None:
    assert MMGCN.missing_modality([]) is not None
    with pytest.raises(UsageError, match="modalities"):
        MMGCN(modalities=()).build(train)
