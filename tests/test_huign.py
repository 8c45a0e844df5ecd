from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_huign import BATCH, all_scores, built, close, expected_graph, sample
from torch import Tensor

from models.huign import HUIGN
from models.interactions import Interactions
from models.losses import bpr, l2_batch

Array = NDArray[np.float64]
Fill = Callable[[tuple[int, ...], int], Tensor]


# the golden case ---------------------------------------------------------------------------


@pytest.fixture
def golden(fill: Fill, float64: None) -> HUIGN:
    """Five items with the edges 0-1, 1-2, 0-2 and 2-3; two levels of two intents."""
    users, items = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 1, 2, 2, 3])
    train = Interactions(users, items, 3, 5, {"visual": fill((5, 3), 1)})
    model: HUIGN = built(train, embedding_dim=2, levels=(2, 2), min_co_users=1, reg=0.1)
    model.supernodes[0].data = torch.cat([fill((2, 3), 3), fill((2, 3), 5)])
    model.user_embedding.data, model.item_embedding.data = fill((3, 2), 2), fill((5, 2), 4)
    model.preferences[0].data = fill((3, 4), 6)
    return model


def test_golden_hierarchy(golden: HUIGN) -> None:
    intents = golden.intents()
    first = [
        [0.503476, 0.496524],
        [0.494826, 0.505174],
        [0.510301, 0.489699],
        [0.489014, 0.510986],
        [0.5, 0.5],
    ]
    close(intents.assignments[0][:, 0], first)
    close(intents.graphs[0][0], [[2.016223, 2.000297], [2.000297, 1.983182]])
    gamma = intents.assignments[1][0]
    close(gamma, [[0.522562, 0.477438], [0.522476, 0.477524]])
    top = [[2.184209, 1.995943], [1.995943, 1.823904]]
    close(gamma.T @ intents.graphs[0][0] @ gamma, top)
    close(golden.entropies(intents), [0.346520, 0.346066])
    close(golden.dependences(intents), [0.535375, 0.557687])


def test_golden_scores_and_loss(golden: HUIGN) -> None:
    scores = golden.score(torch.arange(3))
    expected = [
        [0.036009, 0.101855, -0.224587, -0.153537, -0.066366],
        [-0.391299, -0.439641, -0.056738, -0.099878, -0.303363],
        [-0.095463, -0.090171, 0.194018, 0.191878, -0.114809],
    ]
    close(scores, expected)
    users, pos, neg = torch.tensor([[0, 0, 3], [1, 2, 4], [2, 1, 0]]).T
    close(bpr(scores[users, pos] - scores[users, neg]), 0.623594)
    rows = (
        golden.user_embedding[users],
        golden.item_embedding[pos],
        golden.item_embedding[neg],
        golden.preferences[0][users],
    )
    close(l2_batch(*rows), 0.414937)
    close(golden.loss(users, pos, neg), 0.843652)


def test_diagnostics_by_hand(golden: HUIGN) -> None:
    found = golden.diagnostics()
    intents = golden.intents()
    gamma, upper = intents.assignments[0][:, 0], intents.assignments[1][0]
    assert found["isolated_items"] == 0.2
    assert found["edges"] == 4
    assert found["visual/1/std"] == pytest.approx(gamma[:, 0].std().item())  # columns mirror
    assert found["visual/2/std"] == pytest.approx((gamma @ upper)[:, 0].std().item())
    assert found["visual/1/peak"] == pytest.approx(
        (0.503476 + 0.505174 + 0.510301 + 0.510986 + 0.5) / 5, abs=1e-6
    )
    assert found["visual/2/peak"] == pytest.approx((0.522562 + 0.522476) / 2, abs=1e-6)
    first = golden.supernodes[0][:2].square().sum(1).sqrt().mean()
    assert found["visual/1/norm"] == pytest.approx(first.item())


# the formulas a second time, slowly --------------------------------------------------------


def softmax(x: Array) -> Array:
    weights = np.exp(x - x.max())
    return np.asarray(weights / weights.sum())


def normalised(graph: Array) -> Array:
    """Eq. 4's matrix entry by entry."""
    degrees = graph.sum(1)
    result = np.zeros_like(graph)
    for i, j in itertools.product(range(len(graph)), repeat=2):
        if degrees[i] > 0 and degrees[j] > 0:
            result[i, j] = graph[i, j] / math.sqrt(degrees[i] * degrees[j])
    return result


def expected_scores_and_loss(
    model: HUIGN, train: Interactions, weights: tuple[float, float]
) -> tuple[Array, float]:
    """All scores and the loss of ``BATCH``, from sections 3.1 to 3.3 of the paper."""
    first_graph = expected_graph(train, model.min_co_users)
    lonely = first_graph.sum(1) == 0
    if model.isolated == "self":
        first_graph[lonely, lonely] += 1
    nodes = [i for i in range(train.num_items) if model.isolated != "drop" or not lonely[i]]
    width = sum(model.levels)
    intents = np.zeros((train.num_items, width))
    entropy = dependence = 0.0
    for modality, supernodes in zip(model.modality_names, model.supernodes, strict=True):
        x: Array = train.features[modality].double().numpy()
        s = supernodes.detach().numpy()
        graph, distribution, start = first_graph, np.zeros((0, 0)), 0
        for level, size in enumerate(model.levels):
            block = s[start : start + size]
            z = normalised(graph) @ x
            gamma = np.zeros((len(graph), size))
            rows = nodes if level == 0 else range(len(graph))
            for i in rows:
                gamma[i] = softmax(np.array([z[i] @ c for c in block]) / model.temperature)
                entropy -= sum(g * math.log(g) for g in gamma[i]) / len(rows) / size
            excess = block @ block.T - np.eye(size)
            dependence += math.sqrt((excess**2).sum()) / size
            distribution = gamma if level == 0 else distribution @ gamma
            intents[:, start : start + size] += distribution
            graph, x, start = gamma.T @ graph @ gamma, block, start + size

    preferences = [table.detach().numpy() for table in model.preferences]
    user_ids, item_ids = (
        model.user_embedding.detach().numpy(),
        model.item_embedding.detach().numpy(),
    )
    scores = np.zeros((train.num_users, train.num_items))
    for u, i in itertools.product(range(train.num_users), range(train.num_items)):
        scores[u, i] = user_ids[u] @ item_ids[i] + sum(p[u] for p in preferences) @ intents[i]
    ranking = penalty = 0.0
    for u, p, n in zip(*(ids.tolist() for ids in BATCH), strict=True):
        ranking -= math.log(1 / (1 + math.exp(scores[u, n] - scores[u, p]))) / len(BATCH[0])
        touched = [user_ids[u], item_ids[p], item_ids[n], *(table[u] for table in preferences)]
        penalty += sum(row @ row for row in touched) / 2 / len(BATCH[0])
    loss = ranking + model.reg * penalty + weights[0] * entropy + weights[1] * dependence
    return scores, loss


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("share", [0.25, 0.9], ids=["sparse", "dense"])
@pytest.mark.parametrize("levels", [(4,), (4, 3), (2, 5, 3, 2)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"modalities": ("textual", "visual")},
        {"isolated": "self"},
        {"isolated": "drop"},
        {"user_intents": "shared"},
        {"temperature": 0.2},
    ],
    ids=str,
)
def test_scores_and_loss_by_loops(
    share: float, levels: tuple[int, ...], options: dict[str, Any]
) -> None:
    train = sample(7, 9, share)
    model = built(train, levels=levels, reg=0.3, **options)
    scores, loss = expected_scores_and_loss(model, train, (0.3, 0.3))
    torch.testing.assert_close(all_scores(model, train), torch.from_numpy(scores))
    assert model.loss(*BATCH).item() == pytest.approx(loss)


@pytest.mark.usefixtures("float64")
def test_the_weights_of_the_terms_can_differ() -> None:
    train = sample(7, 9, 0.5)
    model = built(train, reg=0.3, entropy_weight=2.0, independence_weight=0.5)
    _, loss = expected_scores_and_loss(model, train, (2.0, 0.5))
    assert model.loss(*BATCH).item() == pytest.approx(loss)
