"""Matrix factorisation with a second factor space on item features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import Unpack

from models.interactions import Interactions
from models.losses import bpr, contrast, l2_batch
from models.parameters import lookup, xavier, zeros
from models.recommender import ANY_MODALITY
from models.registry import register
from models.training import PairwiseRecommender, Training


@register("vbpr")
class VBPR(PairwiseRecommender):
    r"""VBPR from `"VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback"
    <https://arxiv.org/abs/1510.01784>`_ (AAAI 2016).

    .. math::
        s(u, i) = \beta_i + \gamma_u \cdot \gamma_i + \theta_u \cdot (x_i E) + x_i \cdot \beta'

    with :math:`x_i` all modalities of item i side by side, each scaled to unit length.

    Args:
        embedding_dim: Width of the id embeddings and of the projected features, each
            (default: ``64``).
        modalities: Modalities to use (default: all that the data has).
        **training: See :class:`models.training.TrainedRecommender`.

    Note:
        The offset and user bias of the paper cancel in a ranking and are left out. The paper
        trains with SGD and penalises E; here Adam, and, as in Cornac's default, no penalty on E
        and :math:`\beta'`.
    """

    requires: ClassVar[tuple[str, ...]] = (ANY_MODALITY,)
    static_shapes: ClassVar[bool] = True

    features: Tensor
    signs: Tensor

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        modalities: Sequence[str] | None = None,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.modalities = modalities

    def build(self, train: Interactions) -> None:
        """Create embeddings, projection and biases; keep the fused features."""
        features = train.fused_features(self.modalities)
        self.register_buffer("features", features, persistent=False)  # x
        self.register_buffer("signs", features.new_tensor([1.0, -1.0]), persistent=False)
        dim, device = self.embedding_dim, train.device
        self.user_embedding = xavier(train.num_users, dim, device)  # gamma_u
        self.item_embedding = xavier(train.num_items, dim, device)  # gamma_i
        self.user_content = xavier(train.num_users, dim, device)  # theta_u
        self.projection = xavier(features.shape[1], dim, device)  # E
        self.item_bias = zeros(train.num_items, device=device)  # beta
        self.feature_bias = xavier(features.shape[1], 1, device)  # beta'

    def forward(self) -> tuple[Tensor, Tensor]:
        """Both factor spaces and the bias side by side, ``[*, 2 * embedding_dim + 1]``."""
        bias = self.item_bias[:, None] + self.features @ self.feature_bias
        one = torch.ones_like(self.user_embedding[:, :1])
        user = torch.cat([self.user_embedding, self.user_content, one], dim=1)
        item = torch.cat([self.item_embedding, self.features @ self.projection, bias], dim=1)
        return user, item

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``.

        Scores enter a pairwise loss only through their difference, and the projection is linear:
        it is applied to :math:`x_p - x_n`, or to all items where the batch is larger than that.
        """
        content = lookup(self.user_content, users)
        pos_bias, neg_bias = lookup(self.item_bias, pos_items), lookup(self.item_bias, neg_items)
        # two products: a CPU takes a width of 64 + 1 badly
        if len(users) < len(self.features):
            features = self.contrasts(pos_items, neg_items)
            projected, bias = features @ self.projection, features @ self.feature_bias
        else:
            projected, bias = (
                lookup(of_items, pos_items) - lookup(of_items, neg_items)
                for of_items in (
                    self.features @ self.projection,
                    self.features @ self.feature_bias,
                )
            )
        tables = self.user_embedding, self.item_embedding
        margins, norm = contrast(*tables, users, pos_items, neg_items)
        liking = torch.linalg.vecdot(content, projected)
        ranking = bpr(margins + liking + (bias.squeeze(1) + pos_bias - neg_bias))
        return ranking + self.reg * (norm + l2_batch(content, pos_bias, neg_bias))

    def contrasts(self, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """:math:`x_p - x_n`, ``[batch_size, F]``, read and subtracted in one pass."""
        pairs = torch.stack([pos_items, neg_items], dim=1)
        signs = self.signs.expand(pairs.shape)
        return functional.embedding_bag(pairs, self.features, mode="sum", per_sample_weights=signs)
