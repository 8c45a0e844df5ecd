"""The most popular items for everybody."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Self

from models.interactions import Interactions
from models.recommender import Recommender, Validate
from models.registry import register


@register("popularity", label="Popularity")
class Popularity(Recommender):
    """Ranks items by their number of training interactions, the same list for every user."""

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        """Count the training interactions of every item; ``validate`` is not used."""
        self.counts = torch.bincount(train.items, minlength=train.num_items).float()
        return self

    def score(self, users: Tensor) -> Tensor:
        """The items' counts, ``[batch_size] -> [batch_size, num_items]``."""
        return self.counts.expand(len(users), -1)
