"""HUIGN with intents that tell items apart, those without interactions included."""

from __future__ import annotations

from functools import partialmethod

import torch
from torch import Tensor
from torch.nn import functional

from models.huign import HUIGN
from models.interactions import Interactions
from models.registry import register


def directions(features: Tensor) -> Tensor:
    r""":math:`(x_i - \bar x) / \lVert x_i - \bar x \rVert`, zero for items without features.

    Args:
        features: ``[M, D]``; a row of zeros is missing and has no part in the mean.

    Returns:
        ``[M, D]``.
    """
    missing = (features == 0).all(dim=1, keepdim=True)
    mean = features.sum(0) / (~missing).sum().clamp(min=1)
    return functional.normalize((features - mean).masked_fill(missing, 0), dim=1)


@register("huign_plus", label="HUIGN+")
class HUIGNPlus(HUIGN):
    r"""HUIGN whose items are assigned to intents by what they are, not by what surrounds them.

    .. math::
        Z^{(0)}_i = \frac{x_i - \bar x}{\lVert x_i - \bar x \rVert}, \quad
        \Gamma^{(1)} = \mathrm{softmax}(Z^{(0)} S^{(1)T} / 0.1)

    Everything else is HUIGN: the item graph is pooled, and levels 2 and up are made, as before.
    Four things differ, each because HUIGN's intents hardly vary between items without it:

    - An item's own features take the place of the mean over its neighbours (Eq. 4), to which they
      do not contribute. In a dense item graph all these means are nearly parallel, and an item
      without neighbours has none, so that all new items look alike.
    - They are centred, since what all items share moves no assignment apart.
    - The softmax is sharper. Affinities near zero give uniform distributions at every level, where
      the entropy has no slope that could separate them.
    - Entropy and dependence have no weight unless one is given.

    An item without training interactions is scored by its intents alone: its id embedding only
    ever was a negative example.

    Args are those of :class:`models.huign.HUIGN`, with the defaults said above.

    Note:
        It is made for items that have few interactions or none. Where all items are well known,
        matrix factorisation gains nothing from item features.
    """

    __init__ = partialmethod(
        HUIGN.__init__, temperature=0.1, entropy_weight=0.0, independence_weight=0.0
    )

    known: Tensor

    def build(self, train: Interactions) -> None:
        """Create what HUIGN has; note which items have an interaction, ``[M, 1]``."""
        super().build(train)
        counts = torch.bincount(train.items, minlength=train.num_items)
        self.known = (counts > 0).to(self.item_embedding.dtype)[:, None]

    def build_intents(self, train: Interactions, features: list[Tensor]) -> None:
        """As in HUIGN, but for Z of level 0."""
        super().build_intents(train, features)
        self.aggregated = [directions(x) for x in features]

    def forward(self) -> tuple[Tensor, Tensor]:
        """Id embeddings, of known items alone, and intents, ``[*, embedding_dim + sum K]``."""
        user, item = super().forward()
        ids, intents = item.tensor_split([self.embedding_dim], dim=1)
        return user, torch.cat([self.known * ids, intents], dim=1)
