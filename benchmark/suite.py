"""All runs on one data set: tune, train with every seed, test once, store, draw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch
from rich.console import Console

from benchmark import figures, tables
from benchmark.datasets import Dataset
from benchmark.evaluation import Evaluator
from benchmark.experiments import Experiment, Variant, experiments
from benchmark.features import scale_features, select_modalities
from benchmark.machine import commit, device_name, versions
from benchmark.presets import Preset
from benchmark.progress import Reporter
from benchmark.splits import split
from benchmark.store import Store, StoreError, code_version, digest, write_atomic
from benchmark.tuning import JUDGED_AT, Fitted, Tuner, grid_size
from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import create, label, model_class
from models.training import TrainedRecommender

SHOWN = (".csv", ".md", ".tex", ".png", ".pdf")


@dataclass(frozen=True)
class Settings:
    """What a call of the program asks for.

    Args:
        models: Registered names.
        experiments: Names of tables and figures.
        preset: The budget.
        seeds: Trainings of each tuned model, with seeds ``0..seeds-1``.
        device: Where models are trained.
        modalities: Names of item features; ``None`` for all that the data has.
        feature_scaling: One of :data:`benchmark.presets.FEATURE_SCALING`.
        split_seed: Of the random split, where the data ships none.
        ks: Cut-offs of the metrics.
        results_root: Results go to ``<results_root>/<dataset>``.
    """

    models: Sequence[str]
    experiments: Sequence[str]
    preset: Preset
    seeds: int
    device: torch.device
    modalities: Sequence[str] | None
    feature_scaling: str
    split_seed: int
    ks: Sequence[int]
    results_root: Path

    @property
    def headline_k(self) -> int:
        """The cut-off of tables with a single one: 10, as in the paper, if it is asked for."""
        return 10 if 10 in self.ks else max(self.ks)


@dataclass(frozen=True)
class Task:
    """One data set, ready to be run on.

    Args:
        dataset: The data.
        settings: What the call of the program asks for.
        train: Training interactions and item features, on the device to train on.
        validation: Ranks the validation positives.
        test: Ranks the test positives; only :func:`train_and_test` uses it.
        identity: What determines the data and the budget.
        store: Where results are kept.
    """

    dataset: Dataset
    settings: Settings
    train: Interactions
    validation: Evaluator
    test: Evaluator
    identity: dict[str, str]
    store: Store

    @property
    def experiments(self) -> list[Experiment]:
        """The tables and figures asked for that the models and the data allow."""
        possible = experiments(self.settings.models, list(self.train.features))
        return [each for each in possible if each.name in self.settings.experiments]

    @property
    def row(self) -> dict[str, str]:
        """What all rows of one table agree in."""
        return {**self.identity, "ks": " ".join(map(str, self.settings.ks))}


def prepare(dataset: Dataset, settings: Settings) -> Task:
    """Split a data set and open its results, so that mistakes show before any training.

    Raises:
        UsageError: If the data do not fit the settings or the results folder cannot be used.
    """
    for k, what in ((max(settings.ks), "--ks"), (JUDGED_AT, "choosing hyper-parameters by recall")):
        if k > dataset.num_items:
            raise UsageError(
                f"{what} at cut-off {k} needs as many items, '{dataset.name}' has "
                f"{dataset.num_items}: use smaller cut-offs or more data"
            )
    wanted = select_modalities(dataset.features, settings.modalities or list(dataset.features))
    raw = {name: matrix for name, matrix in dataset.features.items() if name in wanted}
    parts = split(dataset, scale_features(raw, settings.feature_scaling), settings.split_seed)
    train, validation = parts.train.to(settings.device), parts.validation.to(settings.device)
    identity = {
        "dataset": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "split_seed": "shipped" if dataset.labels is not None else str(settings.split_seed),
        "modalities": "+".join(raw) or "none",
        "feature_scaling": settings.feature_scaling,
        "preset": settings.preset.name,
    }
    return Task(
        dataset=dataset,
        settings=settings,
        train=train,
        validation=Evaluator(validation, train, ks=(JUDGED_AT,)),
        test=Evaluator(parts.test.to(settings.device), train.union(validation), settings.ks),
        identity=identity,
        store=Store(settings.results_root / dataset.name),
    )


def run_suite(task: Task, console: Console) -> list[str]:
    """Do every run that is not yet stored, then write tables and figures from the stored rows.

    Returns:
        A line for each model that failed.
    """
    # one of several experiments may ask for the same variant
    cells = [cell for experiment in task.experiments for cell in experiment.cells]
    variants, failures = list({variant.label: variant for _, variant in cells}.values()), []
    trainings = sum(
        grid_size(model_class(variant.model), task.settings.preset)  # none new if tuned before
        + seeds_of(variant, task.settings.seeds)
        for variant in variants
    )
    try:
        with Reporter(trainings, console) as reporter:
            tuner = Tuner(
                task.train,
                task.validation,
                task.settings.preset,
                task.identity,
                task.store,
                reporter,
            )
            for variant in variants:
                with task.store.claim(variant.label):
                    failures += run_variant(variant, task, tuner)
    finally:  # Ctrl-C included: what is stored is shown
        write_outputs(task)
    return failures


def seeds_of(variant: Variant, seeds: int) -> int:
    """How often a variant is trained; once where nothing about it is random."""
    return seeds if "seed" in model_class(variant.model).defaults() else 1


def run_variant(variant: Variant, task: Task, tuner: Tuner) -> list[str]:
    """Tune a variant, train it with every seed, and store one row for each.

    Whatever goes wrong with a model becomes a row with the reason, and the suite goes on.

    Returns:
        A line if it failed.
    """
    cls, reporter = model_class(variant.model), tuner.reporter
    row = {**task.row, "variant": variant.label, "model": variant.model}
    closed = digest(**row)  # the one row of a variant without a result
    try:
        missing = cls.missing_modality(list(task.train.features))
        if missing is not None:
            available = ", ".join(task.train.features) or "none"
            raise UsageError(f"needs {missing} modality; the data has {available}")
        tuned, best = tuner.tune(variant.tuned_as or variant)
        for seed in range(seeds_of(variant, task.settings.seeds)):
            fixed = tuner.fixed(variant)
            if "seed" in cls.defaults():
                fixed["seed"] = seed
            model = create(variant.model, **{**fixed, **tuned})
            ready = best if seed == 0 and variant.tuned_as is None else None
            reporter.line(train_and_test(variant, seed, model, ready, task, tuner))
            reporter.finish()
    except StoreError:
        raise
    except Exception as error:
        skipped = isinstance(error, UsageError)
        reason = str(error) if skipped else f"{type(error).__name__}: {error}"
        status = {"status": "skipped" if skipped else "failed", "reason": " ".join(reason.split())}
        task.store.append("runs", {"run_id": closed, **status, **row, "seed": None})
        line = f"{variant.label} {status['status']}: {status['reason']}"
        reporter.line(line, style="red")
        return [] if skipped else [line]
    task.store.remove("runs", closed)
    return []


def train_and_test(
    variant: Variant, seed: int, model: Recommender, ready: Fitted | None, task: Task, tuner: Tuner
) -> str:
    """Train once, look at the test data once, store the row; nothing if it is stored already.

    Args:
        variant: What the row is about.
        seed: Of initialisation and sampling.
        model: With its final hyper-parameters, not yet trained.
        ready: The same model if tuning has just trained it.
        task: The data and where results go.
        tuner: Trains.

    Returns:
        A line about the result.
    """
    row = {**task.row, "variant": variant.label, "model": variant.model}
    params = {name: value for name, value in model.params().items() if name != "seed"}
    run_id = f"{digest(**row, params=params, code=code_version(type(model)))}-{seed}"
    if task.store.reuse(run_id, task.row):
        return f"{variant.label}, seed {seed}: stored already"
    started = datetime.now(timezone.utc)
    fitted = ready or tuner.fit(f"{variant.label}, seed {seed}", model)
    evaluation = task.test(fitted.model)
    task.store.save_lists(run_id, evaluation)
    if isinstance(fitted.model, TrainedRecommender):
        task.store.save_history(run_id, fitted.model.history)
    task.store.append(
        "runs",
        {
            "run_id": run_id,
            "status": "ok",
            "reason": "",
            **row,
            "seed": seed,
            "params": json.dumps(model.params(), sort_keys=True),
            "validation_recall@10": fitted.validation,
            **evaluation.means,
            "epochs": fitted.epochs,
            "train_seconds": round(fitted.seconds, 3),
            "peak_memory_mib": round(fitted.peak_memory_mib, 1),
            "device": device_name(task.settings.device),
            "versions": json.dumps(versions()),
            "commit": commit(),
            "started": started.isoformat(timespec="seconds"),
        },
    )
    k = task.settings.headline_k
    return (
        f"{variant.label}, seed {seed}: test recall@{k} {evaluation.means[f'recall@{k}']:.4f}, "
        f"{fitted.seconds:.1f} s, {fitted.epochs} epochs"
    )


def write_outputs(task: Task) -> None:
    """Tables, figures and the manifest, from stored rows alone; nothing if there is no row."""
    settings, store = task.settings, task.store
    runs = store.current(task.row)
    if runs.empty:
        return
    k = settings.headline_k
    overall = runs[(runs["model"] != "huign") | (runs["variant"] == label("huign"))]
    for experiment in task.experiments:
        if experiment.name == "table2":
            if not overall.empty:
                tables.write_table2(overall, settings.ks, store.folder)
                figures.write_table2(overall, store.folder)
        elif not (cells := tables.by_cell(experiment, runs, k)).empty:
            tables.write_cells(experiment, cells, runs, store.folder)
            if experiment.name == "figure3":
                edges = [store.history(ids.split()[0])["edges"].iloc[0] for ids in cells["runs"]]
                figures.write_figure3(cells.assign(edges=edges), k, store.folder)
    manifest = {
        "dataset": task.dataset.describe(),
        "settings": {**task.identity, "seeds": settings.seeds, "ks": list(settings.ks)},
        "device": device_name(settings.device),
        "versions": versions(),
        "commit": commit(),
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "runs": runs["run_id"].tolist(),
        "files": sorted(path.name for path in store.folder.iterdir() if path.suffix in SHOWN),
    }
    write_atomic(store.folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
