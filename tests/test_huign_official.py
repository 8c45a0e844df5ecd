from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import pytest
import small_huign
import torch
from one_step import unmoved
from small_huign import BATCH, sample
from torch import Tensor

from models.huign import HUIGN
from models.huign_official import HUIGNOfficial
from models.interactions import Interactions
from models.item_graph import co_interaction_graph
from models.losses import bpr
from models.registry import create, label

Fill = Callable[[tuple[int, ...], int], Tensor]


def built(train: Interactions, **options: Any) -> HUIGNOfficial:
    model: HUIGN = small_huign.built(train, HUIGNOfficial, **options)
    assert isinstance(model, HUIGNOfficial)
    return cast(HUIGNOfficial, model)


@pytest.mark.usefixtures("float64")
def test_golden(fill: Fill) -> None:
    """Numbers that the authors' forward pass and loss return for the same tensors."""
    users, items = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 1, 2, 2, 3])
    train = Interactions(users, items, 3, 5, {"visual": fill((5, 3), 1)})
    model = built(train, embedding_dim=2, levels=(2, 2), min_co_users=1, reg=0.1)
    model.supernodes[0].data = torch.cat([fill((2, 3), 3), fill((2, 3), 5)])
    model.user_embedding.data, model.item_embedding.data = fill((3, 2), 2), fill((5, 2), 4)
    model.preferences[0].data = fill((3, 4), 6)
    model.weights[0].data, model.weights[1].data = fill((3, 3), 7), fill((3, 3), 8)

    def close(found: Tensor, expected: Any) -> None:
        torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=2e-6)

    intents = model()[1][:, 2:].detach()
    first = [0.496840, 0.503160, 0.499529, 0.500471]
    close(intents[0], first)
    close(intents[:, 0], [0.496840, 0.498087, 0.495678, 0.498611, 0.5])
    close(intents[:, 1], [0.503160, 0.501913, 0.504322, 0.501389, 0.5])
    torch.testing.assert_close(intents[:, 2:], torch.tensor([first[2:]] * 5), rtol=0, atol=1e-6)

    users, pos, neg = torch.tensor([[0, 0, 3], [1, 2, 4], [2, 1, 0]]).T
    scores = model.score(torch.arange(3))
    close(bpr(scores[users, pos] - scores[users, neg]), 0.620742)
    tables = (model.user_embedding, model.item_embedding, model.item_embedding)
    rows = [table[ids] for table, ids in zip(tables, (users, pos, neg), strict=True)]
    close(model.penalty(*rows, model.preferences[0][users]).detach(), 0.252307)
    hierarchy = model.intents()
    close(torch.stack(model.entropies(hierarchy)).sum().detach(), 2 * 1.386280)
    close(torch.stack(model.dependences(hierarchy)).sum().detach(), 2 * 0.546531)
    close(model.loss(users, pos, neg).detach(), 1.032535)


def expected_intents(model: HUIGNOfficial, train: Interactions) -> Tensor:
    """V from dense matrices, in the order of the formula."""
    first_graph = torch.from_numpy(co_interaction_graph(train, model.min_co_users).toarray())
    total = torch.zeros(train.num_items, sum(model.levels))
    for index, modality in enumerate(model.modality_names):
        graph, x = first_graph.double(), train.features[modality].double()
        supernodes = model.supernodes[index].split(list(model.levels))
        path = torch.eye(train.num_items)
        blocks = []
        for level, s in enumerate(supernodes):
            w = model.weights[level * len(model.modality_names) + index]
            mean = torch.stack([row / max(1.0, float(row.sum().detach())) for row in graph])
            z = torch.nn.functional.leaky_relu(mean @ (mean @ x @ w) @ w, 0.01)
            gamma = (z @ s.T / model.temperature).softmax(1)
            path = path @ gamma
            blocks.append(path)
            graph, x = gamma.T @ graph @ gamma, s
        total = total + torch.cat(blocks, dim=1)
    return total


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("share", [0.25, 0.9], ids=["sparse", "dense"])
@pytest.mark.parametrize("levels", [(4,), (4, 3), (2, 5, 3, 2)], ids=str)
@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_intents_from_dense_matrices(
    share: float, levels: tuple[int, ...], temperature: float
) -> None:
    train = sample(7, 9, share)
    model = built(train, levels=levels, temperature=temperature)
    found = model()[1][:, 3:]
    torch.testing.assert_close(found, expected_intents(model, train))
    assert found.std(0).max() > 1e-5


@pytest.mark.usefixtures("float64")
def test_loss_terms_against_those_of_the_paper() -> None:
    train = sample(7, 9, 0.5)
    model = built(train, reg=0.3)
    intents = model.intents()
    ours, papers = model.entropies(intents), HUIGN.entropies(model, intents)
    for size, term, plain in zip(model.levels, ours, papers, strict=True):
        torch.testing.assert_close(term, 2 * size * plain)
    ours, papers = model.dependences(intents), HUIGN.dependences(model, intents)
    for size, term, plain in zip(model.levels, ours, papers, strict=True):
        torch.testing.assert_close(term, 2 * plain / size)

    users, pos, neg = BATCH
    scores = model.score(torch.arange(7))
    ids = torch.cat([model.item_embedding[pos], model.item_embedding[neg]])
    penalty = sum(
        float(rows.detach().square().mean())
        for rows in (model.user_embedding[users], ids, model.preferences[0][users])
    )
    terms = [*model.entropies(intents), *model.dependences(intents)]
    expected = float(bpr(scores[users, pos] - scores[users, neg])) + 0.3 * (
        penalty + sum(float(term.detach()) for term in terms)
    )
    assert model.loss(*BATCH).item() == pytest.approx(expected)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("share", [0.25, 0.9], ids=["sparse", "dense"])
def test_gradient(share: float) -> None:
    model = built(sample(5, 7, share), reg=0.3)
    parameters = tuple(model.parameters())
    assert len(parameters) == 2 + 3 + 1 + 9  # ids, supernodes, preferences, weights
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), parameters)


@pytest.mark.parametrize("levels", [(32,), (32, 8), (32, 8, 4), (64, 32, 8, 4)], ids=str)
def test_one_step_moves_every_parameter(levels: tuple[int, ...]) -> None:
    model = built(sample(8, 11, 0.5), levels=levels)
    assert unmoved(model, *BATCH) == set()
    assert len(model.weights) == 3 * len(levels)


def test_ids_start_as_one_normal_table() -> None:
    train = sample(400, 100, 0.1)
    model = built(train, embedding_dim=64)
    expected = math.sqrt(2 / (500 + 64))
    for table in (model.user_embedding, model.item_embedding):
        assert table.detach().std().item() == pytest.approx(expected, rel=0.03)
        assert table.abs().max() > math.sqrt(3) * expected  # the uniform distribution's end
        assert table.is_leaf
    assert model.user_embedding.shape == (400, 64)
    assert model.item_embedding.shape == (100, 64)


def test_items_without_neighbours_are_uniform() -> None:
    train = sample(12, 9, 0.4)
    gamma = built(train).intents().assignments[0]
    lonely = torch.from_numpy(co_interaction_graph(train, 2).toarray().sum(1) == 0)
    assert 0 < lonely.sum() < 9
    assert (gamma[lonely] == 0.25).all()
    assert (gamma[~lonely] != 0.25).any()


def test_a_graph_without_edges() -> None:
    train = sample(6, 9, 0.5)
    model = built(train, min_co_users=100)
    model.loss(*BATCH).backward()  # type: ignore[no-untyped-call]
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
    assert torch.isfinite(model.score(torch.arange(6))).all()


def test_no_modalities_leave_matrix_factorisation() -> None:
    train = sample(6, 9, 0.5)
    model = HUIGNOfficial(modalities=(), epochs=1).fit(train)
    assert set(model.state_dict()) == {"user_embedding", "item_embedding"}
    expected = (model.user_embedding @ model.item_embedding.T).detach()
    torch.testing.assert_close(model.score(torch.arange(6)), expected)


def test_is_registered_with_one_preference_per_user() -> None:
    model = create("huign_official")
    assert isinstance(model, HUIGNOfficial)
    assert label("huign_official") == "HUIGN (official)"
    changed = {name for name, value in HUIGN.defaults().items() if model.params()[name] != value}
    assert changed == {"user_intents"}
