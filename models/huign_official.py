"""HUIGN as its authors released it, where that differs from the paper."""

from __future__ import annotations

from functools import partialmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.huign import HUIGN, Intents
from models.interactions import Interactions
from models.registry import register


@register("huign_official", label="HUIGN (official)")
class HUIGNOfficial(HUIGN):
    r"""HUIGN by the `authors' program <https://github.com/weiyinwei/HUIGN>`_ instead of the paper.

    Its graph convolution has a weight matrix W per modality and level, which is applied twice,
    and takes means over neighbours:

    .. math::
        Z = \mathrm{LeakyReLU}_{0.01}(\bar A (\bar A X W) W), \quad
        \bar A = A / \max(A 1, 1)

    The entropy lacks its factor :math:`1/K_l`, the dependence has :math:`1/K_l^2`, both terms are
    counted twice, and the norm term is the mean over all elements of the batch's rows. One user
    preference serves all modalities, and all matrices start Xavier normal, the ids as if they
    were one table of users and items.

    Args are those of :class:`models.huign.HUIGN`; only ``user_intents`` has another default.

    Note:
        The released program does not run, and its graph is not part of it: the graph is the
        paper's here, without loops. It leaves W uninitialised; here W starts Xavier normal.
        Written from its formulas, not from its code.
    """

    __init__ = partialmethod(HUIGN.__init__, user_intents="shared")

    def build(self, train: Interactions) -> None:
        """Create the parameters of HUIGN, other id tables, and the convolutions' weights."""
        super().build(train)
        num_users, num_items, device = train.num_users, train.num_items, train.device
        ids = self.table(num_users + num_items, self.embedding_dim, device).data
        self.user_embedding = nn.Parameter(ids[:num_users].clone())
        self.item_embedding = nn.Parameter(ids[num_users:].clone())
        if self.modality_names:
            dims = [z.shape[1] for z in self.aggregated]
            self.weights = nn.ParameterList(
                self.table(dim, dim, device) for _ in self.levels for dim in dims
            )  # W of all modalities, level by level

    def weights_of(self, level: int) -> nn.ParameterList:
        """W of every modality between ``level`` and the next."""
        count = len(self.aggregated)
        return self.weights[level * count : (level + 1) * count]

    def table(self, rows: int, columns: int, device: torch.device) -> nn.Parameter:
        """A matrix, Xavier normal."""
        return nn.Parameter(nn.init.xavier_normal_(torch.empty(rows, columns, device=device)))

    def aggregate(self, x: Tensor) -> Tensor:
        r"""The part of level 0 without parameters, :math:`\bar A \bar A X`, ``[M, D_m]``.

        Products of matrices are associative, so W can come afterwards.
        """
        scale = 1 / self.graph.row_sums().clamp(min=1)[:, None]
        return scale * (self.graph @ (scale * (self.graph @ x)))

    def item_affinity(self, intents: slice) -> Tensor:
        """See :meth:`HUIGN.item_affinity`."""
        products = []
        for z, s, w in zip(self.aggregated, self.supernodes, self.weights_of(0), strict=True):
            product = torch.linalg.multi_dot([z, w, w])  # [M, D_m]
            convolved = functional.leaky_relu(product, 0.01)
            products.append(convolved @ (s[intents] / self.temperature).T)
        return torch.stack(products, dim=1)

    def intent_affinity(self, graph: Tensor, gram: Tensor, finer: slice, coarser: slice) -> Tensor:
        """See :meth:`HUIGN.intent_affinity`."""
        weights = self.weights_of(self.blocks().index(coarser))
        means = graph / graph.sum(2, keepdim=True).clamp(min=1)
        products = []
        for mean, s, w in zip(means, self.supernodes, weights, strict=True):
            x = mean @ (mean @ s[finer] @ w) @ w  # [K_(l-1), D_m]
            products.append(functional.leaky_relu(x, 0.01) @ s[coarser].T)
        return torch.stack(products)

    def penalty(self, user: Tensor, pos: Tensor, neg: Tensor, *preferences: Tensor) -> Tensor:
        """Per-element means of squares over users, over items, and over preferences."""
        rows = [user, torch.cat([pos, neg]), *preferences]
        return torch.stack([row.square().mean() for row in rows]).sum()

    def entropies(self, intents: Intents) -> list[Tensor]:
        """Eq. 9 without its factor, twice."""
        terms = super().entropies(intents)
        return [2 * size * term for size, term in zip(self.levels, terms, strict=True)]

    def dependences(self, intents: Intents) -> list[Tensor]:
        """Eq. 10 with its factor squared, twice."""
        terms = super().dependences(intents)
        return [2 * term / size for size, term in zip(self.levels, terms, strict=True)]
