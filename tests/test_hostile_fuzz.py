"""Whatever happens to a file, it is read as what it now says, or refused in one clear line.

``HOSTILE_INPUTS=20000`` tries so many inputs per layout, other ones each time, and adds what it
found to ``hostile_figures.csv``, which the documentation shows.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hostile_targets import LAYOUTS, PICKLE, Layout, check_message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import UsageError

FIGURES = Path(__file__).with_name("hostile_figures.csv")
INPUTS = int(os.environ.get("HOSTILE_INPUTS", "0"))
SECONDS = 30
"""That one small input may take, on a machine with other work."""


PIECES = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\n", b"\r\n", b"\r", b"\t", b",", b'"',
    b" ", b"|", b"-1", b"-0", b"0", b"1", b"3", b"4", b"007", b"1.5", b"1e999", b"nan", b"inf",
    b"True",
    b"99999999", b"100000000", b"4294967296", b"9223372036854775807", b"9223372036854775808",
    b"18446744073709551616", b"1" * 400, b"9" * 5000, "\u0663".encode(), b"1_000", b"0x1F",
    b"[" * 3000, b'{"a":' * 3000, b"{}", b"[]", b"null", b"NaN", b"-Infinity", b'"\\ud800"',
    b"../../x", b"/dev/zero", b"=cmd()", b"<script>", b"\x1b[2J", b"(1000000000000, 1000000)",
    b"(0, 2)", b"(-1, 2)", b"()", b"|O", b"<f8", b">i8", b"<U9", b"<M8[s]", b"[('a', '<f4')]",
    PICKLE,
)  # fmt: skip
"""What is put into files."""

NUMBER = re.compile(rb"-?\d+(\.\d+)?")
CHANGE = st.tuples(
    st.sampled_from(("cut", "flip", "insert", "overwrite", "remove", "repeat", "number", "line")),
    st.integers(0, 2**16 - 1),
    st.integers(0, 255),
    st.sampled_from(PIECES),
)
Change = tuple[str, int, int, bytes]


def changed(data: bytes, change: Change) -> bytes:
    """One change at a place that is given as a share of the whole."""
    how, where, number, piece = change
    place = where * (len(data) + 1) >> 16
    before, after = data[:place], data[place:]
    if how == "cut":
        return before
    if how == "flip":
        return before + bytes(byte ^ (number or 1) for byte in after[:1]) + after[1:]
    if how == "insert":
        return before + piece + after
    if how == "overwrite":
        return before + piece + after[len(piece) :]
    if how == "remove":
        return before + after[number:]
    if how == "repeat":
        return before + after[:number] * 2 + after[number:]
    if how == "line":
        lines = data.splitlines(keepends=True)
        at = where * (len(lines) + 1) >> 16
        return b"".join([*lines[:at], *lines[number % (len(lines) + 1) :][:1], *lines[at:]])
    numbers = list(NUMBER.finditer(data))
    if not numbers:
        return data
    found = numbers[where * len(numbers) >> 16]
    return data[: found.start()] + piece + data[found.end() :]


def changed_inside(data: bytes, change: Change) -> bytes:
    """The same in a member of an archive, whose check sums are right again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = sorted(members)[change[2] % len(members)]
    members[name] = changed(members[name], change)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for each, member in members.items():
            archive.writestr(each, member)
    return content.getvalue()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_files_that_were_changed(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(layout.needs)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.chdir(tmp_path)
    whole, folder = layout.made(tmp_path / "whole"), tmp_path / "changed" / "shop"
    files = sorted(str(path.relative_to(whole)) for path in whole.rglob("[!.]*") if path.is_file())
    count, slowest = Counter[str](), 0.0
    layout.read(whole)

    @settings(
        max_examples=INPUTS or 60,
        derandomize=not INPUTS,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(files), st.lists(CHANGE, min_size=1, max_size=3), st.booleans())
    def check(name: str, changes: list[Change], inside: bool) -> None:
        nonlocal slowest
        data = (whole / name).read_bytes()
        if inside and name.endswith(".npz"):
            data = changed_inside(data, changes[0])
        else:
            for change in changes:
                data = changed(data, change)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder, copy_function=os.link)
        (folder / name).unlink()
        (folder / name).write_bytes(data)
        started = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                layout.read(folder)
            count["read"] += 1
        except UsageError as error:
            check_message(error, folder)
            count["refused"] += 1
        slowest = max(slowest, time.perf_counter() - started)
        assert slowest < SECONDS

    check()
    assert not (tmp_path / "executed").exists()
    assert count["read"] > 0
    assert count["refused"] > 0
    if INPUTS:
        note(layout.title, count, slowest)


def note(title: str, count: Counter[str], slowest: float) -> None:
    """Put what was tried into the file that the documentation is made from."""
    row = {"layout": title, **count, "slowest_ms": round(1000 * slowest)}
    known = pd.read_csv(FIGURES) if FIGURES.exists() else pd.DataFrame(columns=list(row))
    rows = pd.concat([known[known["layout"] != title], pd.DataFrame([row])])
    rows = rows.sort_values("layout")
    rows.to_csv(FIGURES, index=False, lineterminator="\n")
