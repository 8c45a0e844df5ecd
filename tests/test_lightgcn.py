from __future__ import annotations

from typing import Any

import pytest
import torch
from one_step import unmoved
from small_data import likes, shuffled
from torch import Tensor
from torch_geometric.nn import LightGCN as PyGLightGCN

from baselines.lightgcn import LightGCN
from models.interactions import Interactions

BATCH = (torch.tensor([0, 1, 3]), torch.tensor([0, 2, 1]), torch.tensor([3, 0, 4]))


def built(train: Interactions, **options: Any) -> LightGCN:
    model = LightGCN(embedding_dim=3, **options)
    torch.manual_seed(1)
    model.build(train)
    return model.eval()


def expected(train: Interactions, model: LightGCN) -> Tensor:
    """All representations from the dense matrix, users first."""
    observed = torch.zeros(train.num_users, train.num_items)
    observed[train.users, train.items] = 1
    square = [torch.zeros(n, n) for n in observed.shape]
    graph = torch.cat(
        [torch.cat([square[0], observed], dim=1), torch.cat([observed.T, square[1]], dim=1)]
    )
    scale = graph.sum(1).clamp(min=1).pow(-0.5)
    step = scale[:, None] * graph * scale
    ids = torch.cat([model.user_embedding, model.item_embedding])
    powers = [torch.linalg.matrix_power(step, layer) for layer in range(model.num_layers + 1)]
    return torch.stack(powers).mean(0) @ ids


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_representations_from_the_dense_matrix(train: Interactions, num_layers: int) -> None:
    model = built(train, num_layers=num_layers)
    torch.testing.assert_close(torch.cat(model()), expected(train, model))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("num_layers", [1, 3])
def test_representations_equal_those_of_pyg(train: Interactions, num_layers: int) -> None:
    model = built(train, num_layers=num_layers)
    peer = PyGLightGCN(train.num_users + train.num_items, 3, num_layers)
    peer.embedding.weight.data = torch.cat([model.user_embedding, model.item_embedding]).data
    one_way = torch.stack([train.users, train.num_users + train.items])
    both_ways = torch.cat([one_way, one_way.flip(0)], dim=1)
    torch.testing.assert_close(torch.cat(model()), peer.get_embedding(both_ways))
    directed = peer.get_embedding(one_way)
    assert not torch.allclose(torch.cat(model()), directed)


def test_default_is_the_mean_of_four_layers(train: Interactions) -> None:
    model = LightGCN()
    assert (model.embedding_dim, model.num_layers) == (64, 3)


def test_nodes_without_edges_keep_their_share_of_the_ids(train: Interactions) -> None:
    model = built(train, num_layers=3)
    user_repr, item_repr = model()
    torch.testing.assert_close(user_repr[2], model.user_embedding[2] / 4)
    torch.testing.assert_close(item_repr[4:], model.item_embedding[4:] / 4)


@pytest.mark.usefixtures("float64")
def test_loss_by_hand(train: Interactions) -> None:
    model = built(train, reg=0.1)
    representations = expected(train, model)
    ranking = penalty = torch.tensor(0.0)
    for u, p, n in zip(*(ids.tolist() for ids in BATCH), strict=True):
        user, pos, neg = representations[u], representations[4 + p], representations[4 + n]
        ranking = ranking - torch.log(torch.sigmoid(user @ (pos - neg)))
        for row in (model.user_embedding[u], model.item_embedding[p], model.item_embedding[n]):
            penalty = penalty + row @ row / 2
    torch.testing.assert_close(model.loss(*BATCH), (ranking + 0.1 * penalty) / 3)


@pytest.mark.usefixtures("float64")
def test_gradient(train: Interactions) -> None:
    model = built(train, reg=0.1)
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), tuple(model.parameters()))


@pytest.mark.usefixtures("float64")
def test_renumbering_users_and_items_renumbers_scores(train: Interactions) -> None:
    model = built(train)
    other, user_order, item_order = shuffled(train)
    renumbered = built(other)
    renumbered.user_embedding.data = model.user_embedding.data[user_order]
    renumbered.item_embedding.data = model.item_embedding.data[item_order]
    scores = model.score(user_order)[:, item_order]
    torch.testing.assert_close(renumbered.score(torch.arange(4)), scores)


def test_one_step_moves_every_parameter(train: Interactions) -> None:
    assert unmoved(built(train), *BATCH) == set()


def test_the_loss_falls() -> None:
    # smoothing alone ranks neighbours first, so good lists do not show that something is learned
    history = LightGCN(epochs=200, learning_rate=0.05, reg=0.0).fit(likes()).history
    assert history[-1]["loss"] < 0.1 * history[0]["loss"]
