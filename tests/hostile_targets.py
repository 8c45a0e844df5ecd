"""Small sets of files for every reader, and what has to hold of whatever is read."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from small_layouts import FEATURES, PAIRS, csv, made, matrix, mmgcn, mmrec, recbole

from benchmark import intents
from benchmark.datasets import Dataset
from benchmark.datasets.converted import write_converted
from benchmark.datasets.dataset import missing_rows
from benchmark.datasets.sources import read
from benchmark.evaluation import Evaluation
from benchmark.store import Store
from models.errors import UsageError

RUN = "0123456789ab-0"


class Touch:
    """Unpickled, it makes a folder where the program runs."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


PICKLE = pickle.dumps(Touch(), 0)


def mmrec_with_all(folder: Path) -> None:
    mmrec(folder)
    titles = "".join(f"{item}\tFilm {item}\n" for item in range(4))
    (folder / "shop.item").write_text("itemID\ttitle\n" + titles)
    rows = {str(item): [item, 0.5] for item in range(4)}
    (folder / "text.json").write_text(json.dumps(rows))
    (folder / "sound").mkdir()
    for item in range(4):
        np.save(folder / "sound" / f"{item}.npy", FEATURES[item])


def table_with_all(folder: Path) -> None:
    csv(folder)
    titles = "".join(f'{item},"Film {item}, or so"\n' for item in range(4))
    (folder / "items.csv").write_text("item,title\n" + titles)
    rows = "".join(f"{item},{item},0.5\n" for item in range(4))
    (folder / "text.csv").write_text("item,f0,f1\n" + rows)


def parquet(folder: Path) -> None:
    table = pd.DataFrame(PAIRS, columns=["user", "item", "split"])
    table.to_parquet(folder / "interactions.parquet")
    rows = pd.DataFrame({"item": range(4), "f0": FEATURES[:, 0], "f1": FEATURES[:, 1]})
    rows.to_parquet(folder / "text.parquet")


def converted_with_all(folder: Path) -> None:
    source = folder.parent / "original"
    source.mkdir()
    mmrec_with_all(source)
    folder.rmdir()
    write_converted(read(source), folder)


def record(folder: Path) -> None:
    store = Store(folder)
    about = {"status": "ok", "reason": "", "variant": "HUIGN", "model": "huign"}
    params = {"params": json.dumps({"seed": 0}), "versions": json.dumps({"torch": "2"})}
    for seed in range(3):
        run_id = f"{RUN[:-1]}{seed}"
        store.append("runs", {"run_id": run_id, **about, "seed": seed, **params, "recall@10": 0.25})
        store.append("trials", {"run_id": run_id, **about, **params, "value": 0.5})
    hits = torch.tensor([[True, False, False], [False, False, True]])
    store.save_lists(RUN, Evaluation(torch.arange(2), hits, torch.tensor([1, 2]), (1, 3)))
    store.save_history(RUN, [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    gammas = [np.full((4, 2), 0.5), np.eye(2)]
    (folder / "intents").mkdir()
    arrays: dict[str, Any] = {f"text/{level}": gamma for level, gamma in enumerate(gammas, start=1)}
    content = io.BytesIO()
    np.savez_compressed(content, items=np.arange(4), **arrays)
    (folder / "intents" / f"{RUN}.npz").write_bytes(content.getvalue())
    rows = intents.described("text", gammas, small())
    text = pd.DataFrame(rows, columns=intents.COLUMNS).to_csv(index=False, lineterminator="\n")
    (folder / "intents" / f"{RUN}.csv").write_text(text)


def small() -> Dataset:
    titles = pd.DataFrame({"title": [f"Film {item}" for item in range(4)]})
    ids = np.arange(4)
    return Dataset("toy", "made up", ids, ids, 4, 4, {}, item_table=titles)


def read_data(folder: Path) -> str:
    """What a data set holds, after a look at everything that the program relies on."""
    data = read(folder)
    assert re.fullmatch("[0-9a-f]{16}", data.fingerprint)
    assert data.users.dtype == data.items.dtype == np.int64
    assert data.users.shape == data.items.shape
    assert len(data) > 0
    assert 0 <= data.users.min() <= data.users.max() < data.num_users <= 10**8
    assert 0 <= data.items.min() <= data.items.max() < data.num_items <= 10**8
    assert len(set(zip(data.users.tolist(), data.items.tolist(), strict=True))) == len(data)
    if data.labels is not None:
        assert data.labels.shape == data.users.shape
        assert set(data.labels.tolist()) == {0, 1, 2}
    for name, features in data.features.items():
        assert re.fullmatch(r"\w[\w .-]*", name)
        assert features.ndim == 2
        assert len(features) == data.num_items
        with np.errstate(over="ignore"):
            rows = np.asarray(features, dtype=np.float32)[~missing_rows(features)]
        assert np.isfinite(rows).all()
    table = data.item_table
    assert table is None or len(table) == data.num_items
    assert json.dumps(data.describe()).isascii()
    return data.fingerprint + ("" if table is None else table.to_csv())


def read_record(folder: Path) -> str:
    """What a record holds."""
    store, found = Store(folder), []
    for name in ("runs", "trials"):
        rows = store.rows(name)
        assert rows.empty or {"run_id", "variant", "model"} <= set(rows)
        found.append(rows.to_csv())
    assert store.current({}).shape[0] <= len(store.rows("runs"))
    lists = store.lists(RUN)
    assert lists.hits.shape == (len(lists.users), max(lists.ks))
    assert len(lists.num_positives) == len(lists.users)
    kept = intents.read(store, RUN, 4)
    for name in kept.assignments:
        for weights in kept.distributions(name):
            assert weights.shape[0] == len(kept.items)
            assert (weights >= 0).all()
    table = intents.table(store, RUN, 4)
    assert list(table) == intents.COLUMNS
    histories = store.history(RUN).to_csv()
    arrays = [lists.users.tolist(), lists.hits.tolist(), kept.items.tolist(), lists.ks]
    return "".join([*found, histories, table.to_csv(), repr(arrays)])


def check_message(error: UsageError, path: Path) -> None:
    """One line that says where the mistake is, and does not quote all of it."""
    assert str(path) in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 1000


@dataclass(frozen=True)
class Layout:
    """A set of files.

    Args:
        title: What it is called.
        write: Writes it into a folder.
        read: Reads the folder; what it returns differs where the content does.
        needs: A module that reading takes beyond those that are always there.
    """

    title: str
    write: Callable[[Path], None]
    read: Callable[[Path], str] = read_data
    needs: str = "numpy"

    def made(self, root: Path) -> Path:
        return made(root, self.write)


LAYOUTS = {
    "mmrec": Layout("MMRec", mmrec_with_all),
    "recbole": Layout("RecBole", recbole),
    "mmgcn": Layout("MMGCN", mmgcn),
    "table": Layout("table", table_with_all),
    "parquet": Layout("table, Parquet", parquet, needs="pyarrow"),
    "matrix": Layout("matrix", matrix),
    "converted": Layout("converted", converted_with_all),
    "record": Layout("stored results", record, read_record),
}
