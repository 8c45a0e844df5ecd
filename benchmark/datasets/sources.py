"""Which layout a folder has."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.datasets.atomic_files import is_atomic, read_atomic_files
from benchmark.datasets.converted import META, read_converted
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.interaction_matrix import NAME, read_interaction_matrix
from benchmark.datasets.interaction_table import NAMES, read_interaction_table
from benchmark.datasets.mmgcn import FILES, read_mmgcn
from benchmark.datasets.mmrec import read_mmrec
from benchmark.datasets.movielens import NAME as EMBEDDED
from benchmark.datasets.reading import entries
from benchmark.datasets.synthetic import MADE_UP, SYNTHETIC
from benchmark.presets import SPLIT_METHODS
from models.errors import UsageError


@dataclass(frozen=True)
class Source:
    """A layout.

    Args:
        title: What it is called.
        sign: The file by which it is known, in words.
        fits: Whether a folder with these entries has it.
        read: Its reader, which documents it.
        adds: What follows the modality in the name of a file of features that is added: of rows in
            the order of items, or, in JSON, of rows that name their items; nothing if none can be.
    """

    title: str
    sign: str
    fits: Callable[[Path, Sequence[str]], bool]
    read: Callable[[Path], Dataset]
    adds: str


def _inter(folder: Path, names: Sequence[str], atomic: bool) -> bool:
    inter = [folder / name for name in names if name.endswith(".inter")]
    return bool(inter) and any(map(is_atomic, inter)) == atomic


SOURCES = (
    Source(
        "MMRec", "*.inter with columns userID, itemID",
        lambda folder, names: _inter(folder, names, atomic=False), read_mmrec, "_feat.npy",
    ),
    Source(
        "RecBole", "*.inter with columns user_id:token, item_id:token",
        lambda folder, names: _inter(folder, names, atomic=True), read_atomic_files, ".json",
    ),
    Source(
        "MMGCN", " and ".join(FILES),
        lambda _, names: FILES[0] in names, read_mmgcn, "_feat.npy",
    ),
    Source(
        "table", " or ".join(NAMES),
        lambda _, names: not {*NAMES}.isdisjoint(names), read_interaction_table, ".json",
    ),
    Source(
        "matrix", NAME, lambda _, names: NAME in names, read_interaction_matrix, "_feat.npy",
    ),
    Source(
        "converted", f"{META} and users.npy",
        lambda _, names: {META, "users.npy"} <= {*names}, read_converted, "",
    ),
)  # fmt: skip
"""All layouts; a new one is a reader and a line here."""

RESERVED = (EMBEDDED, SYNTHETIC, *MADE_UP)
"""Names that stand for data without a folder."""


def recognise(folder: Path) -> list[Source]:
    """The layouts whose files are in a folder."""
    names = entries(folder)
    return [source for source in SOURCES if source.fits(folder, names)]


def read(folder: Path) -> Dataset:
    """Read a folder of any layout.

    Raises:
        UsageError: If it has none or several, the files are wrong, or results cannot be called
            after it.
    """
    check_name(folder)
    return source_of(folder).read(folder)


def check_name(folder: Path) -> None:
    """Refuse a name that results could not be called after, or that stands for other data.

    Raises:
        UsageError: Saying what will do.
    """
    name = folder.absolute().name
    if not re.fullmatch(r"\w[\w .,()+-]{0,99}", name):
        raise UsageError(
            f"{folder}: results are called after data, and {name[:40]!r} is no name for them; "
            f"rename the folder, with letters, digits, '_', '-', '.', ',', '+', '(' and ')'"
        )
    if name in RESERVED:
        raise UsageError(
            f"{folder}: '{name}' stands for data that come with the suite; rename the folder"
        )
    if name.endswith(tuple(f"-{method}" for method in SPLIT_METHODS[1:])):
        raise UsageError(
            f"{folder}: '{name}' is what results of a --split-method are called; rename the folder"
        )


def source_of(folder: Path) -> Source:
    """The one layout that a folder has.

    Raises:
        UsageError: If it has none or several.
    """
    fitting = recognise(folder)
    if not fitting:
        known = "; ".join(f"{source.sign} ({source.title})" for source in SOURCES)
        raise UsageError(
            f"{folder}: of the files by which data are known it holds none: {known}; "
            f"'python -m benchmark.data --help' shows what each layout needs"
        )
    if len(fitting) > 1:
        found = " and ".join(f"{source.title} ({source.sign})" for source in fitting)
        raise UsageError(f"{folder}: has files of {found}; move those of one layout away")
    return fitting[0]
