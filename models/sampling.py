"""Training triples: every training interaction once per epoch, with one sampled negative."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from models.interactions import Interactions
from models.parameters import lookup

DENSE_LIMIT = 400_000_000
"""Largest ``num_users * num_items`` kept as a table of one byte per pair."""


class NegativeSampler:
    """Draws, for given users, items that they have no training interaction with.

    Uniform over the unobserved items, by rejection against the training interactions alone:
    held-out pairs may be drawn, since a sampler that avoided them would leak them.

    Args:
        train: The training interactions; draws happen on their device.

    Raises:
        ValueError: If a user has interacted with the whole catalogue.
    """

    def __init__(self, train: Interactions) -> None:
        self.num_items = train.num_items
        self._pairs = train.by_user()
        full = torch.nonzero(torch.diff(self._pairs.indptr) >= train.num_items)
        if len(full):
            raise ValueError(f"user {int(full[0])} has every item in train: no negative exists")
        self._observed: Tensor | None = None
        if train.num_users * train.num_items <= DENSE_LIMIT:
            size = train.num_users * train.num_items
            self._observed = torch.zeros(size, dtype=torch.bool, device=train.device)
            self._observed[self._pairs.keys] = True

    def sample(self, users: Tensor, generator: torch.Generator) -> Tensor:
        """One negative item per entry of ``users``, same shape."""
        draw = partial(torch.randint, self.num_items, generator=generator, device=users.device)
        items: Tensor = draw(users.shape)
        wrong = torch.nonzero(self._is_positive(users, items)).flatten()
        while len(wrong):
            items[wrong] = draw(wrong.shape)
            wrong = wrong[self._is_positive(users[wrong], items[wrong])]
        return items

    def _is_positive(self, users: Tensor, items: Tensor) -> Tensor:
        if self._observed is None:
            return self._pairs.contains(users, items)
        return lookup(self._observed, users * self.num_items + items)


def triples(
    train: Interactions, sampler: NegativeSampler, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """One epoch of ``(users, pos_items, neg_items)`` batches, each ``[<= batch_size]``.

    Shuffling and sampling happen once for the whole epoch, so a step is three slices.
    """
    order = torch.randperm(len(train), generator=generator, device=train.device)
    users, pos_items = lookup(train.users, order), lookup(train.items, order)
    neg_items = sampler.sample(users, generator)
    for start in range(0, len(train), batch_size):
        step = slice(start, start + batch_size)
        yield users[step], pos_items[step], neg_items[step]
