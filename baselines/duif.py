"""User vectors matched with a deep transformation of item features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import Unpack

from models.interactions import Interactions
from models.losses import bpr, l2_batch, margins
from models.parameters import lookup, xavier, zeros
from models.recommender import ANY_MODALITY
from models.registry import register
from models.training import PairwiseRecommender, Training


def perceptron(widths: Sequence[int], dropout: float, device: torch.device) -> nn.Sequential:
    """Linear layers with ReLU and dropout between them; Xavier weights, zero biases.

    Args:
        widths: Of the input, of every hidden layer, and of the output.
        dropout: Share of hidden units dropped in training.
        device: Where the parameters live.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        linear = nn.Linear(inputs, outputs, device=device)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])  # the output stays linear


def squared_weights(network: nn.Module) -> Tensor:
    """The sum of the squares of all weights, biases left out."""
    weights = [weight for weight in network.parameters() if weight.dim() == 2]
    return torch.stack([weight.square().sum() for weight in weights]).sum()


@register("duif", label="DUIF (our reading)")
class DUIF(PairwiseRecommender):
    r"""DUIF after `"Learning Image and User Features for Recommendation in Social Networks"
    <https://doi.org/10.1109/ICCV.2015.486>`_ (ICCV 2015).

    .. math:: s(u, i) = P_u \cdot f(x_i), \quad f(x) = W_2\, \mathrm{ReLU}(W_1 x + b_1) + b_2

    with :math:`x_i` all modalities of item i side by side, each scaled to unit length. Nothing
    but its features tells an item from another one.

    Args:
        embedding_dim: Width of the user vectors and of the transformed features (default: ``64``).
        hidden: Widths of the hidden layers of f; with none, ``()``, f is linear
            (default: ``(256,)``).
        dropout: Share of hidden units dropped in training (default: ``0.0``).
        similarity: Inner product or cosine (default: ``"dot"``).
        item_bias: Whether every item has a trainable bias beside its features
            (default: ``False``).
        modalities: Modalities to use (default: all that the data has).
        **training: See :class:`models.training.TrainedRecommender`.

    Note:
        Our reading. Of the article only the abstract could be reached, and no code: a deep model
        maps users and images into one space of few dimensions, where similarity recommends. The
        rest follows how the HUIGN paper compares with it, as user preferences against
        concatenated, then transformed item features: widths, BPR, Adam and the norm terms
        :math:`\frac{1}{2B} (\sum_b \lVert P_{u_b} \rVert^2 + \sum_l \lVert W_l \rVert^2)` are ours.
        With the inner product :math:`b_2` adds a constant per user, which no ranking sees.
    """

    requires: ClassVar[tuple[str, ...]] = (ANY_MODALITY,)

    features: Tensor

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
        similarity: Literal["dot", "cosine"] = "dot",
        item_bias: bool = False,
        modalities: Sequence[str] | None = None,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.hidden = hidden
        self.dropout = dropout
        self.similarity = similarity
        self.item_bias = item_bias
        self.modalities = modalities

    def build(self, train: Interactions) -> None:
        """Create the user vectors and the network; keep the fused features."""
        features = train.fused_features(self.modalities)
        self.register_buffer("features", features, persistent=False)  # x
        self.user_embedding = xavier(train.num_users, self.embedding_dim, train.device)  # P
        widths = (features.shape[1], *self.hidden, self.embedding_dim)
        self.network = perceptron(widths, self.dropout, train.device)  # f
        if self.item_bias:
            self.bias = zeros(train.num_items, device=train.device)

    def forward(self) -> tuple[Tensor, Tensor]:
        """User vectors and transformed features, ``[*, embedding_dim]``, one wider with a bias."""
        user = self._comparable(self.user_embedding)
        item = self._comparable(self.network(self.features))
        if self.item_bias:
            user = torch.cat([user, torch.ones_like(user[:, :1])], dim=1)
            item = torch.cat([item, self.bias[:, None]], dim=1)
        return user, item

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``.

        The network sees every item of the batch once: with a few thousand items, only half to
        three quarters of the ``2 * batch_size`` are distinct, and the network is the whole cost.
        """
        items, place = torch.unique(torch.cat([pos_items, neg_items]), return_inverse=True)
        item = self._comparable(self.network(lookup(self.features, items)))
        pos, neg = lookup(item, place).chunk(2)  # each [batch_size, embedding_dim]
        preference = lookup(self.user_embedding, users)
        user = self._comparable(preference)
        margin = margins(user, pos, neg)
        norms = l2_batch(preference) + squared_weights(self.network) / (2 * len(users))
        if self.item_bias:
            pos_bias, neg_bias = lookup(self.bias, pos_items), lookup(self.bias, neg_items)
            margin = margin + (pos_bias - neg_bias)
            norms = norms + l2_batch(pos_bias, neg_bias)
        return bpr(margin) + self.reg * norms

    def _comparable(self, rows: Tensor) -> Tensor:
        """Scale rows so that their inner products are the similarities."""
        if self.similarity == "dot":
            return rows
        # an item without features starts at f = 0, where the usual 1e-12 makes gradients explode
        return functional.normalize(rows, eps=1e-3)
