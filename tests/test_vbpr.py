from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.bpr_mf import BPRMF
from baselines.vbpr import VBPR
from baselines.vbpr_penalised import PenalisedVBPR
from models.interactions import Interactions
from models.losses import bpr

Fill = Callable[[tuple[int, ...], int], Tensor]
BATCH = (torch.tensor([0, 1, 3, 0]), torch.tensor([0, 2, 1, 0]), torch.tensor([3, 0, 4, 5]))


@pytest.fixture
def train(train: Interactions) -> Interactions:
    """With features."""
    generator = torch.Generator().manual_seed(0)
    widths = {"visual": 3, "textual": 2}
    features = {name: torch.randn(6, width, generator=generator) for name, width in widths.items()}
    features["textual"][4] = 0  # lacks a modality
    return train.with_features(features)


def built(train: Interactions, cls: type[VBPR] = VBPR, **options: Any) -> VBPR:
    model = cls(**{"embedding_dim": 3, **options})
    torch.manual_seed(1)
    model.build(train)
    torch.nn.init.normal_(model.item_bias)
    return model.eval()


@pytest.mark.usefixtures("float64")
def test_golden(fill: Fill) -> None:
    users, items = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])
    model = VBPR(embedding_dim=2)
    model.build(Interactions(users, items, 2, 3, {"visual": torch.ones(3, 4)}))
    model.features = fill((3, 4), 1)
    model.user_embedding.data, model.item_embedding.data = fill((2, 2), 2), fill((3, 2), 3)
    model.user_content.data, model.projection.data = fill((2, 2), 4), fill((4, 2), 5)
    model.item_bias.data, model.feature_bias.data = fill((3,), 6), fill((4, 1), 8)
    expected = torch.tensor([[-0.209343, 0.306941, -0.214838], [-0.515164, -0.110014, 0.132506]])
    scores = model.eval().score(torch.arange(2))
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-6)
    users, pos, neg = torch.tensor([[0, 0, 1], [1, 2, 0]]).T
    assert bpr(scores[users, pos] - scores[users, neg]).item() == pytest.approx(0.702550, abs=1e-6)
    model.reg = 0.0
    assert model.loss(users, pos, neg).item() == pytest.approx(0.702550, abs=1e-6)


@pytest.mark.usefixtures("float64")
def test_scores_and_loss_by_loops(train: Interactions) -> None:
    model = built(train, reg=0.3)
    parts = [
        [row / max(row.norm().item(), 1e-12) for row in x.double()] for x in train.features.values()
    ]
    scores = torch.zeros(4, 6)
    for u, i in itertools.product(range(4), range(6)):
        x = torch.cat([part[i] for part in parts])
        score = model.item_bias[i] + model.user_embedding[u] @ model.item_embedding[i]
        for f in range(5):
            score = score + x[f] * model.feature_bias[f, 0]
            for k in range(3):
                score = score + model.user_content[u, k] * x[f] * model.projection[f, k]
        scores[u, i] = score.detach()
    torch.testing.assert_close(model.score(torch.arange(4)), scores)

    ranking = penalty = 0.0
    for u, p, n in zip(*(ids.tolist() for ids in BATCH), strict=True):
        ranking -= math.log(1 / (1 + math.exp(scores[u, n] - scores[u, p]))) / 4
        touched = (
            model.user_embedding[u],
            model.user_content[u],
            model.item_embedding[p],
            model.item_embedding[n],
            model.item_bias[p],
            model.item_bias[n],
        )
        penalty += sum(float(row.detach().square().sum()) for row in touched) / 2 / 4
    assert model.loss(*BATCH).item() == pytest.approx(ranking + 0.3 * penalty)


@pytest.mark.usefixtures("float64")
def test_penalty_on_the_weights_of_the_features(train: Interactions) -> None:
    plain, penalised = built(train, reg=0.3), built(train, PenalisedVBPR, reg=0.3)
    penalised.load_state_dict(plain.state_dict())
    everybody = torch.arange(4)
    assert torch.equal(penalised.score(everybody), plain.score(everybody))
    weights = [*plain.projection.flatten().tolist(), *plain.feature_bias.flatten().tolist()]
    expected = plain.loss(*BATCH).item() + 0.3 / 2 * sum(weight**2 for weight in weights)
    assert penalised.loss(*BATCH).item() == pytest.approx(expected)


def test_features_cannot_escape_the_penalty(train: Interactions) -> None:
    options: dict[str, Any] = {"reg": 1.0, "epochs": 200, "learning_rate": 0.05}
    plain, penalised = VBPR(**options).fit(train), PenalisedVBPR(**options).fit(train)
    assert plain.projection.norm() > 1
    assert penalised.projection.norm() < 0.01


@pytest.mark.parametrize("cls", [VBPR, PenalisedVBPR])
@pytest.mark.usefixtures("float64")
def test_gradient(cls: type[VBPR], train: Interactions) -> None:
    model = built(train, cls, reg=0.3)
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), tuple(model.parameters()))


@pytest.mark.usefixtures("float64")
def test_gradient_of_the_projection_in_closed_form(train: Interactions) -> None:
    model = built(train, reg=0.3)
    u, p, n = (ids[:1] for ids in BATCH)
    scores = model.score(u)
    model.loss(u, p, n).backward()  # type: ignore[no-untyped-call]
    difference = model.features[p] - model.features[n]
    expected = -torch.sigmoid(scores[0, n] - scores[0, p]) * difference.T @ model.user_content[u]
    assert model.projection.grad is not None
    torch.testing.assert_close(model.projection.grad, expected.detach())


@pytest.mark.usefixtures("float64")
def test_without_content_it_is_bpr_mf_with_a_bias(train: Interactions) -> None:
    model, plain = built(train, reg=0.0), BPRMF(embedding_dim=3)
    plain.build(train)
    for parameter in (model.projection, model.feature_bias):
        parameter.data.zero_()
    plain.load_state_dict(model.state_dict(), strict=False)
    everybody = torch.arange(4)
    expected = plain.eval().score(everybody) + model.item_bias.detach()
    torch.testing.assert_close(model.score(everybody), expected)
    model.item_bias.data.zero_()
    plain.reg = 0.0
    torch.testing.assert_close(model.loss(*BATCH), plain.loss(*BATCH))


@pytest.mark.usefixtures("float64")
def test_without_ids_only_features_tell_items_apart(train: Interactions) -> None:
    model = built(train)
    for parameter in (model.item_embedding, model.item_bias):
        parameter.data.zero_()
    linear = model.user_content @ model.projection.T + model.feature_bias.T  # [num_users, F]
    torch.testing.assert_close(model.score(torch.arange(4)), (linear @ model.features.T).detach())
    model.features[3] = model.features[1]
    scores = model.eval().score(torch.arange(4))
    assert torch.equal(scores[:, 3], scores[:, 1])


@pytest.mark.usefixtures("float64")
def test_shifting_all_features_changes_no_ranking(train: Interactions) -> None:
    model = built(train)
    before = model.score(torch.arange(4))
    loss = model.loss(*BATCH)
    model.features = model.features + torch.tensor([3.0, -1.0, 2.0, 0.5, 1.0])
    difference = model.eval().score(torch.arange(4)) - before
    torch.testing.assert_close(difference, difference[:, :1].expand(-1, 6))
    assert difference[0, 0] != 0
    torch.testing.assert_close(model.loss(*BATCH), loss)


@pytest.mark.usefixtures("float64")
def test_batches_larger_than_the_catalogue(train: Interactions) -> None:
    """They project all items instead of differences, to the same end."""
    model = built(train, reg=0.3)
    small, large = model.loss(*BATCH), model.loss(*(ids.repeat(3) for ids in BATCH))
    torch.testing.assert_close(small, large)
    parameters = list(model.parameters())
    found = torch.autograd.grad(large, parameters)
    torch.testing.assert_close(found, torch.autograd.grad(small, parameters))


def test_every_parameter_learns_and_features_stay(train: Interactions) -> None:
    model = VBPR(embedding_dim=3, epochs=1).fit(train)
    torch.manual_seed(model.seed)
    fresh = VBPR(embedding_dim=3)
    fresh.build(train)
    for name, value in fresh.state_dict().items():
        assert not torch.equal(model.state_dict()[name], value), name
    assert torch.equal(model.features, fresh.features)
    assert "features" not in dict(model.named_parameters())


def test_modalities_are_selected_and_scaled(train: Interactions) -> None:
    assert built(train).features.shape == (6, 5)
    textual = built(train, modalities=("textual",)).features
    assert textual.shape == (6, 2)
    lengths = textual.norm(dim=1)
    assert lengths[4] == 0
    torch.testing.assert_close(lengths[torch.arange(6) != 4], torch.ones(5))
