from __future__ import annotations

from typing import Any, cast

import pytest
import small_huign
import torch
from one_step import unmoved
from small_data import shuffled
from small_huign import BATCH, all_scores, item_intents, sample
from torch import Tensor

from baselines.huign_plus import HUIGNPlus, directions
from models.huign import HUIGN
from models.interactions import Interactions
from models.registry import create, label


def built(train: Interactions, **options: object) -> HUIGNPlus:
    return cast(HUIGNPlus, small_huign.built(train, HUIGNPlus, **options))


def newcomers() -> Interactions:
    """Users like the old items 0..19 of their own parity; nobody knows items 20..29 yet."""
    generator = torch.Generator().manual_seed(0)
    parity = torch.arange(30) % 2
    liked = torch.arange(40)[:, None] % 2 == parity
    liked &= torch.rand(40, 30, generator=generator) < 0.7
    liked[:, 20:] = False
    users, items = torch.nonzero(liked).unbind(1)
    told = 5 + torch.nn.functional.one_hot(parity).float()  # nearly the same for both
    noise = 0.1 * torch.randn(30, 2, generator=generator)
    return Interactions(users, items, 40, 30, {"visual": told + noise})


def right_pairs(model: HUIGN) -> float:
    """Share of the pairs of two new items, one of each parity, that a user has in order."""
    scores = model.score(torch.arange(40))[:, 20:]
    even, odd = scores[:, 0::2], scores[:, 1::2]
    own = torch.where(torch.arange(40)[:, None, None] % 2 == 0, 1, -1)
    return float((own * (even[:, :, None] - odd[:, None, :]) > 0).float().mean())


def test_directions() -> None:
    found = directions(torch.tensor([[4.0, 1.0], [0.0, 0.0], [4.0, 5.0], [1.0, 3.0]]))
    expected = torch.tensor([[1.0, -2.0], [0.0, 0.0], [1.0, 2.0], [-1.0, 0.0]])
    expected = expected / expected.norm(dim=1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(found, expected)
    assert not directions(torch.zeros(3, 2)).any()


def test_assignments_follow_the_own_features() -> None:
    train = sample(8, 12, 0.4)
    model = built(train)
    z = directions(train.features["textual"])
    s = model.supernodes[2][:4]
    expected = torch.softmax(z @ s.T / 0.1, dim=1)
    torch.testing.assert_close(model.intents().assignments[0][:, 2], expected)


def test_new_items_are_told_apart_by_features_alone() -> None:
    train = newcomers()
    train.features["visual"][21] = train.features["visual"][20]
    plus, plain = built(train), small_huign.built(train)
    scores = all_scores(plus, train)
    torch.testing.assert_close(scores[:, 20], scores[:, 21])  # their id embeddings differ
    assert not torch.isclose(scores[:, 20], scores[:, 22]).all()
    # HUIGN gives all of them the same intents
    new = item_intents(plain)[20:]
    torch.testing.assert_close(new, new[:1].expand_as(new))


def test_learns_what_new_items_are_good_for() -> None:
    options: dict[str, Any] = {"epochs": 80, "learning_rate": 0.02, "levels": (8, 4)}
    train = newcomers()
    assert right_pairs(HUIGNPlus(batch_size=128, **options).fit(train)) > 0.9
    assert right_pairs(HUIGN(batch_size=128, **options).fit(train)) < 0.7


def test_known_items_keep_their_ids() -> None:
    train = newcomers()
    model = built(train)
    model.item_embedding.data[3] += 1
    changed = (model.forward()[1] != built(train).forward()[1]).any(1)
    assert changed.nonzero().flatten().tolist() == [3]


def test_a_step_moves_every_parameter() -> None:
    assert unmoved(built(sample(8, 12, 0.4)), *BATCH) == set()


def test_item_and_user_numbers_do_not_matter() -> None:
    train = sample(8, 12, 0.4)
    renumbered, users, items = shuffled(train)
    one, other = built(train), built(renumbered)
    other.load_state_dict(one.state_dict())
    for table, order in (("user_embedding", users), ("item_embedding", items)):
        getattr(other, table).data = getattr(one, table).data[order]
    for mine, theirs in zip(other.preferences, one.preferences, strict=True):
        mine.data = theirs.data[users]
    expected: Tensor = all_scores(one, train)[users][:, items]
    torch.testing.assert_close(all_scores(other, renumbered), expected)


def test_without_features_it_is_matrix_factorisation() -> None:
    train = sample(8, 12, 0.4)
    model = built(train, modalities=())
    torch.testing.assert_close(
        all_scores(model, train), model.user_embedding @ (model.known * model.item_embedding).T
    )


@pytest.mark.parametrize("option", ["temperature", "entropy_weight", "independence_weight"])
def test_defaults(option: str) -> None:
    expected = {"temperature": 0.1, "entropy_weight": 0.0, "independence_weight": 0.0}
    assert HUIGNPlus.defaults()[option] == expected[option]
    assert getattr(create("huign_plus"), option) == expected[option]
    assert label("huign_plus") == "HUIGN+"
