"""A recommender of one's own: matrix factorisation in which similar content means similar items."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from typing_extensions import Unpack

from models.interactions import Interactions
from models.losses import bpr, l2_batch, margins
from models.parameters import xavier
from models.recommender import ANY_MODALITY
from models.registry import register
from models.training import PairwiseRecommender, Training


@register("my_recommender", label="MyRecommender")
class MyRecommender(PairwiseRecommender):
    """Scores are inner products of user embeddings with item embeddings plus projected features.

    Args:
        embedding_dim: Width of the embeddings (default: ``64``).
        modalities: Modalities to use (default: all that the data has).
        **training: See :class:`models.training.TrainedRecommender`.
    """

    requires = (ANY_MODALITY,)

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
        """Create the parameters; keep the item features."""
        self.features = train.fused_features(self.modalities)  # [num_items, feature_dim]
        self.users = xavier(train.num_users, self.embedding_dim, train.device)
        self.items = xavier(train.num_items, self.embedding_dim, train.device)
        self.project = nn.Linear(self.features.shape[1], self.embedding_dim, device=train.device)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Users ``[num_users, embedding_dim]`` and items ``[num_items, embedding_dim]``."""
        return self.users, self.items + self.project(self.features)

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``."""
        user, item = self.forward()
        user, pos, neg = user[users], item[pos_items], item[neg_items]
        return bpr(margins(user, pos, neg)) + self.reg * l2_batch(user, pos, neg)
