from __future__ import annotations

import numpy as np

from benchmark.datasets.drawn_pairs import covering, draw


def test_pairs_follow_taste_and_appeal() -> None:
    counts = np.full(2000, 3)
    tastes = np.tile([0.8, 0.2], (2000, 1))
    appeal = np.zeros((400, 2))
    appeal[:200, 0] = np.repeat([1, 3], 100)
    appeal[200:, 1] = 1
    users, items = draw(np.random.default_rng(0), counts, tastes, appeal)
    np.testing.assert_array_equal(np.bincount(users), counts)
    first = items < 200
    assert abs(first.mean() - 0.8) < 0.02  # 3 of about 200 items: hardly ever one twice
    assert abs((items[first] >= 100).mean() - 0.75) < 0.02


def test_who_has_all_that_they_like_turns_to_other_items() -> None:
    counts, tastes = np.array([20, 3]), np.array([[1.0, 0.0], [0.0, 1.0]])
    appeal = np.repeat(np.eye(2), [4, 36], axis=0)
    users, items = draw(np.random.default_rng(0), counts, tastes, appeal)
    pairs = list(zip(users.tolist(), items.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert np.bincount(users).tolist() == [20, 3]
    assert set(range(4)) < set(items[users == 0].tolist())


def test_nobodys_items_replace_others_of_their_intent() -> None:
    users, items = np.array([0, 0, 1, 1, 2]), np.array([0, 3, 0, 3, 0])
    intent = np.array([0, 0, 0, 1, 1])
    new_users, new_items = covering(np.random.default_rng(0), users, items, intent)
    assert set(new_items.tolist()) == {0, 1, 2, 3, 4}
    assert new_users.tolist() == users.tolist()
    assert sorted(intent[new_items]) == sorted(intent[items])
    assert items.tolist() == [0, 3, 0, 3, 0]  # the given pairs stay as they are


def test_an_item_stays_nobodys_if_no_other_can_be_spared() -> None:
    users, items, intent = np.array([0, 1]), np.array([0, 2]), np.array([0, 0, 1])
    _, new_items = covering(np.random.default_rng(0), users, items, intent)
    assert new_items.tolist() == [0, 2]
