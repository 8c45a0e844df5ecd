"""VBPR with a penalty on the weights of the features, too."""

from __future__ import annotations

from torch import Tensor

from baselines.vbpr import VBPR
from models.registry import register


@register("vbpr_penalised", label="VBPR (E penalised)")
class PenalisedVBPR(VBPR):
    r""":class:`~baselines.vbpr.VBPR` whose ``reg`` also shrinks what the features pass through.

    .. math:: \mathrm{loss}_{VBPR} + \frac{\lambda}{2}
        \left( \lVert E \rVert_F^2 + \lVert \beta' \rVert^2 \right)

    The paper's objective penalises all parameters; libraries leave E and :math:`\beta'` out, or
    give them a weight of their own. Without this term a strong penalty on :math:`\theta_u` is
    void: E grows as :math:`\theta_u` shrinks, and their product remembers the training items by
    their features. With it, VBPR comes close to BPR-MF where the features say nothing.

    Note:
        Whole tables are penalised here, unlike in :func:`models.losses.l2_batch`: every row of E
        has a gradient in every step.
    """

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``."""
        weights = self.projection.square().sum() + self.feature_bias.square().sum()
        return super().loss(users, pos_items, neg_items) + self.reg / 2 * weights
