"""The hierarchical user intent graph network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from models.interactions import Interactions
from models.item_graph import co_interaction_graph
from models.losses import bpr, l2_batch
from models.parameters import xavier
from models.pooling import pool
from models.propagation import SparseMatrix, inverse_sqrt
from models.recommender import ANY_MODALITY
from models.registry import register
from models.training import PairwiseRecommender, Training


@dataclass(frozen=True)
class Intents:
    """One pass through the hierarchy; modality first, sizes as in :class:`HUIGN`.

    Args:
        log_assignments: Per level ``[num_modalities, K_(l-1), K_l]``, the logarithm of Gamma.
        assignments: The same, Gamma itself.
        graphs: Per level below the last, the pooled graph ``[num_modalities, K_l, K_l]``.
        gram: ``[num_modalities, sum K, sum K]``, inner products of all supernodes.
    """

    log_assignments: list[Tensor]
    assignments: list[Tensor]
    graphs: list[Tensor]
    gram: Tensor

    def mixing(self) -> Tensor:
        """From level-1 distributions to those of all levels, ``[num_modalities * K_1, sum K]``.

        Row blocks ``[I | Gamma_2 | Gamma_2 Gamma_3 | ...]``, one per modality: Eq. 11 is linear
        in the level-1 distribution, so Eq. 11, 12 and 14 are one product.
        """
        first = self.assignments[0]
        path = torch.eye(first.shape[2], dtype=first.dtype, device=first.device)
        paths = [path.expand(len(first), -1, -1)]
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
        :func:`models.losses.l2_batch`. All levels' graphs carry gradients.
    """

    requires: ClassVar[tuple[str, ...]] = (ANY_MODALITY,)

    aggregated: list[Tensor]
    connected: Tensor

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
        device = train.device
        self.user_embedding = xavier(train.num_users, self.embedding_dim, device)  # U_id
        self.item_embedding = xavier(train.num_items, self.embedding_dim, device)  # V_id
        features = train.select_features(self.modalities)
        self.modality_names = list(features)
        if features:
            self.build_intents(train, features)

    def build_intents(self, train: Interactions, features: dict[str, Tensor]) -> None:
        """Everything about intents: constants of level 0, supernodes S, user intents P."""
        graph = co_interaction_graph(train, self.min_co_users)
        lonely = np.diff(graph.indptr) == 0
        if self.isolated == "self":
            graph = (graph + sp.dia_array(sp.diags_array(lonely.astype(graph.dtype)))).tocsr()
        self.graph = SparseMatrix(graph, train.device, symmetric=True)
        keep = ~lonely if self.isolated == "drop" else np.ones_like(lonely)
        self.connected = torch.from_numpy(keep).to(train.device)
        self.isolated_share = float(lonely.mean())
        scale = inverse_sqrt(self.graph.row_sums())[:, None]
        # Z at level 0 has no parameters: with it every step starts from a constant
        self.aggregated = [scale * (self.graph @ (scale * x)) for x in features.values()]

        width, num_users = sum(self.levels), train.num_users
        self.supernodes = nn.ParameterList(
            torch.cat([xavier(size, x.shape[1], train.device).data for size in self.levels])
            for x in features.values()
        )  # S, all levels stacked: [sum K, D_m]
        copies = len(features) if self.user_intents == "per_modality" else 1
        self.preferences = nn.ParameterList(
            xavier(num_users, width, train.device) for _ in range(copies)
        )  # P

    def intents(self) -> Intents:
        """Assign items to intents and intents to coarser intents, all modalities at once."""
        first = self.levels[0]
        logits = torch.stack(
            [z @ s[:first].T for z, s in zip(self.aggregated, self.supernodes, strict=True)]
        )  # [num_modalities, M, K_1]
        log_assignments = [torch.log_softmax(logits / self.temperature, dim=2)]
        assignments = [log_assignments[0].exp()]
        if self.isolated == "drop":
            assignments[0] = assignments[0] * self.connected[:, None]
        gram = torch.stack([s @ s.T for s in self.supernodes])  # [num_modalities, sum K, sum K]
        graphs: list[Tensor] = []
        start = 0
        for finer, coarser in zip(self.levels, self.levels[1:], strict=False):
            middle, stop = start + finer, start + finer + coarser
            if graphs:
                pooled = assignments[-1].mT @ graphs[-1] @ assignments[-1]
            else:
                pooled = pool(assignments[0], self.graph)
            graphs.append(pooled)
            scale = inverse_sqrt(pooled.sum(2))
            normalised = scale[:, :, None] * pooled * scale[:, None, :]
            # Z S^T = (D^-1/2 A D^-1/2) (S S'^T): only inner products of supernodes are needed
            affinity = normalised @ gram[:, start:middle, middle:stop]
            log_assignments.append(torch.log_softmax(affinity / self.temperature, dim=2))
            assignments.append(log_assignments[-1].exp())
            start = middle
        return Intents(log_assignments, assignments, graphs, gram)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Id embeddings and intents side by side, ``[*, embedding_dim + sum K]``."""
        if not self.modality_names:
            return self.user_embedding, self.item_embedding
        intents = self.intents()
        distributions = intents.assignments[0].transpose(0, 1).flatten(1)  # [M, modalities * K_1]
        item = torch.cat([self.item_embedding, distributions @ intents.mixing()], dim=1)
        preference = torch.stack(list(self.preferences)).sum(0)
        return torch.cat([self.user_embedding, preference], dim=1), item

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """BPR, entropy, dependence and norm terms for triples of three vectors ``[batch_size]``."""
        user = self.user_embedding[users]
        pos, neg = self.item_embedding[pos_items], self.item_embedding[neg_items]
        pos_scores, neg_scores = (user * pos).sum(1), (user * neg).sum(1)
        if not self.modality_names:
            return bpr(pos_scores, neg_scores) + self.reg * l2_batch(user, pos, neg)
        intents = self.intents()
        assignment = intents.assignments[0]
        difference = assignment[:, pos_items] - assignment[:, neg_items]
        margin = difference.transpose(0, 1).flatten(1) @ intents.mixing()  # [batch_size, sum K]
        preferences = [table[users] for table in self.preferences]
        pos_scores = pos_scores + (torch.stack(preferences).sum(0) * margin).sum(1)
        entropy_weight = self.reg if self.entropy_weight is None else self.entropy_weight
        independence_weight = (
            self.reg if self.independence_weight is None else self.independence_weight
        )
        return (
            bpr(pos_scores, neg_scores)
            + self.reg * l2_batch(user, pos, neg, *preferences)
            + entropy_weight * torch.stack(self.entropies(intents)).sum()
            + independence_weight * torch.stack(self.dependences(intents)).sum()
        )

    def entropies(self, intents: Intents) -> list[Tensor]:
        """Eq. 9 per level, summed over modalities: in ``[0, ln(K_l) / K_l]`` for each of them."""
        terms = []
        for level, (gamma, log_gamma) in enumerate(
            zip(intents.assignments, intents.log_assignments, strict=True)
        ):
            nodes = self.connected.sum() if level == 0 else gamma.shape[1]
            entropy = -(gamma * log_gamma).sum((1, 2)) / nodes  # mean over nodes, per modality
            terms.append(entropy.sum() / gamma.shape[2])
        return terms

    def dependences(self, intents: Intents) -> list[Tensor]:
        """Eq. 10 per level, summed over modalities; 0 for orthonormal supernodes."""
        terms, start = [], 0
        for size in self.levels:
            block = intents.gram[:, start : start + size, start : start + size]
            identity = torch.eye(size, dtype=block.dtype, device=block.device)
            terms.append(torch.linalg.matrix_norm(block - identity).sum() / size)
            start += size
        return terms

    @torch.no_grad()
    def diagnostics(self) -> dict[str, float]:
        """Signs of collapse per modality and level.

        ``std`` is the standard deviation over items of the intent distribution H (0: all items
        look alike), ``peak`` the mean largest assignment (1 with ``std`` 0: everything sits in one
        intent), ``norm`` the mean length of the supernodes.
        """
        if not self.modality_names:
            return {}
        intents = self.intents()
        found = {"isolated_items": self.isolated_share}
        for index, modality in enumerate(self.modality_names):
            distribution, start = intents.assignments[0][index], 0
            for level, size in enumerate(self.levels, start=1):
                gamma = intents.assignments[level - 1][index]
                if level > 1:
                    distribution = distribution @ gamma
                supernodes = self.supernodes[index][start : start + size]
                found[f"{modality}/{level}/std"] = float(distribution.std(0).mean())
                found[f"{modality}/{level}/peak"] = float(gamma.amax(1).mean())
                found[f"{modality}/{level}/norm"] = float(supernodes.norm(dim=1).mean())
                start += size
        return found
