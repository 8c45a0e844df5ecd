"""Item vectors of a factorisation, predicted from the items' features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partialmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import Unpack

from baselines.bpr_mf import BPRMF
from baselines.duif import perceptron, squared_weights
from models.interactions import Interactions
from models.parameters import lookup
from models.recommender import ANY_MODALITY, Validate
from models.registry import register
from models.training import PairwiseRecommender, TrainedRecommender, Training


class ContentNetwork(nn.Module):
    r"""From an item's features to its vector, one view per modality.

    .. math::
        g_m = \mathrm{ReLU}(W_m x^m_i + c_m), \quad h = \mathrm{ReLU}(W_h [g_v|g_a|g_t] + c_h),
        \quad f_i = W_o h + c_o

    Args:
        features: Per modality a matrix ``[num_items, feature_dim]``.
        view_dim: Width of every g.
        hidden_dim: Width of h.
        embedding_dim: Width of f.
        dropout: Share of g and h dropped in training.
    """

    def __init__(
        self,
        features: Mapping[str, Tensor],
        view_dim: int,
        hidden_dim: int,
        embedding_dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.features = list(features.values())  # x
        device = self.features[0].device
        self.views = nn.ModuleList(
            nn.Sequential(
                *perceptron((x.shape[1], view_dim), dropout, device), nn.ReLU(), nn.Dropout(dropout)
            )
            for x in self.features
        )
        widths = (len(self.features) * view_dim, hidden_dim, embedding_dim)
        self.combiner = perceptron(widths, dropout, device)

    def forward(self, items: Tensor) -> Tensor:
        """The vectors f of ``items``, ``[batch_size] -> [batch_size, embedding_dim]``."""
        views = [view(lookup(x, items)) for view, x in zip(self.views, self.features, strict=True)]
        vectors: Tensor = self.combiner(torch.cat(views, dim=1))  # from [B, views * view_dim]
        return vectors


class ContentRegression(TrainedRecommender):
    r"""The second stage: fits a network to the item vectors of a finished factorisation.

    .. math:: \min_f \frac{1}{|I^+|} \sum_{i \in I^+} \lVert f_i - q_i \rVert^2
        + \lambda \sum_W \lVert W \rVert^2

    with :math:`I^+` the items that occur in training: the vectors of others are noise. Scores
    every item by its content, :math:`p_u \cdot f_i`.

    Args:
        factors: The factorisation, p and q; it is frozen.
        network: What is trained, f.
        **training: See :class:`models.training.TrainedRecommender`.
    """

    def __init__(
        self, factors: BPRMF, network: ContentNetwork, **training: Unpack[Training]
    ) -> None:
        super().__init__(**training)
        self.factors = factors
        self.network = network

    def build(self, train: Interactions) -> None:
        """Freeze the factorisation; find the items to fit."""
        self.factors.requires_grad_(False)
        self.warm_items = torch.unique(train.items)  # I+
        self.all_items = torch.arange(train.num_items, device=train.device)

    def forward(self) -> tuple[Tensor, Tensor]:
        """User vectors p and content vectors f, ``[*, embedding_dim]``."""
        user, _ = self.factors.forward()
        return user, self.network(self.all_items)

    def batches(
        self, train: Interactions, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, ...]]:
        """The items that occur in training, shuffled."""
        order = torch.randperm(len(self.warm_items), generator=generator, device=train.device)
        for items in self.warm_items[order].split(self.batch_size):
            yield (items,)

    def loss(self, items: Tensor) -> Tensor:
        """Squared error of a batch of items ``[batch_size]``, and the network's norm."""
        gap: Tensor = self.network(items) - lookup(self.factors.item_embedding, items)
        return gap.square().sum(1).mean() + self.reg * squared_weights(self.network)


@register("cb2cf")
class CB2CF(PairwiseRecommender):
    r"""CB2CF from `"CB2CF: A Neural Multiview Content-to-Collaborative Filtering Model for
    Completely Cold Item Recommendations" <https://arxiv.org/abs/1611.00384>`_ (RecSys 2019).

    BPR-MF gives users and items vectors p and q; a :class:`ContentNetwork` predicts q from the
    item's features as f. In two stages, first BPR-MF, then :class:`ContentRegression`. Jointly:

    .. math:: \mathrm{loss}_{BPR-MF} + \frac{\mu}{2B} \sum_b
        \left( \lVert f_{p_b} - q_{p_b} \rVert^2 + \lVert f_{n_b} - q_{n_b} \rVert^2 \right)

    Args:
        embedding_dim: Width of the vectors p, q and f (default: ``64``).
        mode: One stage after the other, or both at once (default: ``"two_stage"``).
        scoring: What the item side of the scores is: ``"content"``, f; ``"warm_cf"``, q;
            ``"mean"``, (q + f) / 2. Items that never occur in training have f in any case
            (default: ``"content"`` in two stages, ``"warm_cf"`` jointly).
        view_dim: Width of the layer of each modality (default: ``128``).
        hidden_dim: Width of the layer that combines them (default: ``256``).
        dropout: Share of both layers dropped in training (default: ``0.2``).
        content_weight: :math:`\mu`, only used jointly (default: ``1.0``).
        item_batch_size: Items per step of the second stage (default: ``128``).
        modalities: Modalities to use (default: all that the data has).
        **training: See :class:`models.training.TrainedRecommender`. Both stages take all of it,
            each with ``epochs`` and ``patience`` of its own.

    Note:
        The article's views are text, tags and numbers, here each modality is one, scaled to unit
        length; the widths are ours. The joint form is ours as well: in the HUIGN paper CB2CF
        does far better than content alone, which suggests that q took part in its scores.
        The second stage stops by its content scores whatever ``scoring`` is, since those of warm
        items do not change with ``"warm_cf"``. ``history`` holds both, told apart by ``stage``.
    """

    requires: ClassVar[tuple[str, ...]] = (ANY_MODALITY,)

    def __init__(
        self,
        *,
        embedding_dim: int = 64,
        mode: Literal["two_stage", "joint"] = "two_stage",
        scoring: Literal["content", "warm_cf", "mean"] | None = None,
        view_dim: int = 128,
        hidden_dim: int = 256,
        dropout: float = 0.2,
        content_weight: float = 1.0,
        item_batch_size: int = 128,
        modalities: Sequence[str] | None = None,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(**training)
        self.embedding_dim = embedding_dim
        self.mode = mode
        self.scoring = scoring
        self.view_dim = view_dim
        self.hidden_dim = hidden_dim
        self.dropout = dropout
        self.content_weight = content_weight
        self.item_batch_size = item_batch_size
        self.modalities = modalities

    def build(self, train: Interactions) -> None:
        """Create the factorisation and the content network."""
        self.factors = BPRMF(embedding_dim=self.embedding_dim, **self._training())  # p and q
        self.factors.build(train)
        features = {
            modality: functional.normalize(matrix)
            for modality, matrix in train.select_features(self.modalities).items()
        }
        self.network = ContentNetwork(
            features, self.view_dim, self.hidden_dim, self.embedding_dim, self.dropout
        )  # f
        self.warm = torch.bincount(train.items, minlength=train.num_items) > 0
        self.all_items = torch.arange(train.num_items, device=train.device)

    def forward(self) -> tuple[Tensor, Tensor]:
        """User vectors p and what ``scoring`` makes of q and f, ``[*, embedding_dim]``."""
        user, collaborative = self.factors.forward()
        content = self.network(self.all_items)
        scoring = self.scoring or ("content" if self.mode == "two_stage" else "warm_cf")
        if scoring == "content":
            return user, content
        warm = collaborative if scoring == "warm_cf" else (collaborative + content) / 2
        return user, torch.where(self.warm[:, None], warm, content)

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """The joint loss of a batch of triples, each ``[batch_size]``."""
        items, counts = torch.unique(torch.cat([pos_items, neg_items]), return_counts=True)
        gap: Tensor = self.network(items) - lookup(self.factors.item_embedding, items)
        content: Tensor = (counts * gap.square().sum(1)).sum() / (2 * len(users))
        return self.factors.loss(users, pos_items, neg_items) + self.content_weight * content

    def _descend(self, train: Interactions, validate: Validate | None) -> None:
        if self.mode == "joint":
            super()._descend(train, validate)
            return
        training = {**self._training(), "batch_size": self.item_batch_size}
        regression = ContentRegression(self.factors, self.network, **training)
        if self.checkpoint is not None:
            self.factors.checkpoint = self.checkpoint.stage(1)
            regression.checkpoint = self.checkpoint.stage(2)
        self.factors.fit(train, validate)
        regression.fit(train, validate)
        self.history = [
            {"stage": float(stage), **row}
            for stage, fitted in enumerate((self.factors, regression), start=1)
            for row in fitted.history
        ]

    def _training(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in TrainedRecommender.defaults()}


@register("cb2cf_joint", label="CB2CF (joint)")
class JointCB2CF(CB2CF):
    """:class:`CB2CF` with ``mode="joint"``, so that tables have a row for it."""

    __init__ = partialmethod(CB2CF.__init__, mode="joint")
