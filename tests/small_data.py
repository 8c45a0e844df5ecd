"""Small data sets that the tests of several models use, beside the fixtures."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from models.interactions import Interactions

# a batch of the fixture ``small``, whose item 3 is never liked; 0, 1, 2 and 4 come twice or more
USERS = torch.tensor([0, 1, 2, 0, 3])
POS_ITEMS = torch.tensor([1, 0, 4, 1, 2])
NEG_ITEMS = torch.tensor([3, 4, 1, 2, 0])


def from_matrix(x: Tensor) -> Interactions:
    """The entries of a matrix ``[num_users, num_items]`` that are not 0."""
    users, items = torch.nonzero(x).unbind(1)
    return Interactions(users, items, *x.shape)


def likes(**widths: int) -> Interactions:
    """Random likes of 20 users for 30 items, and random features of these widths."""
    generator = torch.Generator().manual_seed(0)
    train = from_matrix(torch.rand(20, 30, generator=generator) < 0.2)
    return train.with_features(
        {name: torch.randn(30, width, generator=generator) for name, width in widths.items()}
    )


def shuffled(train: Interactions) -> tuple[Interactions, Tensor, Tensor]:
    """The same data under new ids, and the old ids of users and of items by new id."""
    generator = torch.Generator().manual_seed(0)
    user_order = torch.randperm(train.num_users, generator=generator)
    item_order = torch.randperm(train.num_items, generator=generator)
    renumbered = replace(
        train,
        users=user_order.argsort()[train.users],
        items=item_order.argsort()[train.items],
        features={name: matrix[item_order] for name, matrix in train.features.items()},
    )
    return renumbered, user_order, item_order
