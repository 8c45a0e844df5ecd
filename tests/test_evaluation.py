from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from typing_extensions import Self

from benchmark.evaluation import Evaluator, validation_score
from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender, Validate


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Embeddings(Recommender):
    """Scores by inner products of given vectors."""

    def __init__(self, user: Tensor, item: Tensor) -> None:
        self.user = user
        self.item = item

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        return self

    def score(self, users: Tensor) -> Tensor:
        return self.user[users] @ self.item.T


class FixedScores(Recommender):
    """The same given scores for every user, as a view of what the model keeps."""

    def __init__(self, scores: list[float]) -> None:
        self.scores = torch.tensor(scores)

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        return self

    def score(self, users: Tensor) -> Tensor:
        return self.scores.expand(len(users), -1)


def from_pairs(
    pairs: list[tuple[int, int]], num_users: int = 3, num_items: int = 5
) -> Interactions:
    users, items = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
    return Interactions(users, items, num_users, num_items)


def from_matrix(present: Tensor) -> Interactions:
    users, items = torch.nonzero(present).unbind(1)
    return Interactions(users, items, *present.shape)


def random_split(
    num_users: int, num_items: int, generator: torch.Generator
) -> tuple[Interactions, Interactions]:
    """Disjoint ``held_out`` and ``seen``; some users have nothing in one of them, or in both."""
    draw = torch.rand(num_users, num_items, generator=generator)
    activity = torch.rand(num_users, 1, generator=generator)
    held_out, seen = draw < 0.2 * activity, draw > 1 - 0.7 * activity
    held_out[0, 0], seen[0, 0] = True, False  # never nothing at all
    return from_matrix(held_out), from_matrix(seen)


@given(st.integers(0, 2**32), st.integers(2, 150))
@settings(max_examples=15)
def test_batch_size_changes_nothing(seed: int, num_users: int) -> None:
    # all items have the same numbers in another order and a user's vector is constant, so rounding
    # alone decides the ranking: any change of the last bits shows
    num_items, dim = 120, 64
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(dim, generator=generator)
    orders = torch.rand(num_items, dim, generator=generator).argsort(1)
    scale = torch.rand(num_users, 1, generator=generator)
    model = Embeddings(scale.expand(-1, dim).contiguous(), numbers[orders])
    held_out, seen = random_split(num_users, num_items, generator)
    whole = Evaluator(held_out, seen, batch_size=num_users)(model)
    for batch_size in (1, 3, 64, 100):
        found = Evaluator(held_out, seen, batch_size=batch_size)(model)
        assert torch.equal(found.users, whole.users)
        for name, values in whole.per_user.items():
            assert torch.equal(found.per_user[name], values)


def by_full_sort(
    scores: np.ndarray, held_out: Interactions, seen: Interactions, k: int
) -> dict[int, tuple[float, float, float]]:
    """Precision, recall and NDCG of every user, one user at a time."""
    scores = scores.astype(np.float64)
    scores[seen.users.numpy(), seen.items.numpy()] = -np.inf
    found = {}
    for user in sorted(set(held_out.users.tolist())):
        relevant = set(held_out.items[held_out.users == user].tolist())
        order = np.lexsort((np.arange(scores.shape[1]), -scores[user]))[:k]
        hits = np.array([scores[user, i] > -np.inf and int(i) in relevant for i in order])
        discounts = 1 / np.log2(np.arange(2, k + 2))
        ideal = discounts[: min(k, len(relevant))].sum()
        gain = discounts[hits].sum()
        found[user] = hits.sum() / k, hits.sum() / len(relevant), gain / ideal
    return found


@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(10, 20))
@settings(max_examples=30)
def test_equals_full_sort(seed: int, num_users: int, num_items: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    held_out, seen = random_split(num_users, num_items, generator)
    # small whole numbers: exact products, many ties
    user = torch.randint(-2, 3, (num_users, 3), generator=generator).float()
    item = torch.randint(-2, 3, (num_items, 3), generator=generator).float()
    found = Evaluator(held_out, seen, ks=(1, 5, 10), batch_size=4)(Embeddings(user, item))
    for k in (1, 5, 10):
        expected = by_full_sort((user @ item.T).numpy(), held_out, seen, k)
        assert found.users.tolist() == list(expected)
        for name, values in zip(
            ("precision", "recall", "ndcg"), zip(*expected.values(), strict=True), strict=True
        ):
            assert found.per_user[f"{name}@{k}"].tolist() == pytest.approx(values)


@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(12, 20))
@settings(max_examples=30)
def test_given_candidates_equal_a_full_sort_of_them(
    seed: int, num_users: int, num_items: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    held_out, seen = random_split(num_users, num_items, generator)
    scores = torch.randint(-2, 3, (num_users, num_items), generator=generator).float()
    candidates = torch.randperm(num_items, generator=generator)[:8]
    model = Embeddings(torch.eye(num_users), scores.T)
    found = Evaluator(held_out, seen, ks=(1, 5, 8), candidates=candidates)(model)
    known = set(zip(seen.users.tolist(), seen.items.tolist(), strict=True))
    for row, user in enumerate(found.users.tolist()):
        allowed = [item for item in sorted(candidates.tolist()) if (user, item) not in known]
        ranked = sorted(allowed, key=lambda item: -float(scores[user, item]))  # stable
        assert found.items[row].tolist() == ranked + [-1] * (8 - len(ranked))
        wanted = set(held_out.items[held_out.users == user].tolist())
        for k in (1, 5, 8):
            share = len(wanted & set(ranked[:k])) / len(wanted)
            assert found.per_user[f"recall@{k}"][row].item() == pytest.approx(share)


def test_lists_are_kept_with_their_hits() -> None:
    model = FixedScores([5.0, 4.0, 3.0, 2.0, 1.0])
    found = Evaluator(from_pairs([(0, 2), (1, 0)]), from_pairs([(0, 0)]), ks=(3,))(model)
    assert found.items.tolist() == [[1, 2, 3], [0, 1, 2]]
    assert found.hits.tolist() == [[False, True, False], [True, False, False]]


def test_seen_items_are_never_listed() -> None:
    model = FixedScores([5.0, 4.0, 3.0, 2.0, 1.0])
    seen = from_pairs([(0, 0), (0, 1), (1, 0), (2, 1)])
    held_out = from_pairs([(0, 2), (1, 1), (2, 0)])
    assert Evaluator(held_out, seen, ks=(1,))(model).means["recall@1"] == 1


def test_at_validation_test_items_stay_candidates() -> None:
    model = FixedScores([5.0, 4.0, 3.0, 2.0, 1.0])
    train, validation, test = (from_pairs([(0, item)]) for item in (4, 1, 0))
    # the test item 0 is ahead of the validation item 1
    assert Evaluator(validation, train, ks=(1,))(model).means["recall@1"] == 0
    assert Evaluator(validation, train, ks=(2,))(model).means["recall@2"] == 1
    # at test, where nothing of validation is asked for, both are out of the way
    model = FixedScores([3.0, 4.0, 1.0, 2.0, 5.0])
    assert Evaluator(test, train.union(validation), ks=(1,))(model).means["recall@1"] == 1
    assert Evaluator(test, train, ks=(1,))(model).means["recall@1"] == 0


def test_ties_go_by_item_id() -> None:
    model = FixedScores([1.0] * 5)
    nothing = from_pairs([])
    found = Evaluator(from_pairs([(0, 0), (1, 1), (2, 2)]), nothing, ks=(1, 2))(model)
    assert found.per_user["recall@1"].tolist() == [1, 0, 0]
    assert found.per_user["recall@2"].tolist() == [1, 1, 0]


def test_users_without_positives_are_left_out() -> None:
    model = FixedScores([5.0, 4.0, 3.0, 2.0, 1.0])
    held_out = from_pairs([(3, 0), (1, 4)], num_users=6)
    found = Evaluator(held_out, from_pairs([(0, 0)], num_users=6), ks=(1,))(model)
    assert found.users.tolist() == [1, 3]
    assert found.per_user["precision@1"].tolist() == [0, 1]
    assert found.means["precision@1"] == 0.5


def test_fewer_candidates_than_places() -> None:
    model = FixedScores([5.0, 4.0, 3.0, 2.0, 1.0])
    seen = from_pairs([(1, 0), (1, 1), (1, 2), (1, 3)])
    # the empty places of user 1 must not count as item 4, the last, of user 0
    held_out = from_pairs([(0, 4), (1, 4)])
    found = Evaluator(held_out, seen, ks=(3,))(model)
    assert found.per_user["precision@3"].tolist() == [0, pytest.approx(1 / 3)]
    assert found.per_user["recall@3"].tolist() == [0, 1]
    assert found.per_user["ndcg@3"].tolist() == [0, 1]


def test_cut_offs_do_not_affect_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    held_out, seen = random_split(40, 30, generator)
    model = Embeddings(
        torch.randn(40, 8, generator=generator), torch.randn(30, 8, generator=generator)
    )
    many, one = Evaluator(held_out, seen)(model), Evaluator(held_out, seen, ks=(10,))(model)
    assert list(one.means) == ["precision@10", "recall@10", "ndcg@10", "ndcg_hits@10"]
    for name, mean in one.means.items():
        assert many.means[name] == mean


def test_scores_that_a_model_keeps_stay_as_they_were() -> None:
    model = FixedScores([5.0, 4.0, 3.0, 2.0, 1.0])
    Evaluator(from_pairs([(0, 1)]), from_pairs([(0, 0)]), ks=(1,))(model)
    assert model.scores.tolist() == [5, 4, 3, 2, 1]


def test_validation_score_is_one_mean(checkerboard: Interactions) -> None:
    diagonal = torch.arange(checkerboard.num_items)
    held_out = Interactions(diagonal, diagonal, len(diagonal), len(diagonal))
    same_parity = (torch.arange(2)[:, None] == diagonal % 2).float()  # [2, num_items]
    perfect = Embeddings(torch.eye(2)[diagonal % 2], same_parity.T)
    evaluator = Evaluator(held_out, checkerboard, ks=(1, 10))
    assert validation_score(evaluator)(perfect) == 1
    assert validation_score(evaluator, "ndcg@1")(perfect) == 1
    assert validation_score(evaluator, "precision@10")(perfect) == pytest.approx(1 / 10)


def test_overlap_raises() -> None:
    pairs = from_pairs([(0, 1), (2, 3)])
    with pytest.raises(ValueError, match="'held_out' and 'seen' share 1 interactions"):
        Evaluator(pairs, from_pairs([(0, 2), (2, 3), (2, 1)]), ks=(1,))


@pytest.mark.parametrize("ks", [(1, 6), (0, 1), ()])
def test_bad_cut_offs_raise(ks: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"'ks' needs cut-offs in 1\.\.5"):
        Evaluator(from_pairs([(0, 1)]), from_pairs([(0, 0)]), ks=ks)


def test_nothing_held_out_raises() -> None:
    with pytest.raises(UsageError, match="'held_out' has no interactions"):
        Evaluator(from_pairs([]), from_pairs([(0, 0)]), ks=(1,))


def test_how_scores_lie_in_memory_does_not_matter() -> None:
    class Transposed(Embeddings):
        def score(self, users: Tensor) -> Tensor:
            return (self.item @ self.user[users].T).T

    generator = torch.Generator().manual_seed(0)
    held_out, seen = random_split(70, 9, generator)
    user, item = torch.rand(70, 3, generator=generator), torch.rand(9, 3, generator=generator)
    evaluator = Evaluator(held_out, seen, ks=(5,))
    found, expected = evaluator(Transposed(user, item)), evaluator(Embeddings(user, item))
    assert not Transposed(user, item).score(torch.arange(70)).is_contiguous()
    assert torch.equal(found.hits, expected.hits)
