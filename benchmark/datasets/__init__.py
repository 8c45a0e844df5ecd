"""Data sets by name."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.datasets.dataset import Dataset
from benchmark.datasets.movielens import NAME as EMBEDDED
from benchmark.datasets.movielens import locate, read_movielens_100k
from benchmark.datasets.sources import RESERVED, check_name, read, recognise
from benchmark.datasets.synthetic import MADE_UP, PREFIX, SYNTHETIC, synthetic
from models.errors import UsageError

__all__ = [
    "ALIAS",
    "DATA_ROOT_VARIABLE",
    "MADE_UP",
    "Dataset",
    "available",
    "folder_of",
    "load",
    "root_of",
]

DATA_ROOT_VARIABLE = "HUIGN_DATA_ROOT"
DEFAULT_ROOT = Path("data")
ALIAS = "movielens"
"""Stands for the first of :data:`ALIAS_FOLDERS` that exists, else for MovieLens-100K."""
ALIAS_FOLDERS = ("movielens", "movielens-1m", "movielens-10m", "movielens-20m")


def load(name: str, data_root: Path | None) -> Dataset:
    """Read a data set; its ``name`` is what was really read, never an alias.

    Args:
        name: ``movielens-100k``, a folder of the data root in any layout of
            :data:`benchmark.datasets.sources.SOURCES`, one of
            :data:`benchmark.datasets.synthetic.MADE_UP`, or an alias:
            ``movielens`` or ``synthetic``.
        data_root: The folder of data sets. ``None``: the environment variable
            ``HUIGN_DATA_ROOT`` if set, else ``./data`` if it exists, else no folder.

    Raises:
        UsageError: If the data root cannot be read, or the data set is unknown, malformed, or a
            folder that is called like data that come with the suite.
    """
    folders = _folders(data_root)
    if name == ALIAS:
        here = [folder for folder in ALIAS_FOLDERS if folder in folders]
        if not here and locate() is None:
            raise UsageError(
                f"no data set for '{ALIAS}'; run 'pip install --no-deps recbole', which carries "
                f"MovieLens-100K, or set --data-root or {DATA_ROOT_VARIABLE} to a folder that "
                f"holds {', '.join(ALIAS_FOLDERS)}; 'python -m benchmark.data --help' shows how, "
                f"and 'python -m benchmark.data list' what can be downloaded"
            )
        name = here[0] if here else EMBEDDED
    if name in RESERVED and name in folders and _holds_data(folders[name]):
        check_name(folders[name])
    if name == EMBEDDED:
        return read_movielens_100k()
    if name == SYNTHETIC:
        name = f"{PREFIX}small"
    if name in MADE_UP:
        return synthetic(name.removeprefix(PREFIX))
    if name not in folders:
        known = ", ".join(available(data_root)) or "none"
        raise UsageError(
            f"data set '{name}' is unknown (available: {known}); "
            f"set --data-root or {DATA_ROOT_VARIABLE} to the folder that holds '{name}', or see "
            f"with 'python -m benchmark.data list' what can be downloaded"
        )
    return read(folders[name])


def folder_of(dataset: Dataset, data_root: Path | None) -> Path:
    """Where the files of a data set are that :func:`load` read.

    Raises:
        UsageError: If it is no folder of the data root.
    """
    if dataset.name in RESERVED:
        raise UsageError(
            f"data set '{dataset.name}' is no folder, and comes with the features it has; "
            f"give the name of a folder of the data root"
        )
    return _folders(data_root)[dataset.name]


def available(data_root: Path | None) -> list[str]:
    """Names that :func:`load` knows, without the alias.

    Raises:
        UsageError: If the data root cannot be read.
    """
    names = {name for name, folder in _folders(data_root).items() if _holds_data(folder)}
    return sorted(names | ({EMBEDDED} if locate() else set()))


def _holds_data(folder: Path) -> bool:
    """Whether a folder has a layout, even if its files are wrong; one that is closed has none."""
    try:
        return folder.name[0] != "." and bool(recognise(folder))
    except UsageError:
        return False


def root_of(data_root: Path | None) -> tuple[Path, str]:
    """The folder of data sets, which need not exist, and where its name comes from."""
    if data_root is not None:
        return data_root, "--data-root"
    if os.environ.get(DATA_ROOT_VARIABLE):
        return Path(os.environ[DATA_ROOT_VARIABLE]), DATA_ROOT_VARIABLE
    return DEFAULT_ROOT, "the default data root"


def _folders(data_root: Path | None) -> dict[str, Path]:
    """The folders of the data root by name; none without a data root."""
    root, option = root_of(data_root)
    if root is DEFAULT_ROOT and not root.is_dir():
        return {}
    try:
        return {entry.name: entry for entry in root.iterdir() if entry.is_dir()}
    except OSError as error:
        raise UsageError(
            f"{option} '{root}' cannot be read ({error.strerror}); "
            f"give an existing folder with one folder per data set"
        ) from error
