"""The features in a folder, found by the names of its files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.datasets.keyed_features import item_folders, read_keyed
from benchmark.datasets.reading import entries, read_matrix
from benchmark.presets import NO_MODALITY
from models.errors import UsageError

Ids = NDArray[np.int64]

LARGEST_ID = 100_000_000
"""Every id up to the largest gets an embedding, so ids that do not count from 0 are refused."""

ENDINGS = ("_features", "_embeddings", "_feat", "_emb")
"""What a file may be called after its modality."""


@dataclass(frozen=True)
class Found:
    """The modalities of a folder.

    Args:
        folder: The data set's.
        matrices: By modality, of files whose row i belongs to item i.
        files: Where each matrix is.
        keyed: Files and folders that name their items.
    """

    folder: Path
    matrices: Mapping[str, NDArray[Any]]
    files: Mapping[str, Path]
    keyed: Mapping[str, Path]

    @property
    def num_items(self) -> int | None:
        """The common number of rows; ``None`` without such a file."""
        rows = {self.files[name].name: len(matrix) for name, matrix in self.matrices.items()}
        if len(set(rows.values())) > 1:
            counts = ", ".join(f"{file} {count}" for file, count in rows.items())
            raise UsageError(
                f"{self.folder}: feature files have different row counts ({counts}); "
                f"every file needs one row per item, zeros where an item lacks the modality"
            )
        return next(iter(rows.values()), None)

    def size(self, items: Ids, path: Path, column: str) -> int:
        """How many items there are: as many as rows, or as the largest id asks for."""
        largest, count = int(items.max()), self.num_items
        if count is None:
            check_size("item", largest + 1, len(items), path)
            return largest + 1
        if largest >= count:
            file = next(iter(self.files.values())).name
            raise UsageError(
                f"{path}: '{column}' {largest} is out of range of {file}, which has {count} rows; "
                f"row i of a feature file belongs to item i: add the missing rows or renumber the "
                f"items"
            )
        return count

    def features(self, item_names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Every modality as ``[num_items, feature_dim]``, in the order of their names."""
        read = {name: read_keyed(path, name, item_names) for name, path in self.keyed.items()}
        return dict(sorted({**self.matrices, **read}.items()))

    def features_by_number(self, num_items: int) -> dict[str, NDArray[Any]]:
        """The same of items whose names are their ids."""
        return self.features([str(item) for item in range(num_items)] if self.keyed else ())


def check_size(what: str, size: int, interactions: int, path: Path) -> None:
    """Refuse ids that can hardly count from 0: far more of them than interactions."""
    if size > LARGEST_ID or size > 1000 * (interactions + 1000):
        raise UsageError(
            f"{path}: {interactions} interactions with {what} ids up to {size - 1}; "
            f"count ids from 0, without large gaps"
        )


def find_features(folder: Path, endings: Sequence[str], taken: Collection[str] = ()) -> Found:
    """Look for modalities by name.

    Args:
        folder: The data set's.
        endings: Of files that hold features, such as ``.npy`` (row i belongs to item i) or
            ``.json``; folders of one ``.npy`` file per item always do.
        taken: Names of files that are something else.
    """
    found: dict[str, Path] = {}
    for name in entries(folder):
        path = folder / name
        if name in taken:
            continue
        for modality, place in _places(path, endings):
            check_name(modality, place)
            if modality in found:
                raise UsageError(
                    f"{place}: holds modality '{modality}', and so does '{found[modality]}'; "
                    f"rename one of them, or move it away"
                )
            found[modality] = place
    files = {name: path for name, path in found.items() if path.suffix == ".npy"}
    keyed = {name: path for name, path in found.items() if name not in files}
    matrices = {name: read_matrix(path, name) for name, path in files.items()}
    return Found(folder, matrices, files, keyed)


def _places(path: Path, endings: Sequence[str]) -> list[tuple[str, Path]]:
    """The modalities of one entry of the folder; several if a folder has several folders."""
    if path.name.endswith(tuple(endings)):
        return [(_plain(path.stem), path)]
    leaves = item_folders(path) if path.is_dir() else []
    if len(leaves) == 1:
        return [(_plain(path.name), leaves[0])]
    return [(".".join((_plain(path.name), *leaf.relative_to(path).parts)), leaf) for leaf in leaves]


def _plain(stem: str) -> str:
    ending = next((each for each in ENDINGS if stem.endswith(each)), "")
    return stem.removesuffix(ending) or stem


def check_name(modality: str, path: Path) -> None:
    """Refuse a name that would lead elsewhere as the name of a file, or be read as no modality."""
    if not re.fullmatch(r"\w[\w .-]{0,99}", modality):
        raise UsageError(
            f"{path}: names a modality {modality[:40]!r}; use letters, digits, '_', '-' and '.'"
        )
    if modality == NO_MODALITY:
        raise UsageError(
            f"{path}: names a modality '{modality}', which stands for none in results; rename it"
        )
