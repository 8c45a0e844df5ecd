"""One data set: interactions, item features, and what is known about the items."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import Self

from models.errors import UsageError

BLOCK = 1 << 24
"""Numbers that are checked at a time."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Distinct user-item pairs with raw item features; made by :meth:`from_pairs`.

    Args:
        name: What the data really is, never an alias.
        source: Where it came from, in words.
        users: ``[num_interactions]`` int64 user ids in ``0..num_users-1``.
        items: ``[num_interactions]`` int64 item ids in ``0..num_items-1``.
        num_users: Size of the user set.
        num_items: Size of the catalogue.
        features: Per modality ``[num_items, feature_dim]``, as delivered; a row of zeros or of
            NaN means that the item lacks this modality.
        labels: ``[num_interactions]`` int8, the split shipped with the data: 0 train,
            1 validation, 2 test. ``None`` if there is none.
        item_table: One row per item id: ``title``, and ``genres``, ``year``, ``description``
            where known.
        duplicates: How many repeated pairs were removed.
        user_names: By user id, what the files call the user; ``None`` if by this very number.
        item_names: The same of the items.
    """

    name: str
    source: str
    users: NDArray[np.int64]
    items: NDArray[np.int64]
    num_users: int
    num_items: int
    features: dict[str, NDArray[Any]]
    labels: NDArray[np.int8] | None = None
    item_table: pd.DataFrame | None = None
    duplicates: int = 0
    user_names: Sequence[str] | None = None
    item_names: Sequence[str] | None = None

    @classmethod
    def from_pairs(
        cls,
        *,
        name: str,
        source: str,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        num_users: int,
        num_items: int,
        features: Mapping[str, NDArray[Any]],
        labels: NDArray[np.int8] | None = None,
        item_table: pd.DataFrame | None = None,
        user_names: Sequence[str] | None = None,
        item_names: Sequence[str] | None = None,
    ) -> Self:
        """A data set of the distinct pairs; of a repeated pair the first row (and label) stays."""
        repeated = pd.Series(users * num_items + items).duplicated().to_numpy()
        return cls(
            name=name,
            source=source,
            users=users[~repeated],
            items=items[~repeated],
            num_users=num_users,
            num_items=num_items,
            features=dict(features),
            labels=None if labels is None else labels[~repeated],
            item_table=item_table,
            duplicates=int(repeated.sum()),
            user_names=user_names,
            item_names=item_names,
        )

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any interaction, label or feature value."""
        digest = hashlib.sha256(f"{self.num_users} {self.num_items}".encode())
        arrays = {"users": self.users, "items": self.items, "labels": self.labels}
        for modality in sorted(self.features):
            arrays[f"features {modality}"] = self.features[modality]
        for key, array in arrays.items():
            if array is not None:
                digest.update(f"{key} {array.dtype.str} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    def describe(self) -> dict[str, str | int | float]:
        """What a reader of the results needs to know about the data, in printing order."""
        modalities = [
            f"{modality} ({matrix.shape[1]}-d, {missing_rows(matrix).sum()} items missing)"
            for modality, matrix in self.features.items()
        ]
        shipped = "none shipped"
        if self.labels is not None:
            train, validation, test = np.bincount(self.labels, minlength=3)
            shipped = f"shipped: {train} train, {validation} validation, {test} test"
        return {
            "name": self.name,
            "source": self.source,
            "users": self.num_users,
            "items": self.num_items,
            "interactions": len(self),
            "density": len(self) / (self.num_users * self.num_items),
            "modalities": ", ".join(modalities) or "none",
            "split": shipped,
            "duplicates removed": self.duplicates,
            "fingerprint": self.fingerprint,
        }


def missing_rows(matrix: NDArray[Any]) -> NDArray[np.bool_]:
    """Which items lack this modality, ``[num_items]``: their row is all zero or all NaN."""
    missing: NDArray[np.bool_] = ~matrix.any(axis=1) | np.isnan(matrix).all(axis=1)
    return missing


def check_finite(matrix: NDArray[Any], modality: str, file: object) -> None:
    """Refuse NaN and infinity, in float32, in a row that is not missing as a whole.

    Args:
        matrix: ``[num_items, feature_dim]``.
        modality: Its name, for the message.
        file: Where it was read, for the message.

    Raises:
        UsageError: Naming the file, the modality and the first such row.
    """
    step = max(1, BLOCK // matrix.shape[1])  # rows at a time: the matrix may be larger than memory
    starts = range(0, len(matrix), step)
    wrong = np.concatenate([start + _not_finite(matrix[start : start + step]) for start in starts])
    if len(wrong):
        raise UsageError(
            f"{file}: row {wrong[0]} of modality '{modality}' holds NaN or infinity in float32 "
            f"({len(wrong)} such rows); mend the values, or set the whole row to zero if the item "
            f"lacks the modality"
        )


def _not_finite(matrix: NDArray[Any]) -> NDArray[np.int64]:
    """The rows that hold NaN or infinity in float32 and are not missing as a whole."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(np.asarray(matrix, dtype=np.float32)).all(axis=1)
    return np.flatnonzero(~finite & ~missing_rows(matrix))
