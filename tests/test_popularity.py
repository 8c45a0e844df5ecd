from __future__ import annotations

import torch

from baselines.popularity import Popularity
from models.interactions import Interactions


def test_scores_are_the_numbers_of_users() -> None:
    users, items = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([2, 2, 2, 0, 3])
    train = Interactions(users, items, num_users=3, num_items=5)
    model = Popularity().fit(train)
    assert model.score(torch.tensor([1, 0])).tolist() == [[1, 0, 3, 1, 0]] * 2
    assert model.recommend(torch.tensor([2]), 3).tolist() == [[2, 0, 3]]
    assert model.recommend(torch.tensor([1]), 2, exclude=train).tolist() == [[0, 1]]
