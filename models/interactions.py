"""Implicit feedback and item features as plain tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class UserItems:
    """The items of every user, as rows of a sparse binary matrix (CSR).

    Args:
        indptr: ``[num_users + 1]``, where each user's items start and end.
        items: ``[num_interactions]``, item ids, ascending within a user.
        keys: ``[num_interactions]``, ``user * num_items + item``, ascending.
        num_items: The number of columns.
    """

    indptr: Tensor
    items: Tensor
    keys: Tensor
    num_items: int

    def counts(self, users: Tensor) -> Tensor:
        """Number of items of each user, ``[batch_size]``."""
        return self.indptr[users + 1] - self.indptr[users]

    def positions(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates ``(row, item)`` of all items of ``users``; row i is ``users[i]``."""
        counts = self.counts(users)
        rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), counts)
        first = torch.cumsum(counts, 0) - counts  # where each row starts in the output
        offset = torch.arange(len(rows), device=users.device) - first[rows]
        return rows, self.items[self.indptr[users][rows] + offset]

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether each pair is present; ``users`` and ``items`` broadcast against each other."""
        wanted = users * self.num_items + items
        if len(self.keys) == 0:
            return torch.zeros_like(wanted, dtype=torch.bool)
        place = torch.searchsorted(self.keys, wanted).clamp_(max=len(self.keys) - 1)
        return self.keys[place] == wanted


@dataclass(frozen=True)
class Interactions:
    """Distinct user-item pairs with the items' features.

    Args:
        users: ``[num_interactions]`` int64 user ids in ``0..num_users-1``.
        items: ``[num_interactions]`` int64 item ids in ``0..num_items-1``.
        num_users: Size of the user set, including users without a pair here.
        num_items: Size of the catalogue, including items without a pair here.
        features: Per modality a float matrix ``[num_items, feature_dim]``; a row of zeros means
            that the item lacks this modality.

    Raises:
        ValueError: If the shapes disagree or an id is out of range.
    """

    users: Tensor
    items: Tensor
    num_users: int
    num_items: int
    features: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.users.shape != self.items.shape or self.users.dim() != 1:
            raise ValueError(
                f"'users' and 'items' need to be vectors of one length "
                f"(got {tuple(self.users.shape)} and {tuple(self.items.shape)})"
            )
        for name, ids, size in (
            ("users", self.users, self.num_users),
            ("items", self.items, self.num_items),
        ):
            if len(ids) and (int(ids.min()) < 0 or int(ids.max()) >= size):
                raise ValueError(
                    f"'{name}' needs ids in 0..{size - 1} (got {int(ids.min())}..{int(ids.max())})"
                )
        for modality, matrix in self.features.items():
            if matrix.dim() != 2 or len(matrix) != self.num_items:
                raise ValueError(
                    f"features of '{modality}' need one row per item: [{self.num_items}, dim] "
                    f"(got {tuple(matrix.shape)})"
                )

    def __len__(self) -> int:
        return len(self.users)

    @property
    def device(self) -> torch.device:
        """Where the tensors live; models are built and trained there."""
        return self.users.device

    def to(self, device: torch.device | str) -> Interactions:
        """The same data on another device."""
        return replace(
            self,
            users=self.users.to(device),
            items=self.items.to(device),
            features={name: matrix.to(device) for name, matrix in self.features.items()},
        )

    def with_features(self, features: Mapping[str, Tensor]) -> Interactions:
        """The same interactions with other item features."""
        return replace(self, features=dict(features))

    def union(self, other: Interactions) -> Interactions:
        """The pairs of both; the caller guarantees that they are disjoint."""
        return replace(
            self,
            users=torch.cat([self.users, other.users]),
            items=torch.cat([self.items, other.items]),
        )

    def by_user(self) -> UserItems:
        """The same pairs grouped by user."""
        keys = torch.sort(self.users * self.num_items + self.items).values
        users = torch.div(keys, self.num_items, rounding_mode="floor")
        counts = torch.bincount(users, minlength=self.num_users)
        indptr = torch.cat([counts.new_zeros(1), torch.cumsum(counts, 0)])
        return UserItems(indptr, keys - users * self.num_items, keys, self.num_items)

    def select_features(self, modalities: Iterable[str] | None) -> dict[str, Tensor]:
        """Features of the named modalities in the default floating-point type; all when ``None``.

        Raises:
            KeyError: If a modality is not in the data.
        """
        names = list(self.features) if modalities is None else list(modalities)
        for name in names:
            if name not in self.features:
                raise KeyError(
                    f"modality '{name}' is not in the data (it has {sorted(self.features)})"
                )
        return {name: self.features[name].to(torch.get_default_dtype()) for name in names}

    def fused_features(self, modalities: Iterable[str] | None = None) -> Tensor:
        """All modalities side by side, each row of each scaled to unit length.

        Returns:
            ``[num_items, sum of feature dims]``, the single feature vector that VBPR, DUIF and
            CB2CF take.
        """
        chosen = self.select_features(modalities).values()
        parts = [torch.nn.functional.normalize(matrix) for matrix in chosen]
        if not parts:
            return torch.zeros(self.num_items, 0, device=self.device)
        return torch.cat(parts, dim=1)  # [num_items, sum of D_m]
