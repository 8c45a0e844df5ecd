"""One graph network per modality over users and items, fused by their sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import Unpack

from models.bipartite_graph import bipartite_graph, row_normalisation
from models.errors import UsageError
from models.interactions import Interactions
from models.losses import bpr, l2_batch, margins
from models.parameters import lookup, xavier, zeros
from models.propagation import SparseMatrix
from models.recommender import ANY_MODALITY
from models.registry import register
from models.training import PairwiseRecommender, Training

Combination = Literal["ele", "concat"]
Fusion = Literal["sum", "mean"]


def aggregate(
    graph: SparseMatrix, sources: Sequence[Tensor], weights: Sequence[Tensor]
) -> Sequence[Tensor]:
    """``graph @ x @ weight`` for every x of ``sources``, in one sparse product.

    Both orders of the two products give the same: the weights are multiplied on the side with
    fewer rows.
    """
    early = graph.shape[1] <= graph.shape[0]
    if early:
        sources = [x @ weight for x, weight in zip(sources, weights, strict=True)]
    wide = graph @ torch.cat(list(sources), dim=1)  # [num_targets, sum of widths]
    parts = torch.split(wide, [x.shape[1] for x in sources], dim=1)
    return parts if early else [x @ weight for x, weight in zip(parts, weights, strict=True)]


class Layer(nn.Module):
    """One layer of all modalities.

    Args:
        widths: Widths of the modalities' inputs.
        dim: Width of the id embeddings and of all outputs.
        combination: See :class:`MMGCN`.
        device: Where the weights live.
    """

    def __init__(
        self, widths: Sequence[int], dim: int, combination: Combination, device: torch.device
    ) -> None:
        super().__init__()
        below = dim if combination == "concat" else 0
        self.neighbour = nn.ParameterList(xavier(width, width, device) for width in widths)  # W_1
        self.own = nn.ParameterList(xavier(width, dim, device) for width in widths)  # W_2
        self.own_bias = nn.ParameterList(zeros(dim, device=device) for _ in widths)  # b_2
        self.combine = nn.ParameterList(xavier(width + below, dim, device) for width in widths)
        self.combine_bias = nn.ParameterList(zeros(dim, device=device) for _ in widths)  # b_3

    def forward(
        self,
        graph: SparseMatrix,
        sources: Sequence[Tensor],
        targets: Sequence[Tensor],
        identity: Tensor,
        means: Sequence[Tensor | None] | None = None,
    ) -> list[Tensor]:
        """Outputs of the target nodes per modality, ``[num_targets, dim]``.

        Args:
            graph: ``[num_targets, num_sources]``, the mean over neighbours.
            sources: Per modality ``[num_sources, width]``, the neighbours' inputs.
            targets: Per modality ``[num_targets, width]``, the nodes' own inputs.
            identity: ``[num_targets, dim]``, the nodes' id embeddings.
            means: Per modality ``graph @ sources`` where it is known already.
        """
        if means is None:
            messages = aggregate(graph, sources, list(self.neighbour))
        else:
            messages = [
                aggregate(graph, [x], [weight])[0] if mean is None else mean @ weight
                for mean, x, weight in zip(means, sources, self.neighbour, strict=True)
            ]
        return [
            self.combined(modality, functional.leaky_relu(message), x, identity)
            for modality, (message, x) in enumerate(zip(messages, targets, strict=True))
        ]

    def combined(self, modality: int, h: Tensor, x: Tensor, identity: Tensor) -> Tensor:
        """What neighbours say, ``[num_targets, width]``, with the nodes' inputs and ids."""
        own = torch.addmm(self.own_bias[modality], x, self.own[modality])
        own = functional.leaky_relu(own) + identity
        upper, lower = self.combine[modality].tensor_split([h.shape[1]])  # W_3
        if len(lower):  # [h | own] W_3 without a copy
            own = own @ lower
        return functional.leaky_relu(torch.addmm(self.combine_bias[modality], h, upper) + own)


@register("mmgcn")
class MMGCN(PairwiseRecommender):
    r"""MMGCN from `"MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation
    of Micro-video" <https://doi.org/10.1145/3343031.3351034>`_ (MM 2019).

    Per modality, :math:`x^{(0)}` is a trainable row of P for a user and the features of an item.
    With N(x) the neighbours in the graph and :math:`\phi` the leaky ReLU:

    .. math::
        h &= \phi(\mathrm{mean}_{j \in N(x)} \, x_j^{(l-1)} W_1), \quad
        \hat{x} = \phi(x^{(l-1)} W_2 + b_2) + ID_x \\
        x^{(l)} &= \phi(h W_3 + b_3 + \hat{x}) \quad\text{or}\quad
        x^{(l)} = \phi([h | \hat{x}] W_3 + b_3)

    Weights belong to a layer and a modality; the id table is one for all. The score is the inner
    product of :math:`\sum_m x_m^{(L)}` of user and item.

    Args:
        embedding_dim: Width of the id embeddings and of every layer (default: ``64``).
        num_layers: Number of layers L (default: ``2``).
        combination: ``"ele"`` for the first formula of a layer, ``"concat"`` for the second
            (default: ``"ele"``).
        fusion: Of the modalities' outputs (default: ``"sum"``).
        projection_dim: Wider features are first projected to this width (default: ``256``).
        train_tables: Whether ID and P are learned (default: ``True``).
        normalise_input: Whether the rows of :math:`x^{(0)}` are scaled to unit length
            (default: ``False``).
        modalities: Modalities to use (default: all that the data has).
        **training: See :class:`models.training.TrainedRecommender`.

    Note:
        The regulariser covers the rows of ID and P that a batch touches, see
        :func:`models.losses.l2_batch`. A node without neighbours has h = 0.
    """

    requires: ClassVar[tuple[str, ...]] = (ANY_MODALITY,)

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        num_layers: int = 2,
        combination: Combination = "ele",
        fusion: Fusion = "sum",
        projection_dim: int = 256,
        train_tables: bool = True,
        normalise_input: bool = False,
        modalities: Sequence[str] | None = None,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.num_layers = num_layers
        self.combination = combination
        self.fusion = fusion
        self.projection_dim = projection_dim
        self.train_tables = train_tables
        self.normalise_input = normalise_input
        self.modalities = modalities

    def build(self, train: Interactions) -> None:
        """Create tables and weights; average the fixed features of every user's items once.

        Raises:
            UsageError: If there is no modality.
        """
        num_users, dim, device = train.num_users, self.embedding_dim, train.device
        self.features = list(train.select_features(self.modalities).values())
        if not self.features:
            raise UsageError("MMGCN needs item features: name at least one in 'modalities'")
        means = row_normalisation(bipartite_graph(train))
        self.to_users = SparseMatrix(means[:num_users, num_users:], device)
        self.to_items = SparseMatrix(means[num_users:, :num_users], device)

        widths = [min(x.shape[1], self.projection_dim) for x in self.features]
        self.user_embedding = xavier(num_users, dim, device)  # ID of users
        self.item_embedding = xavier(train.num_items, dim, device)  # ID of items
        self.preferences = nn.ParameterList(xavier(num_users, width, device) for width in widths)
        for table in (self.user_embedding, self.item_embedding, *self.preferences):
            table.requires_grad_(self.train_tables)

        self.projections = nn.ParameterDict()  # by the modality's position, for wide features
        self.item_means: list[Tensor | None] = []  # else: of each user's items, a constant
        for modality, (x, width) in enumerate(zip(self.features, widths, strict=True)):
            if x.shape[1] > width:
                self.projections[str(modality)] = xavier(x.shape[1], width, device)
                self.item_means.append(None)
            else:
                self.item_means.append(self.to_users @ self.scaled(x))

        self.layers = nn.ModuleList()
        for _ in range(self.num_layers):
            self.layers.append(Layer(widths, dim, self.combination, device))
            widths = [dim] * len(widths)

    def forward(self) -> tuple[Tensor, Tensor]:
        """The fused outputs of the last layer, ``[*, embedding_dim]``."""
        users = [self.scaled(table) for table in self.preferences]
        items = [self.scaled(self.projected(m, x)) for m, x in enumerate(self.features)]
        means: list[Tensor | None] | None = self.item_means
        for layer in self.layers:
            users, items = (
                layer(self.to_users, items, users, self.user_embedding, means),
                layer(self.to_items, users, items, self.item_embedding),
            )
            means = None  # known of the first layer's inputs alone
        fuse = torch.sum if self.fusion == "sum" else torch.mean
        return fuse(torch.stack(users), dim=0), fuse(torch.stack(items), dim=0)

    def projected(self, modality: int, x: Tensor) -> Tensor:
        """Features ``[num_items, D]`` at most ``projection_dim`` wide."""
        key = str(modality)
        return x @ self.projections[key] if key in self.projections else x

    def scaled(self, x: Tensor) -> Tensor:
        """Inputs of the first layer, with rows of unit length where this is asked for."""
        return functional.normalize(x) if self.normalise_input else x

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR loss of a batch of triples, each ``[batch_size]``, plus the regulariser."""
        user_repr, item_repr = self.forward()
        user = lookup(user_repr, users)
        pos, neg = lookup(item_repr, pos_items), lookup(item_repr, neg_items)
        ranking = bpr(margins(user, pos, neg))
        return ranking + self.reg * self.penalty(users, pos_items, neg_items)

    def penalty(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """The squared norm of the batch's trainable rows."""
        return l2_batch(
            lookup(self.user_embedding, users),
            lookup(self.item_embedding, pos_items),
            lookup(self.item_embedding, neg_items),
            *(lookup(table, users) for table in self.preferences),
        )


@register("mmgcn_official", label="MMGCN (official)")
class OfficialMMGCN(MMGCN):
    """MMGCN as the code released by its authors computes it, not as the paper describes it.

    Its id table and users' rows P are no parameters, so training never changes them; it has three
    layers of the form ``"concat"``, unit-length inputs, and averages the modalities. Its
    regulariser, the mean square of the batch's ID rows plus that of the first modality's P, has
    no gradient as long as neither is trained.

    The options are those of :class:`MMGCN` with other defaults.

    Note:
        The tables start Xavier uniform, as everywhere in this suite; the authors' are normal.
    """

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        num_layers: int = 3,
        combination: Combination = "concat",
        fusion: Fusion = "mean",
        projection_dim: int = 256,
        train_tables: bool = False,
        normalise_input: bool = True,
        modalities: Sequence[str] | None = None,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(
            embedding_dim=embedding_dim,
            num_layers=num_layers,
            combination=combination,
            fusion=fusion,
            projection_dim=projection_dim,
            train_tables=train_tables,
            normalise_input=normalise_input,
            modalities=modalities,
            **training,
        )

    def penalty(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """Mean squares of the batch's ID rows and of the first modality's P."""
        user, preference = lookup(self.user_embedding, users), self.preferences[0]
        pos, neg = lookup(self.item_embedding, pos_items), lookup(self.item_embedding, neg_items)
        squares: Tensor = torch.cat([user, pos, neg]).square().mean() + preference.square().mean()
        return squares
