"""Archives from elsewhere, unpacked with distrust."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from models.errors import UsageError

MOST_MEMBERS = 1000
LARGEST = 64 * 2**30
"""Bytes of all members together; M3L-20M, the largest in the catalogue, has about 2 GB."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ``.zip`` into a folder; one with a single odd member is not unpacked at all.

    The sizes that the archive states bind: reading a member stops there.

    Raises:
        UsageError: If it is damaged, has members that would lie elsewhere, links, or far too much.
    """
    fix = f"'{archive}' is not what it should be: delete it, and the command fetches it anew"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [each for each in opened.infolist() if not _is_litter(each.filename)]
            for member in members:
                if reason := _objection(member):
                    name = member.filename[:80]
                    raise UsageError(f"{archive}: member {name!r} {reason}; {fix}")
            if len({each.filename for each in members}) < len(members):
                raise UsageError(f"{archive}: has two members of one name; {fix}")
            total, free = sum(each.file_size for each in members), shutil.disk_usage(folder).free
            if len(members) > MOST_MEMBERS or total > LARGEST:
                raise UsageError(
                    f"{archive}: would unpack to {len(members)} files of {total} bytes; {fix}"
                )
            if total > free:
                raise UsageError(
                    f"{archive}: unpacks to {total} bytes, and {free} are free; make room, or "
                    f"choose another --data-root"
                )
            for member in members:
                opened.extract(member, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{archive}: is no intact zip archive ({error}); {fix}") from error


def _is_litter(name: str) -> bool:
    """What macOS adds to archives."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1] == ".DS_Store")


def _objection(member: zipfile.ZipInfo) -> str:
    """Why a member is refused; empty if it is not."""
    paths = (PurePosixPath(member.filename), PureWindowsPath(member.filename))
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths):
        return "would lie outside of the folder"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & 1:
        return "is encrypted"
    return ""
