"""One small data set in every layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmark.datasets.converted import write_converted
from benchmark.datasets.sources import read

PAIRS = [(0, 0, 0), (0, 2, 0), (1, 1, 0), (1, 3, 0), (2, 3, 0), (0, 1, 1), (1, 0, 2), (2, 2, 2)]
"""User, item and part of every interaction."""

FEATURES = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], dtype=np.float32)
SPLITS = ("train", "validation", "test")


def mmrec(folder: Path) -> None:
    lines = "".join(f"{user}\t{item}\t{part}\n" for user, item, part in PAIRS)
    (folder / "shop.inter").write_text("userID\titemID\tx_label\n" + lines)
    np.save(folder / "image_feat.npy", FEATURES)


def recbole(folder: Path) -> None:
    for part, ending in enumerate(("train", "valid", "test")):
        lines = "".join(f"u{user}\ti{item}\t4.5\n" for user, item, p in PAIRS if p == part)
        text = "user_id:token\titem_id:token\trating:float\n" + lines
        (folder / f"shop.{ending}.inter").write_text(text)
    rows = [f"i{i}\tFilm {i}\t{a:g} {b:g}\n" for i, (a, b) in enumerate(FEATURES)]
    header = "item_id:token\tmovie_title:token_seq\timage:float_seq\n"
    (folder / "shop.item").write_text(header + "".join(reversed(rows)))


def as_objects(rows: list[list[int]]) -> np.ndarray[Any, Any]:
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


def mmgcn(folder: Path) -> None:
    np.save(folder / "train.npy", np.array([(u, 3 + i) for u, i, part in PAIRS if part == 0]))
    np.save(folder / "val_full.npy", as_objects([[0, 4]]), allow_pickle=True)
    np.save(folder / "test_full.npy", as_objects([[1, 3], [2, 5]]), allow_pickle=True)
    np.save(folder / "user_item_dict.npy", np.array({0: [1]}, dtype=object), allow_pickle=True)
    np.save(folder / "image_feat.npy", FEATURES)


def csv(folder: Path) -> None:
    lines = "".join(f"{u},{i},9,{SPLITS[part]}\n" for u, i, part in PAIRS)
    (folder / "interactions.csv").write_text("user_id,item_id,timestamp,split\n" + lines)
    np.save(folder / "image.npy", FEATURES)


def matrix(folder: Path) -> None:
    users, items, _ = zip(*PAIRS, strict=True)
    saved = sp.csr_array((np.ones(len(PAIRS)), (users, items)), shape=(3, 4))
    sp.save_npz(folder / "interactions.npz", saved)
    np.save(folder / "image_feat.npy", FEATURES)


def converted(folder: Path) -> None:
    source = folder.parent / "original"
    source.mkdir()
    mmrec(source)
    folder.rmdir()
    write_converted(read(source), folder)


LAYOUTS = (mmrec, recbole, mmgcn, csv, matrix, converted)


def made(root: Path, layout: Callable[[Path], None]) -> Path:
    place = root / "shop"
    place.mkdir(parents=True)
    layout(place)
    return place
