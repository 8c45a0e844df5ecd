from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.interactions import Interactions

NUM_USERS, NUM_ITEMS = 6, 7
pair_lists = st.lists(
    st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1)), unique=True
)


def from_pairs(pairs: list[tuple[int, int]]) -> Interactions:
    users, items = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
    return Interactions(users, items, NUM_USERS, NUM_ITEMS)


@given(pair_lists)
def test_rows_hold_the_items_of_each_user(pairs: list[tuple[int, int]]) -> None:
    grouped = from_pairs(pairs).by_user()
    for user in range(NUM_USERS):
        row = grouped.items[grouped.indptr[user] : grouped.indptr[user + 1]].tolist()
        assert row == sorted(item for owner, item in pairs if owner == user)


@given(pair_lists, st.lists(st.integers(0, NUM_USERS - 1)))
def test_counts_and_positions(pairs: list[tuple[int, int]], batch: list[int]) -> None:
    grouped = from_pairs(pairs).by_user()
    users = torch.tensor(batch, dtype=torch.long)
    expected = [(row, i) for row, user in enumerate(batch) for u, i in sorted(pairs) if u == user]
    rows, items = grouped.positions(users)
    assert list(zip(rows.tolist(), items.tolist(), strict=True)) == expected
    assert grouped.counts(users).tolist() == [sum(u == user for u, _ in pairs) for user in batch]


@given(pair_lists)
def test_contains(pairs: list[tuple[int, int]]) -> None:
    users, items = torch.arange(NUM_USERS)[:, None], torch.arange(NUM_ITEMS)
    found = from_pairs(pairs).by_user().contains(users, items)  # [num_users, num_items]
    assert {(u, i) for u, i in torch.nonzero(found).tolist()} == set(pairs)


@given(pair_lists)
def test_union(pairs: list[tuple[int, int]]) -> None:
    middle = len(pairs) // 2
    both = from_pairs(pairs[:middle]).union(from_pairs(pairs[middle:]))
    assert len(both) == len(pairs)
    assert torch.equal(both.by_user().keys, from_pairs(pairs).by_user().keys)


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [
        ([0, 1], [0], "one length"),
        ([[0, 1]], [[0, 1]], "one length"),
        ([0, 6], [0, 1], r"'users' needs ids in 0\.\.5 \(got 0\.\.6\)"),
        ([0, 1], [-1, 1], r"'items' needs ids in 0\.\.6 \(got -1\.\.1\)"),
    ],
)
def test_bad_pairs_raise(users: list[int], items: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Interactions(torch.tensor(users), torch.tensor(items), NUM_USERS, NUM_ITEMS)


@pytest.mark.parametrize("shape", [(6, 2), (7,)])
def test_features_of_wrong_shape_raise(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="features of 'visual' need one row per item"):
        from_pairs([(0, 0)]).with_features({"visual": torch.zeros(shape)})


def test_selected_features_take_the_default_type(float64: None) -> None:
    data = from_pairs([(0, 0)]).with_features(
        {"visual": torch.ones(7, 2, dtype=torch.float32), "textual": torch.ones(7, 3)}
    )
    assert list(data.select_features(None)) == ["visual", "textual"]
    chosen = data.select_features(["textual", "visual"])
    assert list(chosen) == ["textual", "visual"]
    assert {matrix.dtype for matrix in chosen.values()} == {torch.float64}
    with pytest.raises(KeyError, match="'acoustic' is not in the data"):
        data.select_features(["acoustic"])


def test_fused_features_are_unit_rows_side_by_side() -> None:
    visual = torch.zeros(7, 2)
    visual[0] = torch.tensor([3.0, 4.0])
    textual = torch.full((7, 1), 5.0)
    data = from_pairs([(0, 0)]).with_features({"visual": visual, "textual": textual})
    fused = data.fused_features()
    torch.testing.assert_close(fused[0], torch.tensor([0.6, 0.8, 1.0]))
    # a missing modality stays a row of zeros
    torch.testing.assert_close(fused[1], torch.tensor([0.0, 0.0, 1.0]))
    assert data.fused_features(["textual"]).shape == (7, 1)
    assert from_pairs([(0, 0)]).fused_features().shape == (7, 0)


def test_to_moves_everything() -> None:
    data = from_pairs([]).with_features({"visual": torch.zeros(7, 2)}).to("meta")
    assert data.device.type == "meta"
    assert data.items.device.type == data.features["visual"].device.type == "meta"
