from __future__ import annotations

from collections import Counter
from math import log2

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark.exposure import coverage, exposure_metrics, gini, novelty
from models.interactions import Interactions

NUM_USERS, NUM_ITEMS, K = 9, 12, 4

all_lists = st.lists(
    st.permutations(range(NUM_ITEMS)).map(lambda items: items[:K]), min_size=1, max_size=6
)
known = st.sets(st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1)), min_size=1)


def interactions(pairs: set[tuple[int, int]]) -> Interactions:
    users, items = torch.tensor(sorted(pairs)).T
    return Interactions(users, items, NUM_USERS, NUM_ITEMS)


def test_the_same_list_for_all_users() -> None:
    items = torch.tensor([[3, 1, 2]]).expand(50, -1)
    assert coverage(items, 30) == pytest.approx(3 / 30)
    # 27 items with nothing and 3 with a third each
    assert gini(items, 30) == pytest.approx((29 + 27 + 25) / 3 / 29)
    assert gini(items[:, :1], 30) == pytest.approx(1)


def test_every_item_in_one_list() -> None:
    items = torch.arange(30).reshape(10, 3)
    assert coverage(items, 30) == 1
    assert gini(items, 30) == pytest.approx(0, abs=1e-12)


def test_novelty_by_hand() -> None:
    counts = torch.tensor([16, 4, 1, 0])
    assert novelty(torch.tensor([[0, 1]]), counts, 16) == pytest.approx((0 + 2) / 2)
    assert novelty(torch.tensor([[2], [3]]), counts, 16) == pytest.approx(4)
    assert novelty(torch.tensor([[1, -1]]), counts, 16) == pytest.approx(2)  # no empty place


def test_empty_places_are_no_item() -> None:
    items = torch.tensor([[0, 1], [0, -1]])
    assert coverage(items, 3) == pytest.approx(2 / 3)
    # 0, 1 and 2 times: (-2 * 0 + 0 * 1 + 2 * 2) / 3 / 2
    assert gini(items, 3) == pytest.approx(4 / 6)


@given(all_lists, known)
def test_equals_slow_loops(lists: list[list[int]], pairs: set[tuple[int, int]]) -> None:
    found = exposure_metrics(torch.tensor(lists), interactions(pairs), (1, K))
    popularity = Counter(item for _, item in pairs)
    for k in (1, K):
        listed = Counter(item for each in lists for item in each[:k])
        assert found[f"coverage@{k}"] == pytest.approx(len(listed) / NUM_ITEMS)
        bits = [-log2(max(popularity[i], 1) / NUM_USERS) for each in lists for i in each[:k]]
        assert found[f"novelty@{k}"] == pytest.approx(sum(bits) / len(bits), abs=1e-12)
        # half the relative mean absolute difference, over what it is with all in one place
        counts = [listed[item] for item in range(NUM_ITEMS)]
        apart = sum(abs(a - b) for a in counts for b in counts)
        relative = apart / (2 * NUM_ITEMS * sum(counts))
        assert found[f"gini@{k}"] == pytest.approx(relative / (1 - 1 / NUM_ITEMS), abs=1e-12)


@given(all_lists, known)
def test_bounds(lists: list[list[int]], pairs: set[tuple[int, int]]) -> None:
    items: Tensor = torch.tensor(lists)
    found = exposure_metrics(items, interactions(pairs), (2,))
    assert list(found) == ["coverage@2", "novelty@2", "gini@2"]
    assert 2 / NUM_ITEMS <= found["coverage@2"] <= 1
    assert 0 <= found["novelty@2"] <= log2(NUM_USERS) + 1e-12
    assert -1e-12 <= found["gini@2"] <= 1
