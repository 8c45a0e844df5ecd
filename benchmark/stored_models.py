"""The model of a stored run: loaded if it was kept, else trained again and kept."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmark.damage import Damage, damaged, remaining
from benchmark.datasets import Dataset
from benchmark.evaluation import validation_score
from benchmark.experiments import Variant
from benchmark.identity import identified
from benchmark.presets import NO_MODALITY, PRESETS, SPLIT_METHODS
from benchmark.progress import Reporter
from benchmark.protocols import deciding
from benchmark.saved import is_saved, load, save
from benchmark.splits import seed_of
from benchmark.store import SINCE_THEN, Store
from benchmark.task import Settings, Task, prepare
from benchmark.tuning import JUDGED_AT
from benchmark.writing import StoreError
from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import create

DATA = ("data_fingerprint", "split_method", "split_seed", "modalities", "feature_scaling")
"""Of a task's identity, what training interactions and features depend on."""

Row = Mapping[Hashable, Any]
"""One row of ``runs.csv``."""


def chosen(
    results_root: Path, dataset: Dataset, model: str | None = None, run_id: str | None = None
) -> Row:
    """The run that was asked for, by its id, or as the best of a model's.

    Of the newest configuration under the corrected protocol, as in Table 2, that is the seed with
    the best validation recall@10: the test data take no part in the choice.

    Raises:
        UsageError: If there is no such run of these very data.
    """
    path, wanted = results_root / dataset.name / "runs.csv", f"run of '{model}'"
    where = {"model": str(model), "tuned_as": "", "evaluation_protocol": "corrected"}
    if run_id is not None:
        wanted, where = f"run '{run_id}'", {"run_id": run_id}
        others = (path.parent.with_name(f"{dataset.name}-{each}") for each in SPLIT_METHODS[1:])
        folders = [each for each in (path.parent, *others) if (each / "runs.csv").exists()]
        path = next((f / "runs.csv" for f in folders if run_id in Store(f).ids("runs")), path)
    fix = (
        f"make one with 'python -m benchmark.run --models {model or '...'} --dataset "
        f"{dataset.name}', and the same --data-root and --results-root"
    )
    if not path.exists():
        raise UsageError(f"'{path.parent}' holds no {wanted}: {fix}")
    found = Store(path.parent).rows("runs", status="ok", **where)
    if found.empty:
        raise UsageError(f"'{path}' holds no finished {wanted}: {fix}")
    runs = found[found["data_fingerprint"] == dataset.fingerprint]
    if runs.empty:
        raise UsageError(
            f"every {wanted} in '{path}' is of other data (fingerprint "
            f"{found['data_fingerprint'].iloc[-1]}, now {dataset.fingerprint}): {fix}"
        )
    configuration = runs["run_id"].str.partition("-")[0]
    newest = runs[configuration == configuration.iloc[-1]]
    score = f"validation_recall@{JUDGED_AT}"
    best: Row = newest.sort_values(score, ascending=False, kind="stable").iloc[0].to_dict()
    return best


@contextmanager
def legible(row: Row) -> Iterator[None]:
    """Turn what goes wrong with a row that somebody edited into an error that says so."""
    try:
        yield
    except UsageError:
        raise
    except (KeyError, ValueError, TypeError) as error:
        raise StoreError(
            f"row '{row['run_id']}' of runs.csv makes no sense ({type(error).__name__}: {error}); "
            "take it out to have it run again"
        ) from error


def task_of(row: Row, dataset: Dataset, results_root: Path, device: torch.device) -> Task:
    """The task that a stored run was part of."""

    def value(name: str) -> str:
        return str(row.get(name) or SINCE_THEN.get(name, ""))

    with legible(row):
        settings = Settings(
            models=[value("model")],
            experiments=("table2",),
            preset=PRESETS[value("preset")],
            seeds=1,
            vary=value("vary"),
            protocol=value("evaluation_protocol"),
            device=device,
            modalities=None
            if value("modalities") == NO_MODALITY
            else value("modalities").split("+"),
            feature_scaling=value("feature_scaling"),
            split_method=value("split_method"),
            split_seed=seed_of(value("split_seed")),
            matmul_precision=value("matmul_precision"),
            ks=[int(k) for k in value("ks").split()],
            results_root=results_root,
        )
    return prepare(dataset, settings)


def variant_of(row: Row) -> Variant:
    """What was run, as far as its outcome depends on it."""
    switches = tuple(filter(None, row.get("switches", "").split("+")))
    damage = Damage.read(row["damage"]) if row.get("damage") else None
    return Variant(row["variant"], row["model"], switches=switches, damage=damage)


def trained_on(variant: Variant, task: Task) -> Interactions:
    """The interactions and item features that a variant is trained on, damaged if it is so."""
    train, damage = task.parts.train, variant.damage
    if damage is None:
        return train
    return damaged(remaining(train, damage), damage, task.settings.feature_scaling)


def model_of(row: Row, task: Task, reporter: Reporter) -> Recommender:
    """The trained model of a stored run, from ``models/<run_id>/`` beside the stored rows.

    If it is not there, it is trained with the hyper-parameters of the row, tested to see that it
    came out the same, and kept there.

    Args:
        row: The run.
        task: Of :func:`task_of`.
        reporter: Shows what happens.

    Raises:
        UsageError: If the code of the model has changed since the run, or what was kept of it is
            damaged.
    """
    run_id, name, label, seed = row["run_id"], row["model"], row["variant"], int(row["seed"])
    with legible(row):
        variant, model = variant_of(row), create(name, **json.loads(row["params"]))
    if identified(variant, seed, model, task) != run_id:
        raise UsageError(
            f"run '{run_id}' is of other code than that of '{name}' now: run 'python -m "
            f"benchmark.run' for it again, with the options that it was made with"
        )
    switches = task.switches(variant)
    train = trained_on(variant, task)
    tuner = replace(task.tuner(deciding(switches), reporter), train=train)
    validate = validation_score(tuner.validation, f"recall@{JUDGED_AT}")
    data = {what: task.identity[what] for what in DATA}
    if variant.damage is not None:
        data["damage"] = str(variant.damage)
    folder = task.store.folder / "models" / run_id
    with task.store.claim(f"model {run_id}"):  # a second process finds it trained
        if is_saved(folder):
            reporter.line(f"{label}, seed {seed}: loaded from '{folder}'")
            return load(folder, train, data, validate)
        tuner.trained(f"{label}, seed {seed}", model, run_id)
        means = task.test(switches, task.settings.ks)(model).means
        reporter.line(f"{label}, seed {seed}: trained again, {compared(row, means)}")
        try:
            save(folder, name, model, train, data, validate)
            tuner.checkpoint(run_id).remove()
            reporter.line(f"kept in '{folder}'")
        except UsageError as error:
            reporter.line(f"not kept: {error}", style="yellow")
    return model


def compared(row: Row, means: Mapping[str, float]) -> str:
    """Whether the test metrics are those of the stored run, in words."""
    name = max(means, key=lambda name: abs(means[name] - row[name]))
    if means[name] == row[name]:
        return "with the test metrics of the stored run"
    return (
        f"and test {name} is {means[name]:.4f}, where the stored run has {row[name]:.4f}: "
        "another processor, number of threads or version of torch rounds otherwise"
    )
