from __future__ import annotations

import numpy as np
import pytest
import torch
from small_data import from_matrix
from torch import Tensor

from baselines import item_knn
from baselines.item_knn import ItemKNN

NUM_USERS, NUM_ITEMS = 40, 15


def expected_scores(x: Tensor, neighbours: int, shrinkage: float) -> Tensor:
    """The definition, one item at a time."""
    r = x.double().numpy()
    scores = np.zeros_like(r)
    for i in range(NUM_ITEMS):
        similarity = np.zeros(NUM_ITEMS)
        for j in range(NUM_ITEMS):
            shared = r[:, i] @ r[:, j]
            if i != j and shared:
                similarity[j] = shared / (np.sqrt(r[:, i].sum() * r[:, j].sum()) + shrinkage)
        nearest = sorted(range(NUM_ITEMS), key=lambda j: (-similarity[j], j))[:neighbours]
        scores[:, i] = r[:, nearest] @ similarity[nearest]
    return torch.from_numpy(scores).float()


@pytest.mark.parametrize("neighbours", [1, 3, NUM_ITEMS, 100])
@pytest.mark.parametrize("shrinkage", [0.0, 10.0])
def test_equals_the_definition(x: Tensor, neighbours: int, shrinkage: float) -> None:
    model = ItemKNN(neighbours=neighbours, shrinkage=shrinkage).fit(from_matrix(x))
    expected = expected_scores(x, neighbours, shrinkage)
    torch.testing.assert_close(model.score(torch.arange(NUM_USERS)), expected)
    users = torch.tensor([5, NUM_USERS - 1, 5])
    torch.testing.assert_close(model.score(users), expected[users])


def test_block_size_does_not_matter(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    users = torch.arange(NUM_USERS)
    at_once = ItemKNN(neighbours=3).fit(from_matrix(x)).score(users)
    monkeypatch.setattr(item_knn, "BLOCK_ENTRIES", 4 * NUM_ITEMS)
    assert torch.equal(ItemKNN(neighbours=3).fit(from_matrix(x)).score(users), at_once)


def test_renaming_items_renames_the_scores(x: Tensor) -> None:
    order = torch.randperm(NUM_ITEMS, generator=torch.Generator().manual_seed(1))
    users = torch.arange(NUM_USERS)
    scores = ItemKNN().fit(from_matrix(x)).score(users)
    renamed = ItemKNN().fit(from_matrix(x[:, order])).score(users)
    torch.testing.assert_close(renamed, scores[:, order])


def test_shrinkage_prefers_well_supported_neighbours() -> None:
    # item 0 shares its only user with item 1; items 2 and 3 share two of their three users
    x = torch.zeros(5, 4)
    x[0, [0, 1]] = 1
    x[1:3, 2:4] = 1
    x[3, 2] = x[4, 3] = 1
    train = from_matrix(x)

    def similarity(model: ItemKNN) -> Tensor:
        return model.fit(train).similarity @ torch.eye(4)

    plain, shrunk = similarity(ItemKNN()), similarity(ItemKNN(shrinkage=2.0))
    assert plain[0, 1] == 1
    assert plain[2, 3] == pytest.approx(2 / 3)
    assert shrunk[0, 1] == pytest.approx(1 / 3)
    assert shrunk[2, 3] == pytest.approx(2 / 5)
