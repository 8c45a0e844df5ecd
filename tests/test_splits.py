from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmark.datasets import Dataset
from benchmark.splits import METHODS, Split, random_split, split, split_items, split_per_user
from models.errors import UsageError
from models.interactions import Interactions

# 50 pairs of 5 users: somebody has ten, so no method leaves a part empty
pairs = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 20)), min_size=50)
seeds = st.integers(0, 2**32)


def dataset_of(rows: NDArray[np.int64], labels: list[int] | None = None) -> Dataset:
    return Dataset.from_pairs(
        name="toy",
        source="here",
        users=rows[:, 0],
        items=rows[:, 1],
        num_users=13,
        num_items=21,
        features={},
        labels=None if labels is None else np.array(labels, dtype=np.int8),
    )


def grid(users: int, items: int) -> NDArray[np.int64]:
    return np.argwhere(np.ones((users, items))).astype(np.int64)


def as_sets(parts: Split) -> list[set[tuple[int, int]]]:
    def pairs_of(part: Interactions) -> set[tuple[int, int]]:
        return set(zip(part.users.tolist(), part.items.tolist(), strict=True))

    return [pairs_of(part) for part in (parts.train, parts.validation, parts.test)]


@given(pairs, seeds, st.sampled_from(["interactions", "per_user"]))
@settings(max_examples=60, deadline=None)
def test_parts_are_disjoint_and_complete(
    rows: set[tuple[int, int]], seed: int, method: str
) -> None:
    parts = split(dataset_of(np.array(sorted(rows))), {}, seed, method)
    train, validation, test = as_sets(parts)
    assert train | validation | test == rows
    assert len(parts.train) + len(parts.validation) + len(parts.test) == len(rows)
    assert {user for user, _ in train} == {user for user, _ in rows}
    assert parts.train.num_users == parts.test.num_users == 13
    assert parts.train.num_items == parts.validation.num_items == 21


@given(st.lists(st.integers(0, 12), min_size=10), seeds)
@settings(max_examples=60, deadline=None)
def test_random_sizes(users: list[int], seed: int) -> None:
    labels = random_split(np.array(users), seed)
    _, validation, test = np.bincount(labels, minlength=3)
    tenth = len(users) // 10
    given_back = 2 * tenth - validation - test
    assert validation <= tenth
    assert test <= tenth
    assert 0 <= given_back <= len(set(users))
    for user in set(users):
        assert (labels[np.array(users) == user] == 0).any()


@given(st.lists(st.integers(0, 5), min_size=1), seeds)
@settings(max_examples=60, deadline=None)
def test_per_user_sizes(users: list[int], seed: int) -> None:
    labels = split_per_user(np.array(users), seed)
    for user in set(users):
        count = users.count(user)
        expected = [count - 2 * (count // 10), count // 10, count // 10]
        assert np.bincount(labels[np.array(users) == user], minlength=3).tolist() == expected


@pytest.mark.parametrize("draw", [random_split, split_per_user])
def test_the_seed_decides(draw: Callable[[NDArray[np.int64], int], NDArray[np.int8]]) -> None:
    users = grid(10, 20)[:, 0]
    assert (draw(users, 3) == draw(users, 3)).all()
    assert (draw(users, 3) != draw(users, 4)).any()


def test_per_user_holds_out_the_first_of_each_user_in_a_random_order() -> None:
    users = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [9, 10, 45, 300]))
    order, expected = np.random.default_rng(7).permutation(len(users)), np.zeros(len(users))
    for user in range(4):
        mine = order[users[order] == user]
        tenth = len(mine) // 10
        expected[mine[:tenth]], expected[mine[tenth : 2 * tenth]] = 1, 2
    assert (split_per_user(users, 7) == expected).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_split_is_drawn_with_its_seed(method: str) -> None:
    dataset = dataset_of(grid(13, 21))
    test = split(dataset, {}, 3, method).test
    labels = METHODS[method](dataset.users, 3)
    assert test.users.tolist() == dataset.users[labels == 2].tolist()
    assert test.items.tolist() == dataset.items[labels == 2].tolist()


def test_every_part_moves_to_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interactions, "to", lambda part, device: (part, device))
    parts, device = split(dataset_of(grid(13, 21)), {}, 0), torch.device("cuda")
    assert vars(parts.to(device)) == {
        "train": (parts.train, device),
        "validation": (parts.validation, device),
        "test": (parts.test, device),
    }


def test_exact_sizes_when_nobody_is_left_without_train() -> None:
    assert np.bincount(random_split(grid(5, 21)[:, 0], 0)).tolist() == [85, 10, 10]


def test_held_out_pairs_are_given_back_from_both_parts() -> None:
    # every user has two pairs; both are held out for some users, in one part or one in each
    users = np.repeat(np.arange(2000), 2)
    labels = random_split(users, 0)
    _, validation, test = np.bincount(labels)
    assert (labels.reshape(2000, 2) == 0).any(axis=1).all()
    assert validation < 400
    assert test < 400
    assert abs(int(validation) - int(test)) < 25


def test_a_shipped_split_is_left_as_it_is() -> None:
    rows = np.array([[0, 0], [0, 1], [1, 0], [2, 5]])
    dataset = dataset_of(rows, [0, 1, 2, 2])
    train, validation, test = as_sets(split(dataset, {}, 0))
    assert (train, validation, test) == ({(0, 0)}, {(0, 1)}, {(1, 0), (2, 5)})
    assert as_sets(split(dataset, {}, 1)) == [train, validation, test]
    with pytest.raises(UsageError, match=r"'per_user' contradicts the split that 'toy' ships"):
        split(dataset, {}, 0, "per_user")


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 39)), min_size=40), seeds)
@settings(max_examples=60, deadline=None)
def test_items_are_held_out_whole(rows: set[tuple[int, int]], seed: int) -> None:
    users, items = np.array(sorted(rows)).T
    labels = split_items(users, items, seed)
    tenth = len(set(items)) // 10
    part_of = [set(items[labels == part]) for part in range(3)]
    assert sum(map(len, part_of)) == len(set.union(*part_of))  # no item in two parts
    assert all(len(held_out) <= tenth for held_out in part_of[1:])
    assert len(part_of[0]) == len(set(items)) - 2 * tenth
    warm = set(users[labels == 0])
    assert set(users[labels != 3]) == warm
    assert not warm & set(users[labels == 3])  # who knows only cold items is in no part


def test_a_tenth_of_the_items_is_in_each_held_out_part() -> None:
    rows = grid(13, 21)
    train, validation, test = as_sets(split(dataset_of(rows), {}, 0, "cold_items"))
    assert [len({item for _, item in part}) for part in (train, validation, test)] == [17, 2, 2]
    assert train | validation | test == set(map(tuple, rows.tolist()))
    first, again, other = (split_items(rows[:, 0], rows[:, 1], seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_held_out_items_replace_a_shipped_split() -> None:
    rows = grid(13, 21)
    labels = [place % 3 for place in range(len(rows))]
    plain, shipped = (
        as_sets(split(dataset_of(rows, given), {}, 5, "cold_items")) for given in (None, labels)
    )
    assert plain == shipped


def test_too_few_items_to_hold_any_out() -> None:
    with pytest.raises(UsageError, match=r"gives 117 train, 0 validation and 0 test"):
        split(dataset_of(grid(13, 9)), {}, 0, "cold_items")


def test_only_train_carries_features() -> None:
    features = {"image": torch.ones(21, 2)}
    parts = split(dataset_of(grid(13, 21)), features, 0)
    assert list(parts.train.features) == ["image"]
    assert not parts.validation.features
    assert not parts.test.features
    assert parts.train.users.dtype == parts.test.items.dtype == torch.int64


def test_too_few_interactions() -> None:
    message = r"the 9 interactions of 'toy' gives 9 train, 0 validation and 0 test"
    with pytest.raises(UsageError, match=message):
        split(dataset_of(grid(3, 3)), {}, 0)
    with pytest.raises(UsageError, match=r"gives 0 train, 2 validation and 1 test"):
        split(dataset_of(grid(3, 1), [1, 1, 2]), {}, 0)


def test_unknown_method() -> None:
    with pytest.raises(UsageError, match=r"'by_time' is unknown; choose among interactions, per_"):
        split(dataset_of(grid(13, 21)), {}, 0, "by_time")
