"""The record of a folder as its last run left it, drawn again or compared with what is there."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmark.datasets import Dataset, load
from benchmark.experiments import Experiment, experiments
from benchmark.outputs.writers import FIGURES, TABLES, TABLES_OF_DATA, write_outputs
from benchmark.planted_intents import planted, sizes
from benchmark.presets import EXPERIMENTS, NO_MODALITY, ON_REQUEST
from benchmark.record import Record
from benchmark.store import SINCE_THEN, Store
from benchmark.writing import StoreError, write_atomic
from models.errors import UsageError
from models.registry import model_class

STORED = ("runs.csv", "trials.csv", "manifest.json", "lists", "popularity", "history", "intents")
"""Of a folder, what tables are made from."""

WITNESS = {"table2": "statistics"}
"""By a table that names no runs, one that is drawn with it and does."""

NEEDED: Mapping[str, Sequence[str]] = {
    "dataset": ("name", "source", "users", "items", "fingerprint"),
    "settings": (
        "dataset", "data_fingerprint", "split_method", "split_seed", "modalities",
        "feature_scaling", "preset", "ks", "seeds",
    ),
    "experiments": (),
    "models": (),
}  # fmt: skip
"""What a manifest has to tell, and what about it."""

YOUNGER = ("evaluation_protocol", "vary", "matmul_precision")
"""Settings that an older manifest lacks."""

PRECISION = 1e-9
"""By how much of themselves numbers may differ, as they do on another processor."""


def redraw(folder: Path, data_root: Path | None) -> str:
    """Write everything that rows and data allow; returns a line about it.

    Raises:
        StoreError: If the folder holds no manifest, or it cannot be read.
    """
    manifest = manifest_of(folder)
    dataset = same_data(manifest, data_root)
    if dataset is None:
        record = record_of(folder, manifest, counted(manifest))
        for write in (*TABLES, *FIGURES):
            write(record)
        return "drawn from the rows alone, as its data are not at hand"
    asked = {name: manifest[name] for name in ("experiments", "models")}
    record = record_of(folder, manifest, dataset)
    write_outputs(record, manifest["settings"]["seeds"], torch.device("cpu"))
    path = folder / "manifest.json"
    # what earlier calls drew may be of other models, and is not what the last one asked for
    new = json.loads(path.read_text(encoding="utf-8")) | asked
    write_atomic(path, json.dumps(new, indent=2) + "\n")
    return "drawn"


def differences(folder: Path, data_root: Path | None) -> list[str]:
    """Names of the tables that are not what the rows give.

    Those of Figure 4 are not compared: t-SNE takes long, and another processor's places differ.

    Args:
        folder: Results of a data set, which are left as they are.
        data_root: The folder of data sets. If it lacks those of the results, tables that need them
            are not compared either.
    """
    manifest = manifest_of(folder)
    with tempfile.TemporaryDirectory() as root:
        copy = Path(root) / folder.resolve().name
        copy.mkdir()
        for name in STORED:
            if (folder / name).is_dir():
                shutil.copytree(folder / name, copy / name)
            elif (folder / name).exists():
                shutil.copy(folder / name, copy / name)
        dataset = same_data(manifest, data_root)
        record = record_of(copy, manifest, dataset or counted(manifest))
        for write in (*TABLES, *(() if dataset is None else TABLES_OF_DATA)):
            write(record)
        drawn = [p for p in copy.iterdir() if p.suffix in (".csv", ".md") and p.name not in STORED]
        return sorted(path.name for path in drawn if not alike(path, folder / path.name))


def manifest_of(folder: Path) -> dict[str, Any]:
    """What the last call of the program on this folder was about, and what earlier ones drew."""
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if missing := NEEDED.keys() - manifest.keys():
            raise ValueError(f"no {', '.join(sorted(missing))}")
        for name, parts in NEEDED.items():
            if lacking := [part for part in parts if part not in manifest[name]]:
                raise ValueError(f"no {', '.join(lacking)} in {name}")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise StoreError(
            f"cannot read '{path}' ({error}): make the call of benchmark.run that made the folder "
            "once more, and it is written anew"
        ) from error
    drawn = [path.stem for path in folder.glob("*.csv")]
    told = {name: runs_of(folder / f"{WITNESS.get(name, name)}.csv") for name in drawn}
    return {**manifest, "drawn": told}


def runs_of(path: Path) -> list[str]:
    """The runs that a table names; none if it is gone or damaged."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return []
    return " ".join([*table.get("runs", ()), *table.get("run_id", ())]).split()


def same_data(manifest: dict[str, Any], data_root: Path | None) -> Dataset | None:
    """The data of the results, if they are at hand."""
    try:
        dataset = load(manifest["dataset"]["name"], data_root)
    except UsageError:
        return None
    return dataset if dataset.fingerprint == manifest["dataset"]["fingerprint"] else None


def counted(manifest: dict[str, Any]) -> Dataset:
    """Data of which no more is known than the number of users and items."""
    nothing, told = np.empty(0, dtype=np.int64), manifest["dataset"]
    return Dataset(
        told["name"], told["source"], nothing, nothing, told["users"], told["items"], features={}
    )


def record_of(folder: Path, manifest: dict[str, Any], dataset: Dataset) -> Record:
    """What is stored of the calls that a manifest tells of, and what they asked for.

    Raises:
        UsageError: If a model of theirs is unknown here.
    """
    told = {name: SINCE_THEN[name] for name in YOUNGER} | manifest["settings"]
    ks = told.pop("ks")
    told.pop("seeds")
    modalities = [name for name in told["modalities"].split("+") if name != NO_MODALITY]
    identity, store = {**told, "ks": " ".join(map(str, ks))}, Store(folder)

    def possible(models: Collection[str]) -> dict[str, Experiment]:
        for name in models:
            must_be_known(name, folder)
        found = experiments(models, modalities, sizes(planted(dataset)))
        return {each.name: each for each in found}

    asked = {n: e for n, e in possible(manifest["models"]).items() if n in manifest["experiments"]}
    rows = store.rows("runs", **identity)
    model_of = dict(zip(rows["run_id"], rows["model"], strict=True)) if len(rows) else {}
    of_others = store.ids("runs") - model_of.keys()
    for name, runs in manifest["drawn"].items():
        if name in asked or of_others.intersection(runs):  # those are of another preset, say
            continue
        models = dict.fromkeys(model_of[each] for each in runs if each in model_of)
        if name in (found := possible(models or manifest["models"])):
            asked[name] = found[name]
    ordered = [asked[name] for name in (*EXPERIMENTS, *ON_REQUEST) if name in asked]
    return Record(store, dataset, ordered, ks, identity)


def must_be_known(name: str, folder: Path) -> None:
    """Refuse a model without which tables would say that it was not run.

    Raises:
        UsageError: If it is unknown here, with the reason.
    """
    try:
        model_class(name)
    except UsageError as error:
        raise UsageError(
            f"'{folder.name}' has results of '{name}', which is no model here ({error}); if it was "
            "a plug-in, name its folder with --plugins"
        ) from error


def alike(new: Path, old: Path) -> bool:
    """Whether two tables say the same, but for the last digits of exact numbers."""
    if not old.exists():
        return False
    if new.suffix != ".csv":
        return new.read_text(encoding="utf-8") == old.read_text(encoding="utf-8")
    try:
        first, second = pd.read_csv(new), pd.read_csv(old)
        pd.testing.assert_frame_equal(first, second, rtol=PRECISION, atol=PRECISION)
    except (AssertionError, ValueError):  # other numbers, or no table at all
        return False
    return True
