"""The record: one row per run and per trial, never half written."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from torch import Tensor

from models.errors import UsageError
from models.recommender import Recommender

PROTOCOL = 1
"""Raise by one when splits, sampling, evaluation or metrics change what they compute."""


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file in one step, so that a reader or a crash never meets half of it."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def code_version(model: type[Recommender]) -> str:
    """A digest of the source files that a model is made of: its own and those they import.

    Editing a baseline makes its own stored runs stale, and those of models built on it.
    """
    home = model.__module__.partition(".")[0]  # "models", "baselines", or a folder of plug-ins
    names, seen = [model.__module__], set[str]()
    sources = hashlib.sha256()
    while names:
        name = names.pop()
        if name in seen or name.partition(".")[0] not in ("models", home):
            continue
        seen.add(name)
        module = sys.modules[name]
        sources.update(Path(str(module.__file__)).read_bytes())
        names += sorted(getattr(value, "__module__", None) or "" for value in vars(module).values())
    return sources.hexdigest()[:12]


def digest(**identity: Any) -> str:
    """Twelve hexadecimal digits for everything that determines a result."""
    text = json.dumps({"protocol": PROTOCOL, **identity}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Store:
    """The rows of one data set, in ``runs.csv`` and ``trials.csv``.

    Args:
        folder: ``results/<dataset>``; created if missing.

    Raises:
        UsageError: If the folder cannot be written to, or a file in it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / ".writable", b"")
            (folder / ".writable").unlink()
        except OSError as error:
            raise UsageError(
                f"cannot write results to '{folder}': {error.strerror}; choose another folder "
                "with --results-root"
            ) from None
        self._lock = FileLock(folder / ".lock")

    def rows(self, table: str) -> pd.DataFrame:
        """All rows of ``runs`` or ``trials``; empty when there is no file yet."""
        path = self.folder / f"{table}.csv"
        if not path.exists():
            return pd.DataFrame()
        try:
            return pd.read_csv(path, dtype={"run_id": str, "params": str})
        except (OSError, ValueError) as error:
            raise UsageError(
                f"cannot read stored results in '{path}': {error}; repair or move the file away"
            ) from None

    def append(self, table: str, row: Mapping[str, Any]) -> None:
        """Add one row; a row of the same ``run_id`` is replaced."""
        path = self.folder / f"{table}.csv"
        with self._lock:
            old = self.rows(table)
            if len(old):
                old = old[old["run_id"] != row["run_id"]]
            # via records: columns may differ between rows, and pandas warns about empty ones
            records: list[dict[str, Any]] = [*old.to_dict("records"), dict(row)]  # type: ignore[list-item]
            columns = list(dict.fromkeys(name for record in records for name in record))
            text = io.StringIO()
            writer = csv.DictWriter(text, columns, lineterminator="\n")
            writer.writeheader()
            for record in records:
                writer.writerow({k: "" if v is None or v != v else v for k, v in record.items()})
            write_atomic(path, text.getvalue())

    def save_per_user(self, run_id: str, users: Tensor, values: Mapping[str, Tensor]) -> None:
        """Keep every evaluated user's metrics, for statistics, in ``per_user/<run_id>.npz``."""
        folder = self.folder / "per_user"
        folder.mkdir(exist_ok=True)
        arrays: dict[str, Any] = {name: vector.cpu().numpy() for name, vector in values.items()}
        content = io.BytesIO()
        np.savez_compressed(content, users=users.cpu().numpy(), **arrays)
        write_atomic(folder / f"{run_id}.npz", content.getvalue())

    def save_history(self, run_id: str, history: Sequence[Mapping[str, float]]) -> None:
        """Keep what happened in every epoch, in ``history/<run_id>.csv``."""
        folder = self.folder / "history"
        folder.mkdir(exist_ok=True)
        text = pd.DataFrame(history).to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_atomic(folder / f"{run_id}.csv", text)

    def current(self, identity: Mapping[str, str]) -> pd.DataFrame:
        """The runs on these data under this preset that count: the newest per variant and seed.

        A failed or skipped variant counts only until a later run of it succeeds.
        """
        runs = self.rows("runs")
        if runs.empty:
            return runs
        for column, value in identity.items():
            runs = runs[runs[column].astype(str) == value]
        runs = runs.drop_duplicates(["variant", "seed"], keep="last")
        ended_well = runs[runs["status"] == "ok"].reset_index().groupby("variant")["index"].max()
        superseded = runs.index.to_series() < runs["variant"].map(ended_well).fillna(-1)
        return runs[(runs["status"] == "ok") | ~superseded]

    def finished(self) -> set[str]:
        """Ids of the runs that need not be repeated: all but failed ones."""
        runs = self.rows("runs")
        if runs.empty:
            return set()
        return set(runs.loc[runs["status"] != "failed", "run_id"])
