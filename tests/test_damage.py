from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import FeaturePropagation
from torch_geometric.utils import from_scipy_sparse_matrix

from benchmark.damage import (
    EVERY,
    POLICIES,
    ROUNDS,
    Damage,
    damaged,
    lost_items,
    neighbour_graph,
    propagated,
    remaining,
)
from benchmark.features import scale_features
from benchmark.presets import FEATURE_SCALING
from models.interactions import Interactions

USERS, ITEMS, DIM = 30, 24, 5
ABSENT = (3, 17)
"""Items that lack the modality from the start."""


def raw() -> Tensor:
    matrix = 3 + torch.randn(ITEMS, DIM, generator=torch.Generator().manual_seed(0))
    matrix[list(ABSENT)] = 0
    return matrix


def likes(scaling: str = "l2_row") -> Interactions:
    """Random likes, of items with a visual and a textual modality; nobody likes the last item."""
    generator = torch.Generator().manual_seed(1)
    liked = torch.rand(USERS, ITEMS, generator=generator) < 0.25
    liked[:, -1] = False
    users, items = torch.nonzero(liked).unbind(1)
    features = scale_features({"visual": raw().numpy(), "textual": raw().numpy()}, scaling)
    return Interactions(users, items, USERS, ITEMS, features)


def after(policy: str, rate: float = 0.5, scaling: str = "l2_row") -> tuple[Tensor, Tensor, Tensor]:
    """The visual features before and after, and which items lost them."""
    train = likes(scaling)
    before = train.features["visual"]
    changed = damaged(train, Damage("visual", policy, rate), scaling).features["visual"]
    return before, changed, lost_items(before, rate)


def test_the_share_of_the_items_that_have_the_modality_is_lost() -> None:
    matrix = raw()
    for rate, count in ((0.0, 0), (0.3, 7), (0.5, 11), (1.0, 22)):  # of 22
        lost = lost_items(matrix, rate)
        assert int(lost.sum()) == count
        assert not lost[list(ABSENT)].any()


def test_who_is_lost_is_the_same_every_time_and_lost_at_higher_rates() -> None:
    matrix = raw()
    masks = [lost_items(matrix, rate) for rate in (0.3, 0.6, 0.9, 1.0)]
    for less, more in pairwise(masks):
        assert not (less & ~more).any()
    assert torch.equal(masks[0], lost_items(2 * matrix, 0.3))
    assert masks[0].tolist() != sorted(masks[0].tolist(), reverse=True)  # not the first items


@pytest.mark.parametrize("scaling", FEATURE_SCALING)
def test_lost_rows_leave_no_trace_in_the_scaling(scaling: str) -> None:
    _, changed, lost = after("mask", 0.6, scaling)
    without = raw().masked_fill(lost[:, None], 0)
    torch.testing.assert_close(changed, scale_features({"": without.numpy()}, scaling)[""])
    assert not changed[lost].any()


@pytest.mark.parametrize("policy", ["mask", "mean", "neighbours", "drop"])
@pytest.mark.parametrize("scaling", FEATURE_SCALING)
def test_nothing_depends_on_what_the_lost_rows_held(policy: str, scaling: str) -> None:
    _, changed, lost = after(policy, 0.6, scaling)
    other = raw()
    other[lost] += 100 * torch.rand(int(lost.sum()), DIM)
    train = likes(scaling).with_features(scale_features({"visual": other.numpy()}, scaling))
    again = damaged(train, Damage("visual", policy, 0.6), scaling).features["visual"]
    torch.testing.assert_close(again, changed)


def test_the_mean_is_that_of_the_rows_that_are_left() -> None:
    before, changed, lost = after("mean", scaling="none")
    kept = [before[i] for i in range(ITEMS) if not lost[i] and i not in ABSENT]
    mean = sum(kept, torch.zeros(DIM)) / len(kept)
    for item in range(ITEMS):
        torch.testing.assert_close(changed[item], mean if lost[item] else before[item])
    _, unit, _ = after("mean", scaling="l2_row")
    torch.testing.assert_close(unit[lost].norm(dim=1), torch.ones(int(lost.sum())))


def test_neighbours_are_those_with_most_common_users() -> None:
    train = likes()
    liked = torch.zeros(USERS, ITEMS)
    liked[train.users, train.items] = 1
    expected = np.zeros((ITEMS, ITEMS))
    for item in range(ITEMS):
        shared = {i: float(liked[:, item] @ liked[:, i]) for i in range(ITEMS) if i != item}
        for other in sorted(shared, key=lambda i: (-shared[i], i))[:4]:
            if shared[other]:
                expected[item, other] = expected[other, item] = 1
    assert (neighbour_graph(train, neighbours=4).toarray() == expected).all()
    assert not expected[-1].any()


def test_blocks_do_not_change_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = neighbour_graph(likes())
    monkeypatch.setattr("benchmark.damage.CHUNK_ENTRIES", 5 * ITEMS)
    assert (neighbour_graph(likes()).toarray() == whole.toarray()).all()


@pytest.mark.filterwarnings("ignore:Sparse")
def test_features_are_propagated_as_in_pytorch_geometric() -> None:
    train = likes()
    lost = lost_items(train.features["visual"], 0.7)
    matrix = train.features["visual"].masked_fill(lost[:, None], 0)
    edges, _ = from_scipy_sparse_matrix(sp.coo_matrix(neighbour_graph(train)))
    theirs = FeaturePropagation(lost[:, None].expand(-1, DIM), num_iterations=ROUNDS)
    expected = theirs(Data(x=matrix, edge_index=edges)).x
    torch.testing.assert_close(propagated(matrix, lost, train), expected)
    assert lost[-1] == (not matrix[-1].any())
    assert expected[lost & (torch.arange(ITEMS) < ITEMS - 1)].any(dim=1).all()


def test_dropped_items_are_not_trained_on() -> None:
    train, damage = likes(), Damage("visual", "drop", 0.5)
    left, lost = remaining(train, damage), lost_items(train.features["visual"], 0.5)
    pairs = list(zip(train.users.tolist(), train.items.tolist(), strict=True))
    expected = [pair for pair in pairs if not lost[pair[1]]]
    assert list(zip(left.users.tolist(), left.items.tolist(), strict=True)) == expected
    assert 0 < len(expected) < len(pairs)
    assert (left.num_users, left.num_items) == (USERS, ITEMS)
    for policy in {*POLICIES, "shuffle"} - {"drop"}:
        assert remaining(train, replace(damage, policy=policy)) is train


def test_shuffled_rows_are_the_same_rows_elsewhere() -> None:
    before, changed, _ = after("shuffle", 1.0)
    assert sorted(changed.tolist()) == sorted(before.tolist())
    moved = (changed != before).any(dim=1)
    assert moved.sum() > ITEMS / 2
    assert not changed[list(ABSENT)].any()


@pytest.mark.parametrize("policy", [*POLICIES, "shuffle"])
def test_every_modality_is_damaged_as_each_would_be(policy: str) -> None:
    train, every = likes(), Damage(EVERY, policy, 0.5)
    left, expected = remaining(train, every), train
    for name in train.features:
        expected = remaining(expected, Damage(name, policy, 0.5))
    assert torch.equal(left.items, expected.items)
    found = damaged(left, every, "l2_row").features
    for name in train.features:
        alone = damaged(left, Damage(name, policy, 0.5), "l2_row").features[name]
        assert torch.equal(found[name], alone)
        assert not torch.equal(alone, train.features[name])


def test_modalities_are_shuffled_together() -> None:
    train = likes()  # both have the same rows
    changed = damaged(train, Damage(EVERY, "shuffle", 1.0), "l2_row").features
    assert torch.equal(changed["visual"], changed["textual"])


@pytest.mark.parametrize("policy", [*POLICIES, "shuffle"])
def test_nothing_else_changes(policy: str) -> None:
    train = likes()
    copy = {name: matrix.clone() for name, matrix in train.features.items()}
    left = damaged(train, Damage("visual", policy, 0.5), "l2_row")
    assert left.features["textual"] is train.features["textual"]
    assert list(left.features) == list(train.features)
    assert all(torch.equal(train.features[name], copy[name]) for name in copy)
    assert not left.features["visual"][list(ABSENT)].any()
    kept = ~lost_items(copy["visual"], 0.5)
    torch.testing.assert_close(left.features["visual"][kept], copy["visual"][kept])
    assert torch.equal(left.users, train.users)


def test_the_identity_of_a_damage_is_readable() -> None:
    assert str(Damage("visual", "mean", 0.3)) == "visual mean 0.3"
