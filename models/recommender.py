"""The interface that every recommender has."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Self

from models.interactions import Interactions
from models.ranking import top_k

Validate = Callable[["Recommender"], float]
"""Called after every epoch with the model in evaluation mode; higher is better."""

ANY_MODALITY = "any"
"""In :attr:`Recommender.requires`: at least one modality, whichever the data has."""


class Recommender(ABC):
    """Ranks all items for a user.

    The constructor stores hyper-parameters under their own names and does nothing else; what
    :meth:`fit` learns is kept apart from them. A model is given training interactions only:
    ``validate`` is a function, so neither validation nor test labels can reach it.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    """Modalities without which the model makes no sense; ``(ANY_MODALITY,)`` for at least one."""

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Hyper-parameters to tune and their candidate values (the grid)."""

    @abstractmethod
    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        """Learn from ``train``, on the device it lives on; return the model itself."""

    @abstractmethod
    def score(self, users: Tensor) -> Tensor:
        """Score every item, ``[batch_size] -> [batch_size, num_items]``, higher is better."""

    @torch.no_grad()
    def recommend(self, users: Tensor, k: int, exclude: Interactions | None = None) -> Tensor:
        """The ``k`` best items of every user, best first, ties by ascending item id.

        Args:
            users: ``[batch_size]`` user ids.
            k: Length of the lists.
            exclude: Pairs that must not be recommended, usually the training interactions.

        Returns:
            ``[batch_size, k]`` item ids; ``-1`` where a user has fewer than ``k`` candidates.
        """
        scores = self.score(users)
        if exclude is not None:
            scores = scores.index_put(
                exclude.by_user().positions(users), scores.new_tensor(-torch.inf)
            )
        return top_k(scores, k)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """All hyper-parameters with their default values, in the order of the signatures."""
        found: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            if "__init__" in vars(base) and issubclass(base, Recommender):
                for name, parameter in inspect.signature(base.__init__).parameters.items():
                    if parameter.default is not inspect.Parameter.empty:
                        found[name] = parameter.default
        return found

    def params(self) -> dict[str, Any]:
        """The hyper-parameters this model was made with."""
        return {name: getattr(self, name) for name in self.defaults()}

    @classmethod
    def missing_modality(cls, available: Sequence[str]) -> str | None:
        """The first modality that the model requires and the data lacks, or ``None``."""
        for modality in cls.requires:
            if modality == ANY_MODALITY:
                if not available:
                    return modality
            elif modality not in available:
                return modality
        return None

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.params().items())
        return f"{type(self).__name__}({arguments})"
