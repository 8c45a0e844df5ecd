from __future__ import annotations

from math import log2

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.metrics import LinkPredNDCG, LinkPredPrecision, LinkPredRecall

from benchmark.metrics import all_metrics, ndcg, ndcg_hits, precision, recall


def one_user(hits: list[int], num_positives: int) -> tuple[Tensor, Tensor]:
    return torch.tensor([hits], dtype=torch.bool), torch.tensor([num_positives])


def test_golden_numbers() -> None:
    case = one_user([1, 0, 0, 1, 0], 3)
    assert precision(*case).item() == pytest.approx(0.4)
    assert recall(*case).item() == pytest.approx(0.666667, abs=5e-7)
    assert ndcg(*case).item() == pytest.approx(0.671386, abs=5e-7)
    assert ndcg_hits(*case).item() == pytest.approx(0.877215, abs=5e-7)


@pytest.mark.parametrize(
    ("hits", "num_positives", "expected"),
    [
        ([0, 0, 0, 0], 2, (0, 0, 0, 0)),
        ([1, 0, 0, 0], 1, (1 / 4, 1, 1, 1)),
        ([0, 1, 0, 0], 1, (1 / 4, 1, 1 / log2(3), 1 / log2(3))),
        # one of two positives, second place: the ideal has two terms, or the one hit
        (
            [0, 1, 0, 0],
            2,
            (1 / 4, 1 / 2, (1 / log2(3)) / (1 + 1 / log2(3)), 1 / log2(3)),
        ),
        # more positives than places: a list full of hits is ideal
        ([1, 1, 1, 1], 10, (1, 4 / 10, 1, 1)),
        (
            [0, 0, 1, 1],
            2,
            (
                2 / 4,
                2 / 2,
                (1 / 2 + 1 / log2(5)) / (1 + 1 / log2(3)),
                (1 / 2 + 1 / log2(5)) / (1 + 1 / log2(3)),
            ),
        ),
    ],
)
def test_by_hand(hits: list[int], num_positives: int, expected: tuple[float, ...]) -> None:
    case = one_user(hits, num_positives)
    found = tuple(metric(*case).item() for metric in (precision, recall, ndcg, ndcg_hits))
    assert found == pytest.approx(expected)


def by_sets(ranked: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """The metrics of one user, word by word from their definitions."""
    hit_ranks = [rank for rank, item in enumerate(ranked[:k], start=1) if item in relevant]
    gain = sum(1 / log2(rank + 1) for rank in hit_ranks)
    ideal = sum(1 / log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    ideal_of_hits = sum(1 / log2(rank + 1) for rank in range(1, len(hit_ranks) + 1))
    return {
        f"precision@{k}": len(hit_ranks) / k,
        f"recall@{k}": len(hit_ranks) / len(relevant),
        f"ndcg@{k}": gain / ideal,
        f"ndcg_hits@{k}": gain / ideal_of_hits if hit_ranks else 0.0,
    }


NUM_ITEMS = 12
KS = (1, 3, 8)
rankings = st.permutations(range(NUM_ITEMS)).map(lambda items: items[: max(KS)])
relevant_items = st.sets(st.integers(0, NUM_ITEMS - 1), min_size=1)
lists_and_positives = st.lists(st.tuples(rankings, relevant_items), min_size=1, max_size=6)


def to_tensors(users: list[tuple[list[int], set[int]]]) -> tuple[Tensor, Tensor]:
    hits = [[item in relevant for item in ranked] for ranked, relevant in users]
    return torch.tensor(hits), torch.tensor([len(relevant) for _, relevant in users])


@given(lists_and_positives)
def test_equals_definition_by_sets(users: list[tuple[list[int], set[int]]]) -> None:
    found = all_metrics(*to_tensors(users), KS)
    for row, (ranked, relevant) in enumerate(users):
        for k in KS:
            for name, expected in by_sets(ranked, relevant, k).items():
                assert found[name][row].item() == pytest.approx(expected, abs=1e-12)


@given(lists_and_positives)
@settings(max_examples=30)
def test_means_equal_pyg(users: list[tuple[list[int], set[int]]]) -> None:
    found = all_metrics(*to_tensors(users), KS)
    ranked = torch.tensor([ranked for ranked, _ in users])
    pairs = [(row, item) for row, (_, relevant) in enumerate(users) for item in relevant]
    for name, metric_class in (
        ("precision", LinkPredPrecision),
        ("recall", LinkPredRecall),
        ("ndcg", LinkPredNDCG),
    ):
        for k in KS:
            metric = metric_class(k)
            metric.update(ranked[:, :k], torch.tensor(pairs).T)
            assert found[f"{name}@{k}"].mean().item() == pytest.approx(float(metric.compute()))


@given(lists_and_positives)
def test_bounds(users: list[tuple[list[int], set[int]]]) -> None:
    found = all_metrics(*to_tensors(users), KS)
    for values in found.values():
        assert ((values >= 0) & (values <= 1)).all()
    for k in KS:
        assert (found[f"ndcg_hits@{k}"] >= found[f"ndcg@{k}"]).all()


def test_stay_on_the_device_of_the_hits() -> None:
    hits, num_positives = one_user([1, 0, 1], 2)
    with torch.device("meta"):  # where tensors go that are made without saying where
        found = all_metrics(hits, num_positives, (3,))
    assert {values.device.type for values in found.values()} == {"cpu"}


def test_names_and_types() -> None:
    found = all_metrics(torch.ones(3, 10, dtype=torch.bool), torch.tensor([10, 12, 20]), (5, 10))
    assert list(found) == [
        *("precision@5", "precision@10", "recall@5", "recall@10"),
        *("ndcg@5", "ndcg@10", "ndcg_hits@5", "ndcg_hits@10"),
    ]
    for values in found.values():
        assert values.shape == (3,)
        assert values.dtype == torch.float64
