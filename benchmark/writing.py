"""Files that are replaced in one step, and cells of them that are no formulas."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from models.errors import UsageError

FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""With one of these a cell begins that spreadsheets take for a formula."""


class StoreError(UsageError):
    """The record cannot be read or written, whatever model is run."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file in one step, so that a reader or a crash never meets half of it.

    Raises:
        StoreError: If it cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    # no process id: those of two containers that share the folder may be the same
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_through(temporary, data)
        try:
            temporary.replace(path)
        except FileNotFoundError:  # swept away by a process whose clock is ahead
            _write_through(temporary, data)
            temporary.replace(path)
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def unusable(path: Path, error: OSError) -> StoreError:
    """What to raise when a file or a folder cannot be written."""
    return StoreError(
        f"cannot write '{path}' ({error.strerror or error}); clear the way for it, or choose "
        "another folder with --results-root"
    )


def _write_through(path: Path, data: bytes) -> None:
    """Write a file, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def harmless(text: str) -> str:
    """Text that others wrote, as a cell of a CSV file that no spreadsheet takes for a formula.

    One that begins like a formula, and is no number, gets an apostrophe before it. The record's own
    files, which are read again, keep every text as it is.
    """
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
