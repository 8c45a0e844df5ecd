"""The hierarchical user intent graph network."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from models.errors import UsageError
from models.interactions import Interactions
from models.item_graph import co_interaction_graph
from models.losses import bpr, contrast, l2_batch, margins
from models.parameters import lookup, xavier
from models.pooling import pool
from models.propagation import SparseMatrix, inverse_sqrt
from models.recommender import ANY_MODALITY
from models.registry import register
from models.training import PairwiseRecommender, Training

NO_DEGREE = 1e-12
"""Degree in a pooled graph below which an intent belongs to no item: down there its neighbourhood
fades to zero, and gets no gradient, as that grows with ``degree ** -1.5`` until it overflows."""


@dataclass(frozen=True)
class Intents:
    """One pass through the hierarchy; sizes as in :class:`HUIGN`.

    Args:
        assignments: Gamma per level, ``[M, num_modalities, K_1]`` for the items and
            ``[num_modalities, K_(l-1), K_l]`` above them.
        log_assignments: The logarithms of the same, without gradients.
        graphs: Per level below the last, the pooled graph ``[num_modalities, K_l, K_l]``.
        gram: ``[num_modalities, sum K, sum K]``, inner products of all supernodes.
    """

    assignments: list[Tensor]
    log_assignments: list[Tensor]
    graphs: list[Tensor]
    gram: Tensor

    def mixing(self) -> Tensor:
        """From level-1 distributions to those of all levels, ``[num_modalities * K_1, sum K]``.

        Row blocks ``[I | Gamma_2 | Gamma_2 Gamma_3 | ...]``, one per modality: Eq. 11 is linear
        in the level-1 distribution, so Eq. 11, 12 and 14 are one product.
        """
        _, num_modalities, size = self.assignments[0].shape
        path = torch.eye(size, dtype=self.gram.dtype, device=self.gram.device)
        paths = [path.expand(num_modalities, -1, -1)]
        for assignment in self.assignments[1:]:
            paths.append(paths[-1] @ assignment)
        return torch.cat(paths, dim=2).flatten(0, 1)  # [num_modalities * K_1, sum K]


@register("huign")
class HUIGN(PairwiseRecommender):
    r"""HUIGN from `"Hierarchical User Intent Graph Network for Multimedia Recommendation"
    <https://arxiv.org/abs/2110.14925>`_ (IEEE Transactions on Multimedia 2021).

    Per modality, with features X, co-interaction graph A, and trainable supernodes S of level l:

    .. math::
        Z^{(l-1)} &= D^{-1/2} A^{(l-1)} D^{-1/2} X^{(l-1)}, \quad X^{(l)} = S^{(l)} \\
        \Gamma^{(l)} &= \mathrm{softmax}(Z^{(l-1)} S^{(l)T}), \quad
        A^{(l)} = \Gamma^{(l)T} A^{(l-1)} \Gamma^{(l)} \\
        H^{(1)} &= \Gamma^{(1)}, \quad H^{(l)} = H^{(l-1)} \Gamma^{(l)}, \quad
        V = \textstyle\sum_m [H^{(1)} | \dots | H^{(L)}] \\
        s(u, i) &= U^{id}_u \cdot V^{id}_i + P_u \cdot V_i

    The loss is BPR plus, over modalities and levels, the entropy of the assignments
    :math:`\frac{1}{K_l} \mathrm{mean}_i H(\Gamma_i)` (Eq. 9), the dependence of the intents
    :math:`\frac{1}{K_l} \lVert S S^T - I \rVert_F` (Eq. 10), and the norm of the batch's rows.

    Args:
        embedding_dim: Width of the id embeddings (default: ``64``).
        levels: Numbers of intents :math:`K_1, \dots, K_L` (default: ``(32, 8, 4)``).
        min_co_users: Common users that make an edge of the item graph (default: ``5``).
        modalities: Modalities to use (default: all that the data has); with none, ``()``, the
            model is BPR-MF.
        entropy_weight: Weight of the entropy term, 0 for HUIGN-C (default: ``reg``).
        independence_weight: Weight of the dependence term, 0 for HUIGN-I (default: ``reg``).
        temperature: Divides the affinities before the softmax (default: ``1.0``).
        user_intents: A preference vector per user and modality, or one per user shared by all
            modalities (default: ``"per_modality"``).
        isolated: What items without an edge get: the uniform distribution that Eq. 4 implies, a
            loop to themselves, or no intents at all (default: ``"uniform"``).
        **training: See :class:`models.training.TrainedRecommender`.

    Note:
        Eq. 11 multiplies shapes that do not fit; as in the paper's text, every H is taken as a
        distribution. Eq. 9 leaves the node open: the mean over nodes is meant here. The last
        term covers the rows of the batch instead of all parameters, see
        :func:`models.losses.l2_batch`. All levels' graphs carry gradients, degrees in them below
        :data:`NO_DEGREE` none.
    """

    requires: ClassVar[tuple[str, ...]] = (ANY_MODALITY,)
    static_shapes: ClassVar[bool] = True

    aggregated: list[Tensor]
    nodes: Tensor

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        levels: Sequence[int] = (32, 8, 4),
        min_co_users: int = 5,
        modalities: Sequence[str] | None = None,
        entropy_weight: float | None = None,
        independence_weight: float | None = None,
        temperature: float = 1.0,
        user_intents: Literal["per_modality", "shared"] = "per_modality",
        isolated: Literal["uniform", "self", "drop"] = "uniform",
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.levels = levels
        self.min_co_users = min_co_users
        self.modalities = modalities
        self.entropy_weight = entropy_weight
        self.independence_weight = independence_weight
        self.temperature = temperature
        self.user_intents = user_intents
        self.isolated = isolated

    def build(self, train: Interactions) -> None:
        """Create id tables, supernodes and user intents; aggregate the features once."""
        self.user_embedding = self.table(train.num_users, self.embedding_dim, train.device)  # U_id
        self.item_embedding = self.table(train.num_items, self.embedding_dim, train.device)  # V_id
        features = train.select_features(self.modalities)
        self.modality_names = list(features)
        if features:
            self.build_intents(train, list(features.values()))

    def table(self, rows: int, columns: int, device: torch.device) -> nn.Parameter:
        """A trainable matrix at its starting point."""
        return xavier(rows, columns, device)

    def build_intents(self, train: Interactions, features: list[Tensor]) -> None:
        """Everything about intents: constants of level 0, supernodes S, user intents P."""
        if not self.levels or min(self.levels) < 1:
            raise UsageError(f"'levels' needs one or more positive sizes (got {self.levels})")
        graph = co_interaction_graph(train, self.min_co_users)
        lonely = np.diff(graph.indptr) == 0
        self.num_edges, self.isolated_share = graph.nnz // 2, float(lonely.mean())
        if self.isolated == "self":
            graph = (graph + sp.diags_array(lonely.astype(graph.dtype))).tocsr()
        self.graph = SparseMatrix(graph, train.device, symmetric=True)
        nodes = ~lonely if self.isolated == "drop" else np.ones_like(lonely)
        self.nodes = torch.from_numpy(nodes).to(train.device)
        self.num_nodes = max(1, int(nodes.sum()))
        # these have no parameters, so that every step starts from constants
        self.aggregated = [self.aggregate(x) for x in features]

        width, device = sum(self.levels), train.device
        self.supernodes = nn.ParameterList(
            torch.cat([self.table(size, x.shape[1], device).data for size in self.levels])
            for x in features
        )  # S, all levels stacked: [sum K, D_m]
        copies = len(features) if self.user_intents == "per_modality" else 1
        self.preferences = nn.ParameterList(
            self.table(train.num_users, width, device) for _ in range(copies)
        )  # P

    def blocks(self) -> list[slice]:
        """Each level's place among the ``sum K`` intents of all levels."""
        ends = itertools.accumulate(self.levels)
        return [slice(end - size, end) for end, size in zip(ends, self.levels, strict=True)]

    def aggregate(self, x: Tensor) -> Tensor:
        """Features after the graph convolution of level 0, Z of Eq. 4, ``[M, D_m]``."""
        scale = inverse_sqrt(self.graph.row_sums())[:, None]
        return scale * (self.graph @ (scale * x))

    def item_affinity(self, intents: slice) -> Tensor:
        """Eq. 6 between items and the intents of level 1, ``[M, num_modalities, K_1]``."""
        products = [
            z @ (s[intents] / self.temperature).T
            for z, s in zip(self.aggregated, self.supernodes, strict=True)
        ]
        return torch.stack(products, dim=1)

    def intent_affinity(self, graph: Tensor, gram: Tensor, finer: slice, coarser: slice) -> Tensor:
        """Eq. 4 and 6 between intents of two levels, ``[num_modalities, K_(l-1), K_l]``."""
        scale = graph.sum(2).clamp(min=NO_DEGREE).rsqrt()
        normalised = scale[:, :, None] * graph * scale[:, None, :]
        # Z S^T = (D^-1/2 A D^-1/2) (S S'^T): inner products of supernodes are all it takes
        return normalised @ gram[:, finer, coarser]

    def intents(self) -> Intents:
        """Assign items to intents and intents to coarser intents, all modalities at once."""
        blocks = self.blocks()
        gram = torch.stack([s @ s.T for s in self.supernodes])  # [num_modalities, sum K, sum K]
        affinity = self.item_affinity(blocks[0])
        logs = [torch.log_softmax(affinity.detach(), dim=2)]
        gammas = [torch.softmax(affinity, dim=2)]
        if self.isolated == "drop":
            gammas[0] = gammas[0] * self.nodes[:, None, None]
        graphs: list[Tensor] = []
        for finer, coarser in itertools.pairwise(blocks):
            gamma = gammas[-1]
            graphs.append(gamma.mT @ graphs[-1] @ gamma if graphs else pool(gamma, self.graph))
            affinity = self.intent_affinity(graphs[-1], gram, finer, coarser) / self.temperature
            logs.append(torch.log_softmax(affinity.detach(), dim=2))
            gammas.append(torch.softmax(affinity, dim=2))
        return Intents(gammas, logs, graphs, gram)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Id embeddings and intents side by side, ``[*, embedding_dim + sum K]``."""
        if not self.modality_names:
            return self.user_embedding, self.item_embedding
        intents = self.intents()
        item_intents = intents.assignments[0].flatten(1) @ intents.mixing()  # [M, sum K]
        item = torch.cat([self.item_embedding, item_intents], dim=1)
        preference = torch.stack(list(self.preferences)).sum(0)  # [num_users, sum K]
        return torch.cat([self.user_embedding, preference], dim=1), item

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR, entropy, dependence and norm terms for triples of three vectors ``[batch_size]``."""
        if not self.modality_names:
            tables = self.user_embedding, self.item_embedding
            margin, norm = contrast(*tables, users, pos_items, neg_items)
            return bpr(margin) + self.reg * norm
        user = lookup(self.user_embedding, users)
        pos, neg = lookup(self.item_embedding, pos_items), lookup(self.item_embedding, neg_items)
        intents = self.intents()
        gamma = intents.assignments[0].flatten(1)  # [M, num_modalities * K_1]
        shift = lookup(gamma, pos_items) - lookup(gamma, neg_items)
        difference = shift @ intents.mixing()  # V_p - V_n
        preferences = [lookup(table, users) for table in self.preferences]
        preference = torch.stack(preferences).sum(0)  # [batch_size, sum K]
        margin = margins(user, pos, neg) + torch.linalg.vecdot(preference, difference)
        entropy_weight = self.reg if self.entropy_weight is None else self.entropy_weight
        independence_weight = (
            self.reg if self.independence_weight is None else self.independence_weight
        )
        return (
            bpr(margin)
            + self.reg * self.penalty(user, pos, neg, *preferences)
            + entropy_weight * torch.stack(self.entropies(intents)).sum()
            + independence_weight * torch.stack(self.dependences(intents)).sum()
        )

    def penalty(self, user: Tensor, pos: Tensor, neg: Tensor, *preferences: Tensor) -> Tensor:
        """The norm of the batch's rows, each ``[batch_size, *]``."""
        return l2_batch(user, pos, neg, *preferences)

    def entropies(self, intents: Intents) -> list[Tensor]:
        """Eq. 9 per level, summed over modalities: in ``[0, ln(K_l) / K_l]`` for each of them."""
        terms = []
        for level, size in enumerate(self.levels):
            gamma, log_gamma = intents.assignments[level], intents.log_assignments[level]
            nodes = self.num_nodes if level == 0 else gamma.shape[1]
            # sum gamma d(log gamma) = sum d(gamma) = 0: the logarithm needs no gradient
            terms.append(-torch.dot(gamma.flatten(), log_gamma.flatten()) / (nodes * size))
        return terms

    def dependences(self, intents: Intents) -> list[Tensor]:
        """Eq. 10 per level, summed over modalities; 0 for orthonormal supernodes."""
        terms = []
        for block, size in zip(self.blocks(), self.levels, strict=True):
            gram = intents.gram[:, block, block]
            excess = gram - torch.eye(size, dtype=gram.dtype, device=gram.device)
            terms.append(torch.linalg.matrix_norm(excess).sum() / size)
        return terms

    @torch.no_grad()
    def diagnostics(self) -> dict[str, float]:
        """The item graph's edges and share of isolated items, and signs of collapse.

        Per modality and level, ``std`` is the standard deviation over items of the intent
        distribution H (0: all items look alike), ``peak`` the mean largest assignment (1 with
        ``std`` 0: everything sits in one intent), ``norm`` the mean length of the supernodes.
        """
        if not self.modality_names:
            return {}
        first, *others = self.intents().assignments
        found = {"edges": float(self.num_edges), "isolated_items": self.isolated_share}
        for index, modality in enumerate(self.modality_names):
            gammas = [first[:, index], *(gamma[index] for gamma in others)]
            distributions = itertools.accumulate(gammas, torch.matmul)  # H
            for level, (gamma, h, block) in enumerate(
                zip(gammas, distributions, self.blocks(), strict=True), start=1
            ):
                found[f"{modality}/{level}/std"] = float(h.std(0).mean())
                found[f"{modality}/{level}/peak"] = float(gamma.amax(1).mean())
                norms = self.supernodes[index][block].norm(dim=1)
                found[f"{modality}/{level}/norm"] = float(norms.mean())
        return found
