"""Matrix factorisation trained with BPR."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from typing_extensions import Unpack

from models.interactions import Interactions
from models.losses import bpr, contrast
from models.parameters import xavier
from models.registry import register
from models.training import PairwiseRecommender, Training


@register("bpr_mf", label="BPR-MF")
class BPRMF(PairwiseRecommender):
    r"""BPR-MF from `"BPR: Bayesian Personalized Ranking from Implicit Feedback"
    <https://arxiv.org/abs/1205.2618>`_ (UAI 2009).

    .. math:: s(u, i) = \gamma_u \cdot \gamma_i

    Args:
        embedding_dim: Width of the id embeddings (default: ``64``).
        **training: See :class:`models.training.TrainedRecommender`.
    """

    static_shapes: ClassVar[bool] = True

    def __init__(self, *, embedding_dim: int = 64, **training: Unpack[Training]) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim

    def build(self, train: Interactions) -> None:
        """Create the two id tables."""
        self.user_embedding = xavier(train.num_users, self.embedding_dim, train.device)  # gamma_u
        self.item_embedding = xavier(train.num_items, self.embedding_dim, train.device)  # gamma_i

    def forward(self) -> tuple[Tensor, Tensor]:
        """The id embeddings, ``[num_users, embedding_dim]`` and ``[num_items, embedding_dim]``."""
        return self.user_embedding, self.item_embedding

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``."""
        tables = self.user_embedding, self.item_embedding
        margins, norm = contrast(*tables, users, pos_items, neg_items)
        return bpr(margins) + self.reg * norm
