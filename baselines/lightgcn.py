"""Matrix factorisation smoothed over the user-item graph."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Unpack

from models.bipartite_graph import bipartite_graph, symmetric_normalisation
from models.interactions import Interactions
from models.losses import bpr, l2_batch, margins
from models.parameters import lookup, xavier
from models.propagation import SparseMatrix
from models.registry import register
from models.training import PairwiseRecommender, Training


@register("lightgcn")
class LightGCN(PairwiseRecommender):
    r"""LightGCN from `"LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation" <https://arxiv.org/abs/2002.02126>`_ (SIGIR 2020).

    With G the undirected graph of users and items, D its degrees, and E the id embeddings of both:

    .. math::
        E^{(l)} = D^{-1/2} G D^{-1/2} E^{(l-1)}, \quad
        \bar{E} = \frac{1}{L + 1} \sum_{l=0}^{L} E^{(l)}, \quad
        s(u, i) = \bar{E}_u \cdot \bar{E}_i

    Args:
        embedding_dim: Width of the id embeddings (default: ``64``).
        num_layers: Number of propagations L (default: ``3``).
        **training: See :class:`models.training.TrainedRecommender`.

    Note:
        The embeddings equal those of :class:`torch_geometric.nn.LightGCN` on the undirected
        edges. They are computed here because PyG gathers and scatters every edge, which takes 50
        to 100 times longer on a CPU than :class:`models.propagation.SparseMatrix`.
    """

    def __init__(
        self, *, embedding_dim: int = 64, num_layers: int = 3, **training: Unpack[Training]
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.num_layers = num_layers

    def build(self, train: Interactions) -> None:
        """Create the two id tables and the normalised graph."""
        graph = symmetric_normalisation(bipartite_graph(train))
        self.graph = SparseMatrix(graph, train.device, symmetric=True)
        self.user_embedding = xavier(train.num_users, self.embedding_dim, train.device)
        self.item_embedding = xavier(train.num_items, self.embedding_dim, train.device)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Mean over all layers, ``[num_users, embedding_dim]`` and ``[num_items, ...]``."""
        layer = torch.cat([self.user_embedding, self.item_embedding])  # E, users first
        total = layer
        for _ in range(self.num_layers):
            layer = self.graph @ layer
            total = total + layer
        mean = total / (self.num_layers + 1)
        user, item = mean.tensor_split([len(self.user_embedding)])
        return user, item

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``, plus the norm of their ids."""
        user_repr, item_repr = self.forward()
        user = lookup(user_repr, users)
        pos, neg = lookup(item_repr, pos_items), lookup(item_repr, neg_items)
        penalty = l2_batch(
            lookup(self.user_embedding, users),
            lookup(self.item_embedding, pos_items),
            lookup(self.item_embedding, neg_items),
        )
        return bpr(margins(user, pos, neg)) + self.reg * penalty
