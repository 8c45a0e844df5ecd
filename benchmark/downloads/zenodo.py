"""What a Zenodo record holds, from Zenodo's API."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fnmatch import fnmatch

from benchmark.downloads.transfer import PATIENCE, Patience, Remote, read
from models.errors import UsageError

API = "https://zenodo.org/api/records/"


@dataclass(frozen=True)
class Deposit:
    """A file of a record.

    Args:
        record: Its number.
        pattern: The name of the file, with ``*`` where it is not known for certain.
        checksum: As found elsewhere, for a file put here by hand when Zenodo cannot be asked.
    """

    record: int
    pattern: str
    checksum: str | None = None

    @property
    def page(self) -> str:
        """The record, for people."""
        return f"https://zenodo.org/records/{self.record}"


def look_up(deposit: Deposit, instead: str, patience: Patience = PATIENCE) -> tuple[Remote, str]:
    """The file with its published checksum, and the record's licence.

    The answer of the API is ``{"files": [{"key", "size", "checksum": "md5:...", "links": {"self"}},
    ...], "metadata": {"license": {"id"}}, ...}``.

    Args:
        deposit: What to look for.
        instead: What to do if Zenodo cannot be reached, for the message.
        patience: How long to wait.

    Raises:
        UnreachableError: If Zenodo fails or cannot be reached.
        UsageError: If the record has no such file, or the answer has another form.
    """
    url = f"{API}{deposit.record}"
    try:
        record = json.loads(read(url, instead, patience))
        files = {str(file["key"]): file for file in record["files"]}
        fitting = [key for key in files if fnmatch(key, deposit.pattern) and "/" not in key]
        if len(fitting) != 1:
            raise UsageError(
                f"{deposit.page}: needs to have one file '{deposit.pattern}', has "
                f"{', '.join(sorted(files)) or 'none at all'}; the record is not what it was: "
                f"get the file that takes its place and {instead}"
            )
        file = files[fitting[0]]
        algorithm, _, digest = str(file["checksum"]).partition(":")
        if algorithm not in hashlib.algorithms_guaranteed or not digest:
            raise ValueError(f"checksum '{file['checksum']}'")
        remote = Remote(
            str(file["links"]["self"]), fitting[0], f"{algorithm}:{digest}", int(file["size"])
        )
        licence = (record.get("metadata", {}).get("license") or {}).get("id", "none stated")
    except UsageError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{url}: the answer is not of the form that Zenodo documents ({error!r}); get "
            f"'{deposit.pattern}' from {deposit.page} and {instead}"
        ) from error
    return remote, str(licence)
