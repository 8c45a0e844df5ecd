"""One file over HTTP: resumed, checked, and there as a whole or not at all."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests

from models.errors import UsageError

T = TypeVar("T")
Report = Callable[[int, int | None], None]
"""Told how many bytes are here, and of how many where that is known."""

CHUNK = 1 << 16
"""Bytes that are written at a time, and thus the most that an interruption loses."""
REDIRECTS = 5


@dataclass(frozen=True)
class Remote:
    """A file elsewhere.

    Args:
        url: Of the file.
        name: What it is called here.
        checksum: Algorithm and digest, as in ``md5:0e33...``; ``None`` where none is published.
        size: In bytes, where known.
    """

    url: str
    name: str
    checksum: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server.

    Args:
        attempts: How often to ask.
        timeout: Seconds without a byte after which an attempt is over.
        pause: Seconds before the second attempt; before each further one twice as long.
    """

    attempts: int = 4
    timeout: float = 30
    pause: float = 1


PATIENCE = Patience()


class UnreachableError(UsageError):
    """Whatever was tried, the file did not come."""


class _PassingError(Exception):
    """What the next attempt may not meet again."""


def fetch(remote: Remote, path: Path, report: Report, patience: Patience = PATIENCE) -> str:
    """Get a file, or go on with one whose transfer was interrupted.

    What has arrived is in ``<path>.part``, with the server's name for this version of the file
    (ETag) beside it, so that parts of two versions never mix. A file that is at ``path`` already,
    put there by hand perhaps, is only checked.

    Returns:
        The SHA-256 digest of the file.

    Raises:
        UnreachableError: If the server fails or cannot be reached.
        UsageError: If what came, or what is there, has another checksum.
    """
    if path.exists():
        size, digests = path.stat().st_size, _digests(path, remote.checksum)
        report(size, size)
        if difference := _difference(remote, size, digests):
            raise UsageError(f"{path}: {difference}; delete it, and the command fetches it anew")
        return digests["sha256"]
    part, tag = (path.with_name(path.name + ending) for ending in (".part", ".part.etag"))
    _patiently(lambda session: _advance(session, remote, part, tag, report, patience.timeout),
               remote.url, f"put it to '{path}'", patience)  # fmt: skip
    digests = _digests(part, remote.checksum)
    if difference := _difference(remote, part.stat().st_size, digests):
        part.unlink()
        tag.unlink(missing_ok=True)
        raise UsageError(
            f"{remote.url}: {difference}; what came is removed: run the command again, and if it "
            f"comes to the same, look whether the source has changed"
        )
    part.replace(path)
    tag.unlink(missing_ok=True)
    return digests["sha256"]


def read(url: str, instead: str, patience: Patience = PATIENCE) -> bytes:
    """A short document.

    Args:
        url: Of the document.
        instead: What to do with the files if it cannot be reached, for the message.
        patience: How long to wait.

    Raises:
        UnreachableError: If the server fails or cannot be reached.
    """

    def get(session: requests.Session) -> bytes:
        with session.get(url, timeout=patience.timeout) as response:
            _check(response, url)
            return response.content

    return _patiently(get, url, instead, patience)


def _patiently(
    work: Callable[[requests.Session], T], url: str, instead: str, patience: Patience
) -> T:
    """Try until it succeeds, until an error that will stay, or until patience ends."""
    reason = ""
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        for attempt in range(patience.attempts):
            if attempt:
                time.sleep(patience.pause * 2 ** (attempt - 1))
            try:
                return work(session)
            except requests.exceptions.SSLError as error:
                reason = f"no trustworthy connection: {_innermost(error)}"
                break
            except (requests.Timeout, requests.ConnectionError) as error:
                silent = isinstance(error, requests.Timeout) or "timed out" in str(error)
                seconds = f"nothing came for {patience.timeout:g} seconds"
                reason = seconds if silent else _innermost(error)
            except requests.exceptions.ChunkedEncodingError:
                reason = "the connection broke off"
            except _PassingError as error:
                reason = str(error)
            except requests.RequestException as error:
                reason = _innermost(error)
                break
    raise UnreachableError(
        f"{url} could not be fetched ({reason}); run the same command again, which goes on with "
        f"what has arrived, or get the file by other means and {instead}"
    )


def _innermost(error: requests.RequestException) -> str:
    """The end of a chain of causes, such as 'Connection refused'."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", cause)).rpartition(": ")[2]


def _check(response: requests.Response, url: str) -> None:
    """Pass what is an answer to the question."""
    if url.startswith("https:") and not response.url.startswith("https:"):
        raise requests.RequestException(f"it leads to {response.url}, which is not encrypted")
    if response.status_code in (408, 429) or response.status_code >= 500:
        raise _PassingError(f"the server answers {response.status_code} {response.reason}")
    if response.status_code not in (200, 206):
        raise requests.RequestException(
            f"the server answers {response.status_code} {response.reason}"
        )


def _advance(
    session: requests.Session, remote: Remote, part: Path, tag: Path, report: Report, timeout: float
) -> None:
    """One attempt to get the rest of a file, or all of it if there is no part or another version.

    Raises:
        _PassingError: If less came than was announced.
    """
    have = part.stat().st_size if part.exists() and tag.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text(encoding="utf-8")}
    with session.get(remote.url, headers=headers, stream=True, timeout=timeout) as response:
        place = response.headers.get("Content-Range", "")
        if have and response.status_code == 416 and place == f"bytes */{have}":
            return  # all of it was here already
        fits = have and place.startswith(f"bytes {have}-")
        if response.status_code == 416 or (response.status_code == 206 and not fits):
            tag.unlink(missing_ok=True)
            raise _PassingError("the server sends another part of the file than asked for")
        _check(response, remote.url)
        if response.status_code == 200:
            have = 0
            _begin(part, tag, response.headers)
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else remote.size
        with part.open("ab") as file:
            report(have, total)
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                have += len(chunk)
                report(have, total)
                if remote.size is not None and have > remote.size:
                    return  # which will not pass the check
    if total is not None and have < total:
        raise _PassingError(f"the connection broke off after {have} of {total} bytes")


def _begin(part: Path, tag: Path, headers: Mapping[str, str]) -> None:
    """An empty part, and what to ask the server for its rest by, if the server names versions."""
    tag.unlink(missing_ok=True)
    part.write_bytes(b"")
    version = headers.get("ETag", "W/")
    if version.startswith("W/"):  # a weak one, good for pages but not for parts of files
        version = headers.get("Last-Modified", "")
    if version:
        tag.write_text(version, encoding="utf-8")


def _digests(path: Path, checksum: str | None) -> dict[str, str]:
    """SHA-256, and whatever the checksum is of."""
    names = {"sha256", *([checksum.partition(":")[0]] if checksum else [])}
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            for digest in digests.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _difference(remote: Remote, size: int, digests: Mapping[str, str]) -> str:
    """How a file differs from what it should be; empty if it does not."""
    if remote.size not in (None, size):
        return f"it has {size} bytes instead of {remote.size}"
    if remote.checksum:
        algorithm, _, wanted = remote.checksum.partition(":")
        if digests[algorithm] != wanted.lower():
            return f"its {algorithm} checksum is {digests[algorithm]} instead of {wanted}"
    return ""
