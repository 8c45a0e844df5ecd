"""An autoencoder with a latent vector per user and concept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import Unpack

from models.edges import Edges
from models.interactions import Interactions
from models.mixture import mixture_logits, negative_log_likelihood
from models.parameters import xavier, zeros
from models.registry import register
from models.training import TrainedRecommender, Training


@register("macridvae")
class MacridVAE(TrainedRecommender):
    r"""MacridVAE from `"Learning Disentangled Representations for Recommendation"
    <https://arxiv.org/abs/1910.14238>`_ (NeurIPS 2019).

    With item vectors h, concept prototypes m, and a user's training items :math:`x_u`:

    .. math::
        c_i &= \mathrm{softmax}_k(\cos(h_i, m_k) / \tau) \\
        [a_k | b_k] &= \tanh(\overline{x_u \odot c_{\cdot k}} W_1 + b_1) W_2 + b_2 \\
        z_k &= \overline{a_k} + \sigma_0 e^{-b_k / 2} \epsilon \\
        p(i | u) &\propto \textstyle\sum_k c_{ik} \exp(\cos(z_k, h_i) / \tau)

    with :math:`\overline{x}` scaled to unit length. In training the concepts are a Gumbel-softmax
    sample and :math:`\epsilon` is normal noise; in evaluation neither is drawn. The loss is, per
    user, :math:`-\sum_i x_{ui} \log p(i | u) + \beta \sum_k \mathrm{KL}_k`, where
    :math:`\mathrm{KL}_k = \frac{1}{2} \sum_j (b_{kj} + e^{-b_{kj}} - 1)` and :math:`\beta` rises
    linearly, plus ``reg`` times a penalty on H, C, and W. RecBole's model differs:

    ============== ================================== ==================================
    form           ``"paper"``                        ``"recbole"``
    ============== ================================== ==================================
    encoder input  x times c, unit length, dropout    x of unit length, dropout, times c
                   drawn per concept
    variance       :math:`\sigma_0^2 e^{-b}`          :math:`\sigma_0^2 e^{b}`
    penalty        squared norms                      norms
    ============== ================================== ==================================

    Args:
        embedding_dim: Width of items, concepts and latent vectors (default: ``64``).
        hidden_dim: Width of the encoder's hidden layer (default: ``64``; RecBole: 600).
        num_concepts: Number of concepts K (default: ``7``).
        temperature: :math:`\tau`, divides all cosines (default: ``0.1``).
        dropout: Share of a user's items dropped from the input (default: ``0.5``).
        prior_std: :math:`\sigma_0`, the prior's standard deviation (default: ``0.075``;
            RecBole: 0.01).
        max_beta: Where :math:`\beta` stops rising (default: ``0.2``).
        annealing_epochs: Epochs in which :math:`\beta` would rise from 0 to 1, so that the
            default reaches ``max_beta`` after one epoch; 0 for no rise (default: ``5``).
        form: Whose model to compute (default: ``"paper"``).
        batch_size: Users per step (default: ``500``).
        **training: See :class:`models.training.TrainedRecommender`.

    Note:
        The paper recommends to held-out users; here users are scored with their training items
        as input. Users without any are left out of training.
    """

    def __init__(  # type: ignore[misc]  # 'batch_size' replaces the shared default
        self,
        *,
        embedding_dim: int = 64,
        hidden_dim: int = 64,
        num_concepts: int = 7,
        temperature: float = 0.1,
        dropout: float = 0.5,
        prior_std: float = 0.075,
        max_beta: float = 0.2,
        annealing_epochs: float = 5.0,
        form: Literal["paper", "recbole"] = "paper",
        batch_size: int = 500,
        **training: Unpack[Training],
    ) -> None:
        super().__init__(batch_size=batch_size, **training)
        self.embedding_dim = embedding_dim
        self.hidden_dim = hidden_dim
        self.num_concepts = num_concepts
        self.temperature = temperature
        self.dropout = dropout
        self.prior_std = prior_std
        self.max_beta = max_beta
        self.annealing_epochs = annealing_epochs
        self.form = form

    def build(self, train: Interactions) -> None:
        """Create items, prototypes and encoder; group the training items by user."""
        dim, device = self.embedding_dim, train.device
        self.item_embedding = xavier(train.num_items, dim, device)  # H
        self.prototypes = xavier(self.num_concepts, dim, device)  # C
        self.input_weight = xavier(train.num_items, self.hidden_dim, device)  # W_1
        self.input_bias = zeros(self.hidden_dim, device=device)  # b_1
        self.output_weight = xavier(self.hidden_dim, 2 * dim, device)  # W_2
        self.output_bias = zeros(2 * dim, device=device)  # b_2
        self.observed = train.by_user()
        self.active_users = torch.nonzero(torch.diff(self.observed.indptr)).flatten()
        self.steps_per_epoch = -(-len(self.active_users) // self.batch_size)
        self.step = 0

    def batches(
        self, train: Interactions, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, ...]]:
        """Shuffled users, ``[<= batch_size]`` at a time; counts the steps for :meth:`beta`."""
        order = torch.randperm(len(self.active_users), generator=generator, device=train.device)
        before = len(self.history) * self.steps_per_epoch
        for step, users in enumerate(torch.split(self.active_users[order], self.batch_size), 1):
            self.step = before + step
            yield (users,)

    def beta(self) -> float:
        """The current weight of the KL term."""
        steps = self.annealing_epochs * self.steps_per_epoch
        return min(self.max_beta, self.step / steps) if steps else self.max_beta

    def log_concepts(self, items: Tensor) -> Tensor:
        """Logarithm of c for items of unit length, ``[num_items, num_concepts]``."""
        logits = items @ functional.normalize(self.prototypes).T / self.temperature
        if self.training:
            logits = logits - torch.empty_like(logits).exponential_().log()  # Gumbel noise
        return logits.log_softmax(1)

    def encode(self, users: Tensor, log_concepts: Tensor) -> tuple[Tensor, Tensor]:
        r"""Mean and logarithm of :math:`(\sigma_k / \sigma_0)^2` of the latent vectors.

        Only a user's own items are looked at, and the division by the length of the input, which
        is linear, comes after the product with :math:`W_1`.

        Returns:
            ``[num_concepts, batch_size, embedding_dim]`` each.
        """
        counts = self.observed.counts(users)
        _, items = self.observed.positions(users)
        ends = torch.cumsum(counts, 0)
        edges = Edges(torch.cat([ends.new_zeros(1), ends]), items, self.observed.num_items)
        concepts = log_concepts.exp()
        weights = concepts.T[:, items]  # [num_concepts, num_edges]
        ones = torch.ones_like(weights[0])
        if self.form == "paper":
            squares = edges.weighted_sum(ones, concepts.square())  # [batch_size, num_concepts]
            length = squares.clamp_min(1e-24).sqrt().T[:, :, None]
            weights = functional.dropout(weights, self.dropout, self.training)
        else:
            length = counts.clamp_min(1).sqrt()[:, None]
            weights = weights * functional.dropout(ones, self.dropout, self.training)
        sums = torch.stack([edges.weighted_sum(w, self.input_weight) for w in weights])
        hidden = torch.tanh(sums / length + self.input_bias)  # [K, batch_size, hidden_dim]
        mean, b = (hidden @ self.output_weight + self.output_bias).chunk(2, dim=2)
        return functional.normalize(mean, dim=2), -b if self.form == "paper" else b

    def loss(self, users: Tensor) -> Tensor:
        """Reconstruction, KL term and penalty for users ``[batch_size]``."""
        items = functional.normalize(self.item_embedding)
        log_concepts = self.log_concepts(items)
        latent, log_ratio = self.encode(users, log_concepts)
        if self.training:
            latent = latent + self.prior_std * (log_ratio / 2).exp() * torch.randn_like(latent)
        state = functional.normalize(latent, dim=2) / self.temperature
        reconstruction = negative_log_likelihood(state, items, log_concepts, self.observed, users)
        divergence = (log_ratio.exp() - log_ratio - 1).sum() / 2
        matrices = self.item_embedding, self.prototypes, self.input_weight, self.output_weight
        squares = torch.stack([matrix.square().sum() for matrix in matrices])
        penalty = (squares if self.form == "paper" else squares.sqrt()).sum()
        return (reconstruction + self.beta() * divergence) / len(users) + self.reg * penalty

    @torch.no_grad()
    def score(self, users: Tensor) -> Tensor:
        """Logits given the users' training items, ``[batch_size] -> [batch_size, num_items]``."""
        items = functional.normalize(self.item_embedding)
        log_concepts = self.log_concepts(items)
        latent, _ = self.encode(users, log_concepts)
        return mixture_logits(latent / self.temperature, items, log_concepts)
