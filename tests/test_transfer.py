"""A file arrives whole and right, or an error says why not, in bounded time."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from misbehaving_server import DATE, MisbehavingServer, misbehaving_server

from benchmark.downloads.transfer import (
    Patience,
    Remote,
    UnreachableError,
    _check,
    fetch,
    read,
)
from models.errors import UsageError

DATA = bytes(range(256)) * 4096  # 16 of the chunks in which files are written
MD5 = "md5:" + hashlib.md5(DATA).hexdigest()
SHA256 = hashlib.sha256(DATA).hexdigest()
HASTE = Patience(attempts=3, timeout=0.4, pause=0.01)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with misbehaving_server() as each:
        each.files["/a.zip"] = DATA
        yield each


def get(server: MisbehavingServer, path: Path, checksum: str | None = MD5) -> str:
    remote = Remote(f"{server.url}/a.zip", "a.zip", checksum)
    return fetch(remote, path, lambda done, total: None, HASTE)


def begin(path: Path, part: bytes, tag: str = '"1"') -> None:
    path.with_name("a.zip.part").write_bytes(part)
    path.with_name("a.zip.part.etag").write_text(tag)


def only(path: Path) -> bool:
    """Whether the file is there, right, and nothing else."""
    return path.read_bytes() == DATA and list(path.parent.iterdir()) == [path]


def test_a_file_arrives_with_progress(server: MisbehavingServer, tmp_path: Path) -> None:
    path, steps = tmp_path / "a.zip", list[tuple[int, int | None]]()
    remote = Remote(f"{server.url}/a.zip", "a.zip", MD5, len(DATA))
    assert fetch(remote, path, lambda *step: steps.append(step), HASTE) == SHA256
    assert only(path)
    assert (steps[0], steps[-1]) == ((0, len(DATA)), (len(DATA), len(DATA)))


@pytest.mark.parametrize("mood", ["truncate", "stall"])
def test_an_interrupted_transfer_goes_on(
    mood: str, server: MisbehavingServer, tmp_path: Path
) -> None:
    server.moods = [mood, mood]
    assert get(server, tmp_path / "a.zip") == SHA256
    half, quarter = len(DATA) // 2, len(DATA) // 4
    ranges = [asked for _, asked in server.asked]
    assert ranges == [None, f"bytes={half}-", f"bytes={half + quarter}-"]
    assert server.sent == len(DATA)
    assert only(tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("truncate", "broke off"),
        ("stall", "nothing came for 0.4 seconds"),
        ("500", "answers 500"),
        ("429", "answers 429"),
    ],
)
def test_patience_ends(mood: str, words: str, server: MisbehavingServer, tmp_path: Path) -> None:
    server.moods = [mood] * 9
    begun = time.monotonic()
    with pytest.raises(UnreachableError, match=words) as caught:
        get(server, tmp_path / "a.zip")
    assert time.monotonic() - begun < 5
    assert len(server.asked) == HASTE.attempts
    assert f"{server.url}/a.zip" in str(caught.value)
    assert f"put it to '{tmp_path / 'a.zip'}'" in str(caught.value)
    assert not (tmp_path / "a.zip").exists()


def test_a_truncated_answer_of_unknown_length_is_found_out(
    server: MisbehavingServer, tmp_path: Path
) -> None:
    server.moods = ["unbounded"]
    server.files["/a.zip"] = DATA[:-1]
    remote = Remote(f"{server.url}/a.zip", "a.zip", None, len(DATA))
    with pytest.raises(UsageError, match=f"{len(DATA) - 1} bytes instead of {len(DATA)}"):
        fetch(remote, tmp_path / "a.zip", lambda *step: None, HASTE)


def test_what_is_wrong_is_removed(server: MisbehavingServer, tmp_path: Path) -> None:
    server.moods = ["corrupt"]
    with pytest.raises(UsageError, match="md5 checksum is [0-9a-f]{32} instead of " + MD5[4:]):
        get(server, tmp_path / "a.zip")
    assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []
    assert get(server, tmp_path / "a.zip") == SHA256
    assert only(tmp_path / "a.zip")


def test_more_than_the_stated_size_is_refused(server: MisbehavingServer, tmp_path: Path) -> None:
    remote = Remote(f"{server.url}/a.zip", "a.zip", None, 100)
    with pytest.raises(UsageError, match="instead of 100"):
        fetch(remote, tmp_path / "a.zip", lambda *step: None, HASTE)
    assert not (tmp_path / "a.zip.part").exists()


def test_redirects_are_followed(server: MisbehavingServer, tmp_path: Path) -> None:
    server.files["/b.zip"] = DATA
    server.moods = ["/b.zip", "truncate", "/b.zip"]
    assert get(server, tmp_path / "a.zip") == SHA256
    assert server.sent == len(DATA)


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/a.zip", "file:///etc/hostname"])
def test_redirects_elsewhere_are_not(place: str, server: MisbehavingServer, tmp_path: Path) -> None:
    server.moods = [place]
    with pytest.raises(UnreachableError, match="No connection adapters"):
        get(server, tmp_path / "a.zip")
    assert len(server.asked) == 1


def test_redirects_end(server: MisbehavingServer, tmp_path: Path) -> None:
    server.moods = ["/a.zip"] * 99
    with pytest.raises(UnreachableError, match="redirects"):
        get(server, tmp_path / "a.zip")
    assert len(server.asked) < 10


def test_encryption_is_not_given_up() -> None:
    response = requests.Response()
    response.status_code, response.url = 200, "http://mirror.example/a.zip"
    _check(response, "http://example.org/a.zip")
    with pytest.raises(requests.RequestException, match="not encrypted"):
        _check(response, "https://example.org/a.zip")


@pytest.mark.parametrize("mood", ["whole", "shifted"])
def test_a_server_without_ranges_sends_all(
    mood: str, server: MisbehavingServer, tmp_path: Path
) -> None:
    server.moods = ["truncate", mood]
    assert get(server, tmp_path / "a.zip") == SHA256
    assert only(tmp_path / "a.zip")


def test_parts_of_two_versions_never_mix(server: MisbehavingServer, tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", b"of another version", '"0"')
    assert get(server, tmp_path / "a.zip", None) == SHA256
    assert server.asked == [("/a.zip", "bytes=18-")]
    assert only(tmp_path / "a.zip")


def test_without_a_version_nothing_is_resumed(server: MisbehavingServer, tmp_path: Path) -> None:
    server.moods = ["versionless", "versionless"]
    tmp_path.joinpath("a.zip.part").write_bytes(b"of unknown origin")
    assert get(server, tmp_path / "a.zip", None) == SHA256
    assert server.asked == [("/a.zip", None)]
    assert only(tmp_path / "a.zip")


def test_a_date_replaces_a_weak_version(server: MisbehavingServer, tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", DATA[:1000], DATE)
    server.moods = ["weak"]
    assert get(server, tmp_path / "a.zip", None) == SHA256
    assert server.sent == len(DATA) - 1000
    assert only(tmp_path / "a.zip")


def test_a_complete_part_is_not_fetched_again(server: MisbehavingServer, tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", DATA)
    assert get(server, tmp_path / "a.zip") == SHA256
    assert server.sent == 0
    assert only(tmp_path / "a.zip")


def test_a_part_that_is_too_long_is_given_up(server: MisbehavingServer, tmp_path: Path) -> None:
    begin(tmp_path / "a.zip", DATA + b"more")
    assert get(server, tmp_path / "a.zip") == SHA256
    assert only(tmp_path / "a.zip")


def test_not_found_is_final(server: MisbehavingServer, tmp_path: Path) -> None:
    server.moods = ["404"]
    with pytest.raises(UnreachableError, match="answers 404 Not Found"):
        get(server, tmp_path / "a.zip")
    assert len(server.asked) == 1


def test_a_bad_moment_passes(server: MisbehavingServer, tmp_path: Path) -> None:
    server.moods = ["500", "503"]
    assert get(server, tmp_path / "a.zip") == SHA256
    server.moods = ["500"]
    assert read(f"{server.url}/a.zip", "", HASTE) == DATA


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip"
        with pytest.raises(UnreachableError, match="refused") as caught:
            fetch(Remote(url, "a.zip"), tmp_path / "a.zip", lambda *step: None, HASTE)
    assert url in str(caught.value)
    assert str(tmp_path / "a.zip") in str(caught.value)


def test_a_file_put_here_by_hand_is_checked(server: MisbehavingServer, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(DATA)
    assert get(server, path) == SHA256
    path.write_bytes(DATA[1:])
    with pytest.raises(UsageError, match="delete it"):
        get(server, path)
    assert server.asked == []
    assert path.exists()


def test_after_a_kill_only_the_rest_is_fetched(server: MisbehavingServer, tmp_path: Path) -> None:
    path, half = tmp_path / "a.zip", len(DATA) // 2
    server.moods = ["stall"]
    code = (
        "import sys; from pathlib import Path\n"
        "from benchmark.downloads.transfer import Remote, fetch\n"
        "fetch(Remote(sys.argv[1], 'a.zip'), Path(sys.argv[2]), lambda done, total: None)"
    )
    part = tmp_path / "a.zip.part"
    with subprocess.Popen([sys.executable, "-c", code, f"{server.url}/a.zip", str(path)]) as killed:
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
    here = part.stat().st_size
    assert 0 < here <= half
    assert get(server, path) == SHA256
    assert server.asked[1:] == [("/a.zip", f"bytes={here}-")]
    assert server.sent == half + len(DATA) - here
    assert only(path)
