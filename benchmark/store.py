"""The record: one row per run and per trial, never half written."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock

from benchmark import repair
from benchmark.evaluation import Evaluation
from benchmark.foreign_files import check_file, read_arrays
from benchmark.presets import EXACT
from benchmark.writing import StoreError, unusable, write_atomic

PROTOCOL = 1
"""Raise by one when splits, sampling, evaluation or metrics change what they compute."""

SINCE_THEN = {
    "split_method": "interactions",
    "evaluation_protocol": "corrected",
    "vary": "both",
    "matmul_precision": EXACT,
    "switches": "",
    "damage": "",
}
"""What rows older than these columns stand for, though they hold nothing there; ids leave it out,
and so stay as they were."""

STALE_SECONDS = 3600.0
"""Age at which a temporary file is somebody's who will not come back for it."""

ABANDONED_SECONDS = 30 * 86_400.0
"""Age at which nobody goes on with a training from its checkpoint any more."""

KEPT = (
    "lists/*.npz", "history/*.csv", "popularity/*.csv", "intents/*.npz", "intents/*.csv",
)  # fmt: skip
"""Files of runs beside the tables, by the id that stands for the star."""


LISTS = ("users", "num_positives", "ks", "hits")
"""Arrays of :meth:`Store.save_lists`."""


def digest(**identity: Any) -> str:
    """Twelve hexadecimal digits for everything that determines a result."""
    given = {k: v for k, v in identity.items() if k not in SINCE_THEN or v != SINCE_THEN[k]}
    text = json.dumps({"protocol": PROTOCOL, **given}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def lost(path: Path, run_id: str, error: Exception) -> StoreError:
    """What to raise when something that was kept of a run cannot be read."""
    why = " ".join(str(error).split())[:200]
    return StoreError(
        f"cannot read '{path}' ({why}); put it back, or take the row '{run_id}' out of "
        "runs.csv to have it run again"
    )


class Store:
    """The rows of one data set, in ``runs.csv`` and ``trials.csv``.

    What is damaged is set aside when it is opened, see :mod:`benchmark.repair`.

    Args:
        folder: ``results/<dataset>``; created if missing.

    Raises:
        StoreError: If the folder cannot be written to, or a file in it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_atomic(folder / ".writable", b"")
        (folder / ".writable").unlink(missing_ok=True)
        for left in folder.rglob(".*.tmp"):  # by a process that was killed: a write takes moments
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    left.unlink()
        for left in folder.glob("checkpoints/*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    left.unlink()
        self._lock = FileLock(folder / ".lock")
        with self._locked():
            for table in ("runs", "trials"):
                try:
                    repair.mend(folder / f"{table}.csv", partial(self._write, table))
                except OSError as error:
                    raise self._damaged(table, error.strerror or str(error)) from error
            for path in itertools.chain.from_iterable(map(folder.glob, KEPT)):
                try:
                    repair.set_aside_if_unreadable(path)
                except OSError as error:
                    raise lost(path, path.stem, error) from error

    def claim(self, name: str) -> FileLock:
        """To be held while something is done that two processes should not do at the same time."""
        path = self.folder / ".locks" / f"{digest(name=name)}.lock"
        try:
            path.parent.mkdir(exist_ok=True)
            path.touch()
        except OSError as error:
            raise unusable(path, error) from error
        return FileLock(path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else writes to the tables meanwhile."""
        try:
            with self._lock:
                yield
        except OSError as error:
            raise unusable(self.folder, error) from error

    def ids(self, table: str) -> set[str]:
        """The ids of all rows."""
        return {record["run_id"] for record in self._read(table)}

    def rows(self, table: str, **where: str) -> pd.DataFrame:
        """Rows of ``runs`` or ``trials`` with these values, all of them by default.

        Without such a row the result has no columns either.
        """
        records = [
            record
            for record in self._read(table)
            if all((record.get(name) or SINCE_THEN.get(name, "")) == v for name, v in where.items())
        ]
        rows = pd.DataFrame(records)
        try:
            for name in rows:
                if repair.is_number(str(name)):
                    rows[name] = [float(value or "nan") for value in rows[name]]
        except ValueError as error:
            raise self._damaged(table, f"{str(error)[:200]} in column '{name}'") from error
        return rows

    def append(self, table: str, row: Mapping[str, Any]) -> None:
        """Add one row; one of the same ``run_id`` is replaced where it stands."""
        new = {
            name: "" if value is None or value != value else str(value)  # NaN differs from itself
            for name, value in row.items()
        }
        with self._locked():
            records = {record["run_id"]: record for record in self._read(table)}
            records[new["run_id"]] = new
            self._write(table, records.values())

    def remove(self, table: str, run_id: str) -> None:
        """Take one row out, if it is there."""
        with self._locked():
            records = {record["run_id"]: record for record in self._read(table)}
            if records.pop(run_id, None) is not None:
                self._write(table, records.values())

    def has(self, run_id: str, trained: bool) -> bool:
        """Whether a run is stored, and nothing that was kept of it is lost.

        Lists that were deleted, and not set aside, are not missed: they take room, and statistics
        do without.

        Args:
            run_id: Of the run.
            trained: Whether it has a history.
        """
        history = self.folder / "history" / f"{run_id}.csv"
        files = (self.folder / name.replace("*", run_id) for name in KEPT)
        return (
            run_id in self.ids("runs")
            and not any(map(repair.is_set_aside, files))
            and (history.exists() or not trained)
        )

    def reuse(self, run_id: str, identity: Mapping[str, str], study: str) -> bool:
        """Whether a run is stored; if so, it counts.

        A newer one may stand in its place, of code that has since been changed back; and another
        study may have come to the same hyper-parameters.
        """
        with self._locked():
            records = {record["run_id"]: record for record in self._read("runs")}
            if run_id not in records:
                return False
            if run_id not in set(self.current(identity)["run_id"]):
                records[run_id] = records.pop(run_id)  # now the last and so the newest
            elif records[run_id].get("study", "") == study:
                return True
            records[run_id]["study"] = study
            self._write("runs", records.values())
        return True

    def current(self, identity: Mapping[str, str]) -> pd.DataFrame:
        """The runs that count: of every variant the newest configuration, with all its seeds.

        Args:
            identity: What the runs need to agree in, such as the data and the preset.
        """
        runs = self.rows("runs", **identity)
        if runs.empty:
            return runs
        if "status" not in runs:
            raise self._damaged("runs", "no column 'status'")
        configuration = runs["run_id"].str.partition("-")[0].where(runs["status"] == "ok")
        newest = configuration.groupby(runs["variant"]).transform("last")
        return runs[configuration.isna() | (configuration == newest)]

    def save_lists(self, run_id: str, evaluation: Evaluation) -> None:
        """Keep where in every user's list the hits are, for statistics, in ``lists/<run_id>.npz``.

        All metrics follow from it, and it takes some ten bytes per user.
        """
        content = io.BytesIO()
        np.savez_compressed(
            content,
            users=evaluation.users.cpu().numpy().astype(np.int32),
            hits=np.packbits(evaluation.hits.cpu().numpy(), axis=1),
            num_positives=evaluation.num_positives.cpu().numpy().astype(np.int32),
            ks=np.asarray(evaluation.ks, dtype=np.int32),
        )
        write_atomic(self.folder / "lists" / f"{run_id}.npz", content.getvalue())

    def lists(self, run_id: str) -> Evaluation:
        """What :meth:`save_lists` kept of a run.

        Raises:
            StoreError: If the file is gone or damaged.
        """
        path = self.folder / "lists" / f"{run_id}.npz"
        try:
            stored = read_arrays(path)
            users, positives, ks, packed = (stored[name] for name in LISTS)
            if any(stored[name].dtype.kind not in "iu" for name in LISTS):
                raise ValueError("its arrays are no whole numbers")
            if packed.ndim != 2 or not users.shape == positives.shape == packed.shape[:1]:
                raise ValueError("its arrays are not of the same users")
            longest = int(ks.max())
            if ks.ndim != 1 or not 0 < ks.min() <= longest <= 8 * packed.shape[1]:
                raise ValueError("its cut-offs are not those of its lists")
            return Evaluation(
                torch.from_numpy(users.astype(np.int64)),
                torch.from_numpy(np.unpackbits(packed, axis=1, count=longest).astype(bool)),
                torch.from_numpy(positives.astype(np.int64)),
                ks.tolist(),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise lost(path, run_id, error) from error

    def save_history(self, run_id: str, history: Sequence[Mapping[str, float]]) -> None:
        """Keep what happened in every epoch, in ``history/<run_id>.csv``."""
        text = pd.DataFrame(history).to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_atomic(self.folder / "history" / f"{run_id}.csv", text)

    def history(self, run_id: str) -> pd.DataFrame:
        """What :meth:`save_history` kept of a run.

        Raises:
            StoreError: If the file is gone or damaged.
        """
        path = self.folder / "history" / f"{run_id}.csv"
        try:
            check_file(path)
            history = pd.read_csv(path)
            if not all(map(pd.api.types.is_numeric_dtype, history.dtypes)):
                raise ValueError("it holds other things than numbers")
            return history
        except (OSError, ValueError) as error:
            raise lost(path, run_id, error) from error

    def _read(self, table: str) -> list[dict[str, str]]:
        """The rows as text: what is read and written back stays the same to the last digit."""
        try:
            path = self.folder / f"{table}.csv"
            check_file(path)
            content = path.read_bytes()
            repair.check_header(content.partition(b"\n")[0])
            return repair.parsed(content)
        except FileNotFoundError:
            return []
        except (OSError, *repair.UNREADABLE) as error:
            raise self._damaged(table, str(error)) from error

    def _write(self, table: str, records: Iterable[Mapping[str, str]]) -> None:
        records = list(records)
        if not records:
            (self.folder / f"{table}.csv").unlink(missing_ok=True)
            return
        columns = list(dict.fromkeys(name for record in records for name in record))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        write_atomic(self.folder / f"{table}.csv", text.getvalue())

    def _damaged(self, table: str, why: str) -> StoreError:
        path = self.folder / f"{table}.csv"
        return StoreError(
            f"cannot read stored results in '{path}' ({why}); the same command sets it aside and "
            "goes on"
        )
