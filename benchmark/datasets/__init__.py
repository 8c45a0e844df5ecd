"""Data sets by name."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.datasets.dataset import Dataset
from benchmark.datasets.mmrec import read_mmrec
from benchmark.datasets.movielens import NAME as EMBEDDED
from benchmark.datasets.movielens import locate, read_movielens_100k
from models.errors import UsageError

__all__ = ["ALIAS", "DATA_ROOT_VARIABLE", "Dataset", "available", "load"]

DATA_ROOT_VARIABLE = "HUIGN_DATA_ROOT"
ALIAS = "movielens"
"""Stands for the first of :data:`ALIAS_FOLDERS` that exists, else for MovieLens-100K."""
ALIAS_FOLDERS = ("movielens", "movielens-1m", "movielens-10m", "movielens-20m")


def load(name: str, data_root: Path | None) -> Dataset:
    """Read a data set; its ``name`` is what was really read, never an alias.

    Args:
        name: ``movielens-100k``, a folder of the data root in the MMRec layout, or the alias
            ``movielens``.
        data_root: The folder of data sets. ``None``: the environment variable
            ``HUIGN_DATA_ROOT`` if set, else ``./data`` if it exists, else no folder.

    Raises:
        UsageError: If the data root cannot be read, or the data set is unknown or malformed.
    """
    folders = _folders(data_root)
    if name == ALIAS:
        here = [folder for folder in ALIAS_FOLDERS if folder in folders]
        if not here and locate() is None:
            raise UsageError(
                f"no data set for '{ALIAS}'; run 'pip install --no-deps recbole', which carries "
                f"MovieLens-100K, or set --data-root or {DATA_ROOT_VARIABLE} to a folder that "
                f"holds {', '.join(ALIAS_FOLDERS)} in the MMRec layout"
            )
        name = here[0] if here else EMBEDDED
    if name == EMBEDDED:
        return read_movielens_100k()
    if name not in folders:
        known = ", ".join(available(data_root)) or "none"
        raise UsageError(
            f"data set '{name}' is unknown (available: {known}); "
            f"set --data-root or {DATA_ROOT_VARIABLE} to the folder that holds '{name}'"
        )
    return read_mmrec(folders[name])


def available(data_root: Path | None) -> list[str]:
    """Names that :func:`load` knows, without the alias.

    Raises:
        UsageError: If the data root cannot be read.
    """
    names = {name for name, folder in _folders(data_root).items() if any(folder.glob("*.inter"))}
    return sorted(names | ({EMBEDDED} if locate() else set()))


def _folders(data_root: Path | None) -> dict[str, Path]:
    """The folders of the data root by name."""
    chosen, option = data_root, "--data-root"
    if chosen is None and os.environ.get(DATA_ROOT_VARIABLE):
        chosen, option = Path(os.environ[DATA_ROOT_VARIABLE]), DATA_ROOT_VARIABLE
    if chosen is None and Path("data").is_dir():
        chosen, option = Path("data"), "the default data root"
    if chosen is None:
        return {}
    try:
        return {entry.name: entry for entry in chosen.iterdir() if entry.is_dir()}
    except OSError as error:
        raise UsageError(
            f"{option} '{chosen}' cannot be read ({error.strerror}); "
            f"give an existing folder with one folder per data set"
        ) from error
