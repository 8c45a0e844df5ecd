"""A stored run once more, from its row alone, and how far it is from what is stored."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmark.datasets import Dataset, load
from benchmark.identity import common
from benchmark.outputs.significance import DIGITS, bootstrap
from benchmark.progress import Reporter
from benchmark.store import Store
from benchmark.stored_models import Row, legible, task_of, variant_of
from benchmark.suite import train_and_test, trainer_of
from models.errors import UsageError
from models.registry import create

SHOWN = ("stored", "low", "high", "again")


def found(results_root: Path, run_id: str) -> tuple[Store, Row]:
    """The row of a run, and the results of which data set it is among.

    Raises:
        UsageError: If no data set has such a finished run.
        StoreError: If its lists are lost.
    """
    for path in sorted(results_root.glob("*/runs.csv")):
        if run_id.encode() not in path.read_bytes():
            continue  # opening results may mend them, and these are of other runs
        store = Store(path.parent)
        rows = store.rows("runs", run_id=run_id, status="ok")
        if len(rows):
            row: Row = rows.iloc[-1].to_dict()
            store.lists(run_id)  # what the comparison takes, lest it fail after the training
            return store, row
    raise UsageError(
        f"no finished run '{run_id}' in '{results_root}/*/runs.csv': take an id of the column "
        "run_id, and name the folder with --results-root"
    )


def data_of(row: Row, data_root: Path | None) -> Dataset:
    """What a run was trained on.

    Raises:
        UsageError: If the data are not at hand, or are others than those of the run.
    """
    dataset = load(row["dataset"], data_root)
    if dataset.fingerprint != row["data_fingerprint"]:
        raise UsageError(
            f"run '{row['run_id']}' is of other data than '{dataset.name}' (fingerprint "
            f"{row['data_fingerprint']}, here {dataset.fingerprint}): see --data-root"
        )
    return dataset


def repeated(row: Row, data_root: Path | None, device: torch.device, reporter: Reporter) -> Row:
    """Train and test a run again, with the hyper-parameters and the seed of its row.

    Nothing is tuned, and nothing is written beside the stored results.

    Raises:
        UsageError: As for :func:`data_of`.
    """
    dataset = data_of(row, data_root)
    with tempfile.TemporaryDirectory() as folder:
        task = task_of(row, dataset, Path(folder), device)
        torch.set_float32_matmul_precision(task.settings.matmul_precision)
        with legible(row):
            variant, seed = variant_of(row), int(row["seed"])
            model = create(row["model"], **json.loads(row["params"]))
        trainer = trainer_of(variant, task, partial(task.tuner, reporter=reporter))
        reporter.line(train_and_test(variant, seed, model, task, trainer, common(variant, task)))
        reporter.finish()
        again: Row = task.store.rows("runs").iloc[-1].to_dict()
    return again


def compared(store: Store, row: Row, again: Row) -> pd.DataFrame:
    """Every test metric of both, beside its 95 % bootstrap interval over users.

    Args:
        store: Of the stored run, with its lists.
        row: The stored run.
        again: Of :func:`repeated`.

    Returns:
        Columns ``metric``, ``stored``, ``low``, ``high``, ``again``, ``inside``.
    """
    per_user = store.lists(row["run_id"]).per_user
    names = list(per_user)
    low, high = bootstrap(np.stack([values.numpy() for values in per_user.values()], axis=1))
    values = ([float(each[name]) for name in names] for each in (row, again))
    frame = pd.DataFrame(dict(zip(SHOWN, (next(values), low, high, next(values)), strict=True)))
    frame.insert(0, "metric", names)
    rounded = frame["again"].round(DIGITS)  # as both ends are
    return frame.assign(inside=rounded.between(frame["low"], frame["high"]))


def verdict(row: Row, again: Row, frame: pd.DataFrame) -> str:
    """What the comparison comes to, in a sentence."""
    outside = frame["metric"][~frame["inside"]].tolist()
    if (frame["stored"] == frame["again"]).all():
        told = "the same to the last digit"
    elif not outside:
        told = "other digits, inside the interval in every metric"
    else:
        told = f"outside the interval in {', '.join(outside)}"
    if again["run_id"] != row["run_id"]:
        told += "; the code of the model has changed since the stored run"
    return told + "."
