from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor
from typing_extensions import Self

from models.interactions import Interactions
from models.ranking import top_k
from models.recommender import Recommender, Validate

few_values = st.sampled_from([-np.inf, -2.0, -1.0, 0.0, 1.0, 2.0, np.inf])  # so, many ties
score_matrices = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=few_values
)


@given(score_matrices, st.data())
def test_equals_stable_sort(scores: np.ndarray, data: st.DataObject) -> None:
    num_items = scores.shape[1]
    k = data.draw(st.integers(1, num_items))
    for row, found in zip(scores, top_k(torch.from_numpy(scores), k).tolist(), strict=True):
        order = np.lexsort((np.arange(num_items), -row))[:k]
        assert found == [int(item) if row[item] > -np.inf else -1 for item in order]


def test_ties_across_the_boundary_go_to_smaller_ids() -> None:
    scores = torch.zeros(1, 5000)  # long enough for a partial sort to pick any of them
    scores[0, 4000] = 1
    assert top_k(scores, 4).tolist() == [[4000, 0, 1, 2]]


def test_signed_zeros_are_a_tie() -> None:
    assert top_k(torch.tensor([[-0.0, 0.0], [0.0, -0.0]]), 2).tolist() == [[0, 1], [0, 1]]


def test_scores_stay_as_they_were() -> None:
    scores = torch.tensor([[1.0, 1.0, -torch.inf, 0.5]])
    before = scores.clone()
    top_k(scores, 1)
    assert torch.equal(scores, before)


@pytest.mark.parametrize("position", [0, 3])
def test_nan_raises(position: int) -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    scores[0, position] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        top_k(scores, 1)


@pytest.mark.parametrize("k", [-1, 0, 4])
def test_k_out_of_bounds_raises(k: int) -> None:
    with pytest.raises(ValueError, match=rf"1\.\.3.*got {k}"):
        top_k(torch.zeros(2, 3), k)


class Ascending(Recommender):
    """Prefers items with larger ids."""

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        self.num_items = train.num_items
        return self

    def score(self, users: Tensor) -> Tensor:
        return torch.arange(float(self.num_items)).expand(len(users), -1)


def test_recommend_leaves_out_excluded_pairs() -> None:
    pairs = Interactions(torch.tensor([0, 0, 1, 1]), torch.tensor([3, 1, 0, 2]), 3, 4)
    model = Ascending().fit(pairs)
    users = torch.tensor([2, 0, 1])
    assert model.recommend(users, 3).tolist() == [[3, 2, 1]] * 3
    assert model.recommend(users, 3, exclude=pairs).tolist() == [[3, 2, 1], [2, 0, -1], [3, 1, -1]]
