"""Files that anybody may have made: what is opened at all, and how much of it is unpacked."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_UNPACKED = 4 * 2**30
"""Bytes that an archive of arrays may unpack to, some 300 million interactions."""


def check_file(path: Path, mapped: bool = False) -> None:
    """Refuse what leads elsewhere, never ends or would fill the memory, before it is opened.

    A link may lead to what is beside or below it, and nowhere else. A whole folder of data may be
    a link, which is not asked about here.

    Args:
        path: A file, or a folder in a folder of data; it need not exist.
        mapped: It stays on disk until parts of it are used, so that its size does not matter.

    Raises:
        OSError: If it is a link out of its folder, a device or a pipe, or too large.
    """
    home, target = (Path(os.path.realpath(each)) for each in (path.parent, path))
    if path.is_symlink() and not target.is_relative_to(home):
        why = "a link out of its folder: put the file itself there, or link the whole folder"
        raise OSError(errno.EPERM, why)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "no regular file: put the data themselves there")
    if not mapped and path.is_file() and path.stat().st_size > memory() // 2:
        raise OSError(errno.EFBIG, f"{path.stat().st_size:,} bytes, more than half of the memory")


def memory() -> int:
    """Bytes of physical memory; where the system does not say, as if there were no end to it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def check_archive(path: Path) -> None:
    """Refuse an archive by the sizes that it declares, before any of it is unpacked.

    Reading a member never gives more than it declares.

    Raises:
        OSError: If it is no file to be opened.
        ValueError: If it unpacks to too much.
        BadZipFile: If it is no archive.
    """
    check_file(path)
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > LARGEST_UNPACKED:
        raise ValueError(f"it unpacks to {size:,} bytes, more than {LARGEST_UNPACKED:,}")


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays that ``numpy.savez`` wrote, by name and in their order; none of objects.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds anything else, is damaged, or unpacks to too much.
    """
    check_file(path)
    with path.open("rb"):
        pass  # from here on, an error is one of the content
    try:
        check_archive(path)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception as error:  # a damaged archive raises nearly everything
        raise ValueError(" ".join(str(error).split())[:160] or type(error).__name__) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"its member {name[:40]!r} is no array")
    return arrays
