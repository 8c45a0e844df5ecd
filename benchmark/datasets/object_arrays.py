"""NumPy files of lists of whole numbers, which are pickles, read without running what they say."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import warnings
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from benchmark.datasets.reading import readable
from models.errors import UsageError


class Refused(pickle.UnpicklingError):
    """The pickle asks for something that no list of numbers needs."""


class _Array:
    """Stands in for ``numpy.ndarray``: it keeps what it is given and never allocates."""

    def __init__(self) -> None:
        self.content: Any = None

    def __setstate__(self, state: Any) -> None:
        _version, _shape, dtype, _fortran, self.content = state
        if isinstance(self.content, bytes):  # an array of numbers within the array of objects
            self.content = _integers(dtype, self.content)


class _Dtype:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        self.order = ">" if state[1] == ">" else "<"


def _integers(dtype: Any, content: bytes) -> list[int]:
    if not isinstance(dtype, _Dtype) or dtype.code not in {f"{k}{n}" for k in "iu" for n in "1248"}:
        raise Refused("values that are no whole numbers")
    values: list[int] = np.frombuffer(content, dtype.order + dtype.code).tolist()
    return values


class _Unpickler(pickle.Unpickler):
    """Knows the few names that an array of lists of integers consists of, by stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("multiarray", "_reconstruct"): self._array,
            ("multiarray", "scalar"): self._scalar,
            ("numpy", "ndarray"): self._refuse,  # named as an argument, never called
            ("numpy", "dtype"): self._dtype,
            ("_codecs", "encode"): self._encode,  # how Python 3 writes bytes for Python 2
        }
        if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            module = "multiarray"
        if (module, name) not in known:
            raise Refused(f"'{module}.{name}'"[:100])
        return known[module, name]

    def persistent_load(self, _: Any) -> NoReturn:
        raise Refused("an object outside the file")

    def _array(self, *_: Any) -> _Array:
        return _Array()

    def _scalar(self, dtype: Any, content: bytes) -> int:
        return _integers(dtype, content)[0]

    def _dtype(self, code: str, *_: Any) -> _Dtype:
        return _Dtype(code)

    def _encode(self, text: str, _: str) -> bytes:
        return text.encode("latin1")

    def _refuse(self, *_: Any) -> NoReturn:
        raise Refused("an array made by a call")


def read_lists(path: Path) -> list[list[int]] | NDArray[np.integer[Any]]:
    """The rows of a ``.npy`` file of whole numbers: a matrix, or lists of any lengths.

    ``numpy.load`` would run whatever code a pickle names. Here nothing of NumPy or any other
    module is called; a name that lists of numbers do not need is refused before it is looked up.

    Raises:
        UsageError: If the file is damaged, holds something else, or names other things.
    """
    fix = "get the file from a source that you trust, or save an integer array [n, 2] of pairs"
    try:
        with readable(path), path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that Python 2 wrote the file
            version = npy.read_magic(file)
            read_header = (
                npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            )
            shape, _, dtype = read_header(file)
            if dtype.kind in "iu" and len(shape) == 2 and shape[1] > 1:
                matrix: NDArray[Any] = npy.open_memmap(path, mode="r")
                return matrix
            if dtype.kind != "O" or len(shape) not in (1, 2):
                raise Refused(f"{dtype} values of shape {shape}")
            return _lists(file.read(), shape)
    except UsageError:
        raise
    except Exception as error:  # a damaged pickle raises nearly everything
        what = "asks for" if isinstance(error, Refused) else "is no list of whole numbers:"
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise UsageError(f"{path}: {what} {detail}; {fix}") from error


def _lists(data: bytes, shape: tuple[int, ...]) -> list[list[int]]:
    for opcode, argument, _ in pickletools.genops(data):  # no length goes beyond the data
        if "PUT" in opcode.name and int(argument or 0) > len(data):
            raise Refused("a table larger than the file")
    array = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    rows = array.content if isinstance(array, _Array) else None
    if not isinstance(rows, list) or len(rows) != math.prod(shape):
        raise ValueError("another shape than its header says")
    if len(shape) == 2:
        rows = [rows[start : start + shape[1]] for start in range(0, len(rows), shape[1])]
    rows = [row.content if isinstance(row, _Array) else row for row in rows]
    for number, row in enumerate(rows):
        if not isinstance(row, (list, tuple)):
            raise ValueError(f"row {number} is no list")
    if sum(map(len, rows)) > len(data):  # one list, named again and again
        raise Refused("more numbers than the file holds")
    for number, row in enumerate(rows):
        if any(type(each) is not int for each in row):
            raise ValueError(f"row {number} holds something else")
    return [list(row) for row in rows]
