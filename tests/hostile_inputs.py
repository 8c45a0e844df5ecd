"""What is done to files, to which kinds of them, and what has to come of it.

``docs/hostile_input.md`` is made from this table: ``python tests/hostile_page.py``.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from hostile_targets import PICKLE, RUN

REFUSED, READ, EITHER = "refused", "read as it was", "read or refused"

FILES = {
    "text table": [
        ("mmrec", "shop.inter"), ("mmrec", "shop.item"), ("recbole", "shop.train.inter"),
        ("recbole", "shop.item"), ("table", "interactions.csv"), ("table", "items.csv"),
        ("table", "text.csv"), ("converted", "items.csv"),
    ],
    "JSON": [("mmrec", "text.json"), ("converted", "meta.json")],
    "array": [
        ("mmrec", "image_feat.npy"), ("mmrec", "sound/2.npy"), ("mmgcn", "image_feat.npy"),
        ("table", "image.npy"), ("converted", "users.npy"),
    ],
    "lists": [("mmgcn", "train.npy"), ("mmgcn", "val_full.npy"), ("mmgcn", "test_full.npy")],
    "archive": [
        ("matrix", "interactions.npz"), ("record", f"lists/{RUN}.npz"),
        ("record", f"intents/{RUN}.npz"),
    ],
    "Parquet": [("parquet", "interactions.parquet"), ("parquet", "text.parquet")],
    "record": [
        ("record", "runs.csv"), ("record", "trials.csv"), ("record", f"history/{RUN}.csv"),
        ("record", f"intents/{RUN}.csv"),
    ],
}  # fmt: skip
"""By kind the files, each of a layout of :data:`hostile_targets.LAYOUTS`."""

ALL = tuple(FILES)
TEXT = ("text table", "record")
NUMPY = ("array", "lists")


@dataclass(frozen=True)
class Input:
    """Something that a file may turn out to be.

    Args:
        title: In words.
        outcomes: By kind of file what has to come of it.
        spoil: Does it to a file.
    """

    title: str
    outcomes: dict[str, str]
    spoil: Callable[[Path], object]


def on(kinds: tuple[str, ...], outcome: str, **others: str) -> dict[str, str]:
    """One outcome for some kinds of files, others for others."""
    return {**dict.fromkeys(kinds, outcome), **others}


def put(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def edit(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def link_out(path: Path) -> None:
    """What is there is as it should be, but not in the folder."""
    target = path.parents[2] / "elsewhere"
    target.write_bytes(path.read_bytes())
    link(path, str(target))


def link_beside(path: Path) -> None:
    target = path.with_name(f".kept {path.name}")
    target.write_bytes(path.read_bytes())
    link(path, target.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def sparse(path: Path) -> None:
    """Takes no room on the disk, and says that it has a terabyte."""
    os.truncate(path, 2**40)


def last_number(piece: bytes) -> Callable[[Path], object]:
    """In the place of the first field of the last line."""

    def change(data: bytes) -> bytes:
        head, _, line = data.rstrip(b"\n").rpartition(b"\n")
        return head + b"\n" + re.sub(rb"^[^\t,]*", piece, line) + b"\n"

    return edit(change)


def npy(header: bytes, content: bytes = b"") -> bytes:
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def archive(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


UNPACKED = 3 * 2**30


def bomb(path: Path) -> None:
    """Every member is an array of zeros that unpacks to :data:`UNPACKED` bytes, and says so."""
    write_zip(path, zeros(UNPACKED), 128 + UNPACKED)


def one_bomb(path: Path) -> None:
    """The same in one member, so that the sum is within what may be unpacked."""
    write_zip(path, zeros(UNPACKED), 128 + UNPACKED, count=1)


def bomb_that_lies(path: Path) -> None:
    """Every member says that it unpacks to an array of four numbers, and goes on and on."""
    write_zip(path, zeros(UNPACKED, claimed=32), 128 + 32)


def zeros(size: int, claimed: int | None = None) -> bytes:
    """A packed file of an array of zeros, a thousandth of its size."""
    count = (size if claimed is None else claimed) // 8
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': ({count},)}}"
    head, block = (packed(each) for each in (npy(header.encode()), bytes(2**26)))
    return head + block * (size // 2**26) + b"\x03\x00"


@cache
def packed(data: bytes) -> bytes:
    """In a form that others can be put after."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def write_zip(path: Path, packed: bytes, size: int, count: int | None = None) -> None:
    """Every member has this content, and is said to be so large once unpacked."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()[:count]
    with path.open("wb") as file:
        entries = []
        for name in map(str.encode, names):
            common = struct.pack("<5H3I2H", 20, 0, 8, 0, 0, 0, len(packed), size, len(name), 0)
            entries.append((file.tell(), common, name))
            file.write(b"PK\x03\x04" + common + name + packed)
        start = file.tell()
        for offset, common, name in entries:
            file.write(b"PK\x01\x02" + struct.pack("<H", 20) + common)
            file.write(struct.pack("<3H2I", 0, 0, 0, 0, offset) + name)
        length, count = file.tell() - start, len(names)
        file.write(b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, count, count, length, start, 0))


def names_that_lead_elsewhere(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    extra = {"../../escaped.npy": b"x", "/escaped.npy": b"x"}
    archive(path, {**members, **extra})


def pickled_member(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"
    archive(path, dict.fromkeys(members, npy(header, PICKLE)))


def many_rows(path: Path) -> None:
    """The same value again and again takes no room."""
    names = list(pd.read_parquet(path))
    pd.DataFrame(dict.fromkeys(names, np.zeros(2**22, dtype=np.int64))).to_parquet(path)


def million_digits(path: Path) -> None:
    digits = b"9" * 10**6
    if path.suffix == ".json":
        edit(lambda data: data.replace(b"0.5", digits).replace(b": 4", b": " + digits))(path)
    else:
        last_number(digits)(path)


CLAIM = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2)}"
CODE = b"__import__('os').mkdir('executed')"
OBJECTS = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"
NOISE = bytes((7 * place * place + 3 * place) % 251 for place in range(400))

INPUTS = (
    Input("empty", on(ALL, REFUSED), put(b"")),
    Input("cut off in the middle", on(ALL, EITHER), edit(lambda data: data[: len(data) // 2])),
    Input("random bytes", on(ALL, REFUSED), put(NOISE)),
    Input("a folder in its place", on(ALL, REFUSED), folder),
    Input("a link to itself", on(ALL, REFUSED), lambda path: link(path, path.name)),
    Input("a link to a file beside it", on(ALL, READ), link_beside),
    Input("a link out of its folder", on(ALL, REFUSED), link_out),
    Input("a link to `/dev/zero`", on(ALL, REFUSED), lambda path: link(path, "/dev/zero")),
    Input("a pipe that nobody writes to", on(ALL, REFUSED), pipe),
    Input("a terabyte of nothing behind it (sparse)", on(ALL, REFUSED, array=READ), sparse),
    Input("not UTF-8", on((*TEXT, "JSON"), REFUSED), edit(lambda data: data + b"\xff\xfe\n")),
    Input("with a byte order mark and Windows line ends", on(TEXT, READ),
          edit(lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))),
    Input("NUL bytes", on((*TEXT, "JSON"), EITHER, JSON=REFUSED),
          edit(lambda data: data[:-4] + b"\0\0" + data[-4:])),
    Input("a quote that is never closed", on(TEXT, EITHER), last_number(b'"')),
    Input("a number of a million digits", on((*TEXT, "JSON"), EITHER, JSON=REFUSED),
          million_digits),
    Input("the id -1", on(TEXT, EITHER), last_number(b"-1")),
    Input("the id 2^63", on(TEXT, EITHER), last_number(b"9223372036854775808")),
    Input("the id 99,999,999, far from all others", on(TEXT, EITHER), last_number(b"99999999")),
    Input("NaN or 1e999 for an id", on(TEXT, EITHER), last_number(b"1e999")),
    Input("a formula", on(TEXT, EITHER), last_number(b"=cmd()")),
    Input("nested 100,000 deep", on(("JSON",), REFUSED), put(b"[" * 10**5)),
    Input("a key twice", on(("JSON",), EITHER),
          edit(lambda data: data.replace(b"{", b'{"0": [9, 9], ', 1))),
    Input("a header that claims 10^12 rows", on(NUMPY, REFUSED), put(npy(CLAIM, bytes(32)))),
    Input("a header that is code", on(NUMPY, REFUSED), put(npy(CODE, bytes(32)))),
    Input("a pickle that runs code", on(NUMPY, REFUSED),
          put(npy(OBJECTS, PICKLE))),
    Input("a member that is a pickle", on(("archive",), REFUSED), pickled_member),
    Input("members called `../../escaped`, `/escaped`", on(("archive",), EITHER),
          names_that_lead_elsewhere),
    Input("3 MB that unpack to 3 GB each", on(("archive",), REFUSED), bomb),
    Input("a member that goes on after its declared size", on(("archive",), REFUSED),
          bomb_that_lies),
    Input("more rows than fit into memory, in a few kilobytes", on(("Parquet",), REFUSED),
          many_rows),
)  # fmt: skip
