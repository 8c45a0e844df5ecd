"""Files as they come: whatever is wrong with one becomes an error that says how to mend it."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from benchmark.datasets.dataset import check_finite
from benchmark.datasets.placement import LARGEST_MATRIX
from benchmark.foreign_files import check_file, memory
from models.errors import UsageError

LONGEST_HEADER = 1 << 24
"""Characters of a first line that are read."""


@contextmanager
def readable(path: Path, mapped: bool = False) -> Iterator[None]:
    """Turn what goes wrong while reading ``path`` into a :class:`UsageError`.

    Args:
        path: A file of a data set, or a folder in it.
        mapped: As for :func:`benchmark.foreign_files.check_file`.
    """
    with explained(path):
        check_file(path, mapped)
        yield


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """The same for a folder of data, which may be a link to anywhere."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text; save it in UTF-8") from error
    except OSError as error:
        why = " ".join(str(error.strerror or error).split())
        raise UsageError(
            f"{path}: cannot be read ({why}); check the path and its permissions"
        ) from error
    except MemoryError as error:
        raise UsageError(
            f"{path}: asks for more memory than there is; check that it is what it should be"
        ) from error


def entries(folder: Path) -> list[str]:
    """The names in a folder, sorted, without hidden ones."""
    with explained(folder):
        return sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".")


def only(names: list[str], ending: str, folder: Path) -> str:
    """The one file name with this ending."""
    found = [name for name in names if name.endswith(ending)]
    if len(found) != 1:
        raise UsageError(
            f"{folder}: needs exactly one *{ending} file, has {', '.join(found) or 'none'}; "
            f"add the file, or move all but one away"
        )
    return found[0]


def columns(path: Path, separator: str = ",") -> list[str]:
    """The names in the first line of a text table."""
    with readable(path), path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline(LONGEST_HEADER).rstrip("\r\n")
    try:
        header = next(csv.reader([first], delimiter=separator, quoting=_quoting(separator)), [])
    except csv.Error as error:
        raise UsageError(f"{path}: has no proper header ({error}); write it again") from error
    if header in ([""], []):
        raise UsageError(f"{path}: is empty; add a header and one line per row")
    return header


def is_called(name: object, what: str) -> bool:
    """Whether a column holds users or items: ``user``, ``user_id``, ``userID`` and so on."""
    return str(name).lower().replace("_", "") in (what, f"{what}id")


def _quoting(separator: str) -> Literal[0, 3]:
    """Quotes mean something between commas only."""
    return csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL


def read_table(path: Path, separator: str = ",", keyed: bool = False) -> pd.DataFrame:
    """A table of text, or a Parquet file, whose columns keep their types.

    Args:
        path: ``*.parquet``, else UTF-8 text with a header.
        separator: Between fields.
        keyed: All columns but the first are numbers; an empty field is NaN.

    Raises:
        UsageError: If the file is no such table, or pyarrow is needed and missing.
    """
    try:
        with readable(path), warnings.catch_warnings():
            # what pandas merely warns of here is a row longer than the header
            warnings.simplefilter("error", pd.errors.ParserWarning)
            if path.suffix == ".parquet":
                return _read_parquet(path)
            names = columns(path, separator)
            numbers = names[1:] if keyed else []
            return pd.read_csv(
                path,
                sep=separator,
                encoding="utf-8-sig",
                quoting=_quoting(separator),
                index_col=False,
                low_memory=False,
                dtype={name: np.float32 if name in numbers else str for name in names},
                keep_default_na=False,
                na_values={name: ["", "nan", "NaN"] for name in numbers},
            )
    except ImportError as error:
        raise UsageError(
            f"{path}: Parquet needs pyarrow, which is not installed; run 'pip install pyarrow', "
            f"or save the table as '{path.stem}.csv'"
        ) from error
    except UsageError:
        raise
    except (ValueError, OverflowError, pd.errors.ParserWarning) as error:
        detail = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{path}: is no proper table ({detail}); mend it, or write it again"
        ) from error


def _read_parquet(path: Path) -> pd.DataFrame:
    """The table, unless it says itself that it is too large: a value repeated takes no room."""
    from pyarrow.parquet import read_metadata

    try:
        about = read_metadata(path)
        if 8 * about.num_rows * about.num_columns > memory() // 2:
            raise ValueError(f"{about.num_rows} rows of {about.num_columns} columns are too many")
        return pd.read_parquet(path, engine="pyarrow")
    except (OSError, MemoryError):
        raise
    except Exception as error:  # damaged metadata of pandas raise nearly everything
        raise ValueError(str(error)) from error


def open_array(path: Path, fix: str) -> NDArray[Any]:
    """An array in .npy format, left on disk until it is used; objects are never unpickled."""
    try:
        with readable(path, mapped=True), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that Python 2 wrote the file
            return open_memmap(path, mode="r")
    except UsageError:
        raise
    except Exception as error:  # NumPy parses the header as Python: a damaged one raises anything
        detail = " ".join(str(error).split())[:160]
        raise UsageError(f"{path}: is no plain array in .npy format ({detail}); {fix}") from error


def read_matrix(path: Path, modality: str) -> NDArray[Any]:
    """A matrix of numbers, every one of them checked."""
    fix = "save it with numpy.save as a float32 matrix [items, dim]"
    matrix = open_array(path, fix)
    if matrix.dtype.kind not in "fiu":
        raise UsageError(f"{path}: holds {matrix.dtype} values instead of real numbers; {fix}")
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise UsageError(f"{path}: has shape {matrix.shape} instead of [items, dim]; {fix}")
    if matrix.size > LARGEST_MATRIX:
        raise UsageError(
            f"{path}: has shape {matrix.shape}, more than {LARGEST_MATRIX} numbers; "
            f"reduce their dimension, for instance with sklearn.decomposition.PCA"
        )
    check_finite(matrix, modality, path)
    return matrix
