"""Collaborative filtering by a graph network with element-wise interactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import Unpack

from models.bipartite_graph import bipartite_graph, row_normalisation, symmetric_normalisation
from models.dropout import dropped_out
from models.interactions import Interactions
from models.losses import bpr, l2_batch, margins
from models.parameters import lookup, xavier, zeros
from models.propagation import SparseMatrix
from models.registry import register
from models.training import PairwiseRecommender, Training

SLOPE = 0.2
"""Of the leaky ReLU; TensorFlow's default, which the authors' code relies on."""


@register("ngcf")
class NGCF(PairwiseRecommender):
    r"""NGCF from `"Neural Graph Collaborative Filtering" <https://arxiv.org/abs/1905.08108>`_
    (SIGIR 2019).

    With G the undirected graph of users and items, D its degrees, and E the id embeddings of both:

    .. math::
        \mathcal{L} &= D^{-1/2} G D^{-1/2} \\
        E^{(l)} &= \mathrm{LeakyReLU}\left((\mathcal{L} + I) E^{(l-1)} W_1^{(l)}
            + (\mathcal{L} E^{(l-1)} \odot E^{(l-1)}) W_2^{(l)}\right) \\
        s(u, i) &= [E^{(0)} | \dots | E^{(L)}]_u \cdot [E^{(0)} | \dots | E^{(L)}]_i

    Two widely used implementations compute something else, together with their regularisers:

    ============== ======================== ============================== =======================
    form           ``"paper"``              ``"official"``                 ``"recbole"``
    ============== ======================== ============================== =======================
    propagation    :math:`\mathcal{L}`,     :math:`(D + I)^{-1} (G + I)`   :math:`\mathcal{L}`,
                   plus I for W_1           for W_1 and W_2                plus I for W_1
    activation     of the sum               of each term                   of the sum
    biases         none                     two per layer, Xavier          two per layer, zeros
    unit length    no                       the layers' copies in the      the layers themselves
                                            final representation
    regulariser    squared norm of the      squared norm of the batch's    norms of the batch's
                   batch's ids and of W     final rows                     final rows
    ============== ======================== ============================== =======================

    Args:
        embedding_dim: Width of the id embeddings and of every layer (default: ``64``).
        num_layers: Number of propagations L (default: ``3``).
        dropout: Share of a layer's outputs dropped in training (default: ``0.1``).
        form: Whose model to compute (default: ``"paper"``).
        **training: See :class:`models.training.TrainedRecommender`.

    Note:
        Of the ids, the regulariser covers the rows of the batch, see
        :func:`models.losses.l2_batch`. There is no node dropout.
    """

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        num_layers: int = 3,
        dropout: float = 0.1,
        form: Literal["paper", "official", "recbole"] = "paper",
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.num_layers = num_layers
        self.dropout = dropout
        self.form = form

    def build(self, train: Interactions) -> None:
        """Create id tables, layer weights and the normalised graph."""
        dim, device = self.embedding_dim, train.device
        graph = bipartite_graph(train)
        if self.form == "official":
            loops = sp.eye_array(graph.shape[0], format="csr")
            self.graph = SparseMatrix(row_normalisation(graph + loops), device)
        else:
            self.graph = SparseMatrix(symmetric_normalisation(graph), device, symmetric=True)
        self.user_embedding = xavier(train.num_users, dim, device)
        self.item_embedding = xavier(train.num_items, dim, device)
        layers = range(self.num_layers)
        self.sum_weights = nn.ParameterList(xavier(dim, dim, device) for _ in layers)  # W_1
        self.product_weights = nn.ParameterList(xavier(dim, dim, device) for _ in layers)  # W_2
        if self.form != "paper":
            bias = xavier if self.form == "official" else zeros
            self.sum_biases = nn.ParameterList(bias(1, dim, device=device) for _ in layers)
            self.product_biases = nn.ParameterList(bias(1, dim, device=device) for _ in layers)

    def forward(self) -> tuple[Tensor, Tensor]:
        """All layers side by side, ``[*, (num_layers + 1) * embedding_dim]``."""
        nodes = torch.cat(self.layers(), dim=1)  # [num_nodes, (num_layers + 1) * embedding_dim]
        user, item = nodes.tensor_split([len(self.user_embedding)])
        return user, item

    def layers(self) -> list[Tensor]:
        """What each layer adds to the representations, ``[num_nodes, embedding_dim]`` each."""
        x = torch.cat([self.user_embedding, self.item_embedding])  # E, users first
        outputs = [x]
        for layer in range(self.num_layers):
            x = self.propagate(x, layer)
            if self.training:
                x = dropped_out(x, self.dropout)
            if self.form == "recbole":
                x = functional.normalize(x)
            outputs.append(functional.normalize(x) if self.form == "official" else x)
        return outputs

    def propagate(self, x: Tensor, layer: int) -> Tensor:
        """One layer without dropout, ``[num_nodes, embedding_dim]`` in and out."""
        sum_weight, product_weight = self.sum_weights[layer], self.product_weights[layer]
        neighbours = self.graph @ x
        if self.form == "official":
            sums = torch.addmm(self.sum_biases[layer], neighbours, sum_weight)
            products = torch.addmm(self.product_biases[layer], neighbours * x, product_weight)
            return functional.leaky_relu(sums, SLOPE) + functional.leaky_relu(products, SLOPE)
        terms = torch.cat([neighbours + x, neighbours * x], dim=1)  # [num_nodes, 2 * dim]
        messages = terms @ torch.cat([sum_weight, product_weight])  # both products in one
        if self.form == "recbole":
            messages = messages + self.sum_biases[layer] + self.product_biases[layer]
        return functional.leaky_relu(messages, SLOPE)

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``, plus the form's regulariser."""
        num_users = len(self.user_embedding)
        nodes = torch.cat([users, num_users + pos_items, num_users + neg_items])
        # side by side they would be one matrix, whose parts' gradients have gaps between their rows
        layers = [lookup(layer, nodes).chunk(3) for layer in self.layers()]
        ranking = bpr(torch.stack([margins(*rows) for rows in layers]).sum(0))
        return ranking + self.reg * self.penalty(layers)

    def penalty(self, layers: Sequence[tuple[Tensor, ...]]) -> Tensor:
        """The form's regulariser of users, positive and negative items of every layer."""
        if self.form == "official":
            return torch.stack([l2_batch(*rows) for rows in layers]).sum()
        batch_size = len(layers[0][0])
        if self.form == "recbole":
            norms = torch.stack([torch.stack([part.norm() for part in rows]) for rows in layers])
            total: Tensor = torch.linalg.vector_norm(norms, dim=0).sum()
            return total / batch_size
        weights = [weight.square().sum() for weight in (*self.sum_weights, *self.product_weights)]
        return l2_batch(*layers[0]) + torch.stack(weights).sum() / (2 * batch_size)
