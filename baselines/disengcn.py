"""A graph network that routes every neighbour to one of several aspects."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import Unpack

from models.bipartite_graph import bipartite_graph
from models.edges import Edges
from models.errors import UsageError
from models.interactions import Interactions
from models.losses import bpr, l2_batch, margins
from models.parameters import lookup, xavier, zeros
from models.registry import register
from models.training import PairwiseRecommender, Training


@register("disengcn")
class DisenGCN(PairwiseRecommender):
    r"""DisenGCN from `"Disentangled Graph Convolutional Networks"
    <https://proceedings.mlr.press/v97/ma19a.html>`_ (ICML 2019), on the graph of users and items.

    A layer projects its input E to K channels of unit length and routes, T times, each
    neighbour v of a node u to the channels whose centres it resembles:

    .. math::
        z_{i,k} &= \overline{\mathrm{LeakyReLU}(E_i W_k + b_k)}, \quad c_{u,k} = z_{u,k} \\
        p_{vu,k} &= \mathrm{softmax}_k(z_{v,k} \cdot c_{u,k}), \quad
        c_{u,k} \leftarrow \overline{z_{u,k} + \textstyle\sum_{v \in N(u)} p_{vu,k} z_{v,k}} \\
        s(u, i) &= \textstyle\sum_k c_{u,k} \cdot c_{i,k}

    with :math:`\overline{x}` scaled to unit length. The released code differs:

    ================= ======================= ===========================================
    form              ``"paper"``             ``"official"``
    ================= ======================= ===========================================
    projection        in every layer          in the first layer; leaky ReLU and dropout
                                              between layers
    first iteration   from the node's own z   all channels alike, p = 1 / K
    last iteration    of unit length          as it is
    ================= ======================= ===========================================

    Args:
        embedding_dim: Width of the id embeddings and of every layer (default: ``64``).
        num_channels: Number of aspects K, a divisor of ``embedding_dim`` (default: ``4``).
        num_iterations: Routing iterations T per layer (default: ``3``).
        num_layers: Number of layers (default: ``2``).
        dropout: Share of the input dropped in training (default: ``0.1``).
        learn_scale: Multiply the scores, at most K, by a learned positive number
            (default: ``False``).
        form: Whose model to compute (default: ``"paper"``).
        **training: See :class:`models.training.TrainedRecommender`.

    Note:
        The paper classifies nodes by their features and samples neighbours; here ids are the
        input, all neighbours take part, and the loss is BPR with the squared norms of the
        batch's ids and, per triple, of W.
    """

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        num_channels: int = 4,
        num_iterations: int = 3,
        num_layers: int = 2,
        dropout: float = 0.1,
        learn_scale: bool = False,
        form: Literal["paper", "official"] = "paper",
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.num_channels = num_channels
        self.num_iterations = num_iterations
        self.num_layers = num_layers
        self.dropout = dropout
        self.learn_scale = learn_scale
        self.form = form

    def build(self, train: Interactions) -> None:
        """Create the id table, the projections and the edges between users and items."""
        if self.num_channels < 1 or self.embedding_dim % self.num_channels:
            raise UsageError(
                f"'num_channels' needs to divide 'embedding_dim' in 'disengcn' "
                f"(got {self.num_channels} and {self.embedding_dim})"
            )
        dim, device = self.embedding_dim, train.device
        self.num_users = train.num_users
        graph = bipartite_graph(train)
        self.edges = Edges(
            torch.from_numpy(graph.indptr).to(device),
            torch.from_numpy(graph.indices).to(device),
            graph.shape[1],
        )
        self.embedding = xavier(graph.shape[0], dim, device)  # E, users first
        projections = range(1 if self.form == "official" else self.num_layers)
        self.weights = nn.ParameterList(xavier(dim, dim, device) for _ in projections)  # W
        self.biases = nn.ParameterList(zeros(dim, device=device) for _ in projections)  # b
        self.log_scale = zeros(1, device=device) if self.learn_scale else None

    def forward(self) -> tuple[Tensor, Tensor]:
        """The last layer's channels side by side, ``[*, embedding_dim]``."""
        x = functional.dropout(self.embedding, self.dropout, self.training)
        for layer in range(self.num_layers):
            if layer < len(self.weights):
                x = functional.leaky_relu(x @ self.weights[layer] + self.biases[layer])
            else:
                x = functional.dropout(functional.leaky_relu(x), self.dropout, self.training)
            channels = x.view(len(x), self.num_channels, -1).transpose(0, 1)  # [K, num_nodes, c]
            routed = self.route(functional.normalize(channels, dim=2).contiguous())
            x = routed.transpose(0, 1).flatten(1)  # [num_nodes, embedding_dim]
        user, item = x[: self.num_users], x[self.num_users :]
        return (user if self.log_scale is None else user * self.log_scale.exp()), item

    def route(self, z: Tensor) -> Tensor:
        """Centres c after all iterations, ``[num_channels, num_nodes, c]`` in and out."""
        official = self.form == "official"
        centres = torch.zeros_like(z) if official else z  # zeros make all p equal
        for iteration in range(1, self.num_iterations + 1):
            shares = self.shares(z, centres)
            messages = [self.edges.weighted_sum(p, x) for p, x in zip(shares, z, strict=True)]
            centres = z + torch.stack(messages)
            if not (official and iteration == self.num_iterations):
                centres = functional.normalize(centres, dim=2)
        return centres

    def shares(self, z: Tensor, centres: Tensor) -> Tensor:
        """How much of each edge belongs to each channel: p, ``[num_channels, num_edges]``."""
        pairs = zip(centres, z, strict=True)
        return torch.stack([self.edges.dot(c, x) for c, x in pairs]).softmax(0)

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``."""
        user_repr, item_repr = self.forward()
        user = lookup(user_repr, users)
        pos, neg = lookup(item_repr, pos_items), lookup(item_repr, neg_items)
        ids = (users, self.num_users + pos_items, self.num_users + neg_items)
        penalty = l2_batch(*(lookup(self.embedding, each) for each in ids))
        for weight in self.weights:
            penalty = penalty + weight.square().sum() / (2 * len(users))
        return bpr(margins(user, pos, neg)) + self.reg * penalty
