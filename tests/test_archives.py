"""Archives are unpacked as a whole or not at all, and never outside of their folder."""

from __future__ import annotations

import stat
import warnings
import zipfile
from pathlib import Path

import pytest

from benchmark.downloads import archives
from benchmark.downloads.archives import unpack
from models.errors import UsageError


def packed(path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore", UserWarning)  # of names that come twice
        for name, data in members:
            archive.writestr(name, data)
    return path


def refused(path: Path, tmp_path: Path, words: str) -> None:
    folder = tmp_path / "deep" / "folder"
    with pytest.raises(UsageError, match=words) as caught:
        unpack(path, folder)
    assert str(path) in str(caught.value)
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


def member(name: str, kind: int = stat.S_IFREG) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o644) << 16
    return info


def test_an_archive_is_unpacked_without_litter(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.zip",
        [("a/", b""), ("a/b/c.txt", b"text"), (member("d"), b""), ("__MACOSX/a/._c", b"x"),
         ("a/.DS_Store", b"x")],
    )  # fmt: skip
    unpack(path, tmp_path / "new")
    files = {each.relative_to(tmp_path / "new").as_posix(): each.read_bytes()
             for each in (tmp_path / "new").rglob("*") if each.is_file()}  # fmt: skip
    assert files == {"a/b/c.txt": b"text", "d": b""}


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:/evil", "..\\evil", "\\\\host\\share\\evil"]
)
def test_members_that_lie_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", [("good", b"x"), (name, b"x")])
    refused(path, tmp_path, "outside of the folder")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(kind: int, tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", [("good", b"x"), (member("bad", kind), b"/etc/hostname")])
    refused(path, tmp_path, "link or a device")


def test_encrypted_and_repeated_members_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", [("good", b"x"), ("good", b"y")])
    refused(path, tmp_path, "two members")
    data = packed(path, [("secret", b"x")]).read_bytes()
    place = data.rindex(b"PK\x01\x02") + 8  # the flags in the directory
    path.write_bytes(data[:place] + b"\x01" + data[place + 1 :])
    with pytest.raises(UsageError, match="encrypted"):
        unpack(path, tmp_path / "new")


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", [("zeros", bytes(10**6))])
    assert path.stat().st_size < 2000
    monkeypatch.setattr(archives, "LARGEST", 10**6 - 1)
    refused(path, tmp_path, "1 files of 1000000 bytes")
    monkeypatch.setattr(archives, "LARGEST", 10**6)
    unpack(path, tmp_path / "enough")
    packed(path, [(str(each), b"") for each in range(1001)])
    with pytest.raises(UsageError, match="1001 files"):
        unpack(path, tmp_path / "many")


def test_a_full_disk_is_noticed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", [("zeros", bytes(2**20))])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**19}))
    refused(path, tmp_path, "make room")


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"<html>please log in</html>")
    refused(path, tmp_path, "no intact zip")
    data = packed(path, [("text", b"abc" * 1000)]).read_bytes()
    for damaged in (data[:-10], data[:45] + bytes([data[45] ^ 255]) + data[46:]):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match="no intact zip"):
            unpack(path, tmp_path / "new")


def test_a_member_larger_than_it_states_is_cut_off(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", [("zeros", bytes(10**6))])
    data = path.read_bytes()
    place = data.rindex(b"PK\x01\x02") + 24  # the size in the directory
    path.write_bytes(data[:place] + (10).to_bytes(4, "little") + data[place + 4 :])
    with pytest.raises(UsageError, match="no intact zip"):
        unpack(path, tmp_path / "new")
    assert (tmp_path / "new" / "zeros").stat().st_size <= 10
