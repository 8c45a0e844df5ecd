"""The one training loop."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypedDict

import torch
from torch import Tensor, nn
from typing_extensions import Self

from models.checkpoint import Checkpoint, random_state, set_random_state
from models.errors import DivergedError
from models.interactions import Interactions
from models.recommender import Recommender, Validate
from models.sampling import NegativeSampler, triples
from models.stepping import RecordedStep, Step, stepper


class Training(TypedDict, total=False):
    """Hyper-parameters that every trained model shares; see :class:`TrainedRecommender`."""

    learning_rate: float
    reg: float
    batch_size: int
    epochs: int
    patience: int
    seed: int
    sampling_seed: int | None


class TrainedRecommender(Recommender, nn.Module):
    """A recommender whose parameters are learned by gradient descent.

    A subclass says what its parameters are (:meth:`build`), what a step sees (:meth:`batches`),
    what it minimises (:meth:`loss`) and what users and items look like afterwards
    (:meth:`forward`, or :meth:`score` where scores are no inner products).

    Args:
        learning_rate: Step size of Adam (default: ``1e-3``).
        reg: Weight of the regularisation term (default: ``1e-4``).
        batch_size: Triples, or rows, per step (default: ``1024``).
        epochs: Upper bound on passes over the data (default: ``1000``).
        patience: Stop after this many epochs in a row without a better validation score
            (default: ``20``).
        seed: Of initialisation and dropout (default: ``0``).
        sampling_seed: Of shuffling and negative sampling (default: ``seed``).
    """

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "learning_rate": (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        "reg": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    }

    static_shapes: ClassVar[bool] = False
    """Whether every step does the same operations on the same shapes, but for an epoch's last one,
    without a look at any value: then a GPU replays one that was recorded."""

    checkpoint: Checkpoint | None = None
    """Where :meth:`fit` goes on from, and what it keeps up to date: the outcome is that of training
    without interruption."""

    loss: Callable[..., Tensor]
    """A method of the subclass: from the tensors of a batch to the scalar that a step minimises."""

    def __init__(
        self,
        *,
        learning_rate: float = 1e-3,
        reg: float = 1e-4,
        batch_size: int = 1024,
        epochs: int = 1000,
        patience: int = 20,
        seed: int = 0,
        sampling_seed: int | None = None,
    ) -> None:
        nn.Module.__init__(self)
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.seed = seed
        self.sampling_seed = sampling_seed
        self.history: list[dict[str, float]] = []
        self._representations: tuple[Tensor, Tensor] | None = None

    @abstractmethod
    def build(self, train: Interactions) -> None:
        """Create parameters and constants for these users and items, on the data's device."""

    def forward(self) -> tuple[Tensor, Tensor]:
        """Representations whose inner products are the scores.

        Returns:
            ``[num_users, width]`` and ``[num_items, width]``.
        """
        raise NotImplementedError(f"{type(self).__name__} needs 'forward' or its own 'score'")

    @abstractmethod
    def batches(
        self, train: Interactions, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, ...]]:
        """The arguments of :meth:`loss` for every step of one epoch."""

    @torch.no_grad()
    def score(self, users: Tensor) -> Tensor:
        """Score every item, ``[batch_size] -> [batch_size, num_items]``.

        The representations are computed once per call of :meth:`eval`; call it again after
        changing parameters by hand.
        """
        if self._representations is None:
            self._representations = self.forward()
        user_repr, item_repr = self._representations
        return user_repr[users] @ item_repr.T

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation mode; either way cached results are dropped."""
        self._representations = None
        return super().train(mode)

    def diagnostics(self) -> dict[str, float]:
        """What the model wants logged after every epoch, beside loss and validation score."""
        return {}

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        """Train with Adam until the validation score stops rising; keep the best weights.

        Without ``validate`` all ``epochs`` are run and the last weights are kept. What happened
        is in ``history``: per epoch ``loss``, ``validation`` and ``seconds``.

        Args:
            train: Training interactions and item features.
            validate: Scores the model after every epoch, higher is better.

        Raises:
            DivergedError: If the loss becomes NaN or infinite.
        """
        devices = [train.device] if train.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.seed)
            self.build(train)
            self._descend(train, validate)
        return self.eval()

    def descent(self, device: torch.device) -> tuple[torch.optim.Optimizer, Step]:
        """Adam, and what does a step with it, for parameters on ``device``."""
        recorded = self.static_shapes and device.type == "cuda"
        optimizer = torch.optim.Adam(
            self.parameters(), lr=self.learning_rate, fused=True, capturable=recorded
        )
        return optimizer, (RecordedStep if recorded else stepper)(self.loss, optimizer)

    def _descend(self, train: Interactions, validate: Validate | None) -> None:
        seed = self.seed if self.sampling_seed is None else self.sampling_seed
        generator = torch.Generator(train.device).manual_seed(seed)
        optimizer, step = self.descent(train.device)
        best = Best()
        self.history = []

        def state() -> dict[str, Any]:
            return {
                "parameters": self.state_dict(),
                "optimizer": optimizer.state_dict(),
                "best": vars(best),
                "history": self.history,
                "sampling": generator.get_state(),
                "random": random_state(train.device),
            }

        if self.checkpoint is not None and (before := self.checkpoint.load()) is not None:
            self.load_state_dict(before["parameters"])
            optimizer.load_state_dict(before["optimizer"])
            best, self.history = Best(**before["best"]), before["history"]
            generator.set_state(before["sampling"])
            set_random_state(train.device, before["random"])

        while len(self.history) < self.epochs and not (
            validate is not None and len(self.history) - best.epoch >= self.patience
        ):
            started = time.perf_counter()
            self.train()
            losses = [step(*batch) for batch in self.batches(train, generator)]
            mean_loss = float(torch.stack(losses).mean())  # the epoch's one wait for the device
            epoch = len(self.history) + 1
            if not math.isfinite(mean_loss):
                raise DivergedError(f"loss is {mean_loss} in epoch {epoch} of {self!r}")
            self.eval()
            row = {"epoch": float(epoch), "loss": mean_loss, **self.diagnostics()}
            self.history.append(row)
            if validate is not None:
                row["validation"] = score = validate(self)
                if score > best.score:
                    weights = {name: value.clone() for name, value in self.state_dict().items()}
                    best = Best(score, epoch, weights)
            row["seconds"] = time.perf_counter() - started
            if self.checkpoint is not None:
                self.checkpoint.save(state)
        if best.weights:
            self.load_state_dict(best.weights)


@dataclass(frozen=True)
class Best:
    """The epoch with the highest validation score so far.

    Args:
        score: Its validation score.
        epoch: Its number, from 1.
        weights: The state of the model after it.
    """

    score: float = -math.inf
    epoch: int = 0
    weights: Mapping[str, Tensor] = field(default_factory=dict)


class PairwiseRecommender(TrainedRecommender):
    """A model trained on triples of a user, an observed and an unobserved item."""

    @abstractmethod
    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """What one step minimises, for triples of three vectors ``[batch_size]``."""

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        """See :meth:`TrainedRecommender.fit`."""
        self._sampler = NegativeSampler(train)
        return super().fit(train, validate)

    def batches(
        self, train: Interactions, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, ...]]:
        """Shuffled training interactions, one fresh negative each."""
        return triples(train, self._sampler, self.batch_size, generator)
