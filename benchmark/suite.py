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
from benchmark.experiments import Variant, table2
from benchmark.features import scale_features
from benchmark.machine import commit, device_name, versions
from benchmark.presets import Preset
from benchmark.progress import Reporter
from benchmark.splits import split
from benchmark.store import Store, code_version, digest, write_atomic
from benchmark.tuning import Fitted, Tuner, grid_size
from models.errors import UsageError
from models.recommender import Recommender
from models.registry import create, model_class
from models.training import TrainedRecommender

SHOWN = (".csv", ".md", ".tex", ".png", ".pdf")


@dataclass(frozen=True)
class Settings:
    """What a call of the program asks for.

    Args:
        models: Registered names.
        preset: The budget.
        seeds: Trainings of each tuned model, with seeds ``0..seeds-1``.
        device: Where models are trained.
        feature_scaling: One of :data:`benchmark.features.FEATURE_SCALING`.
        split_seed: Of the random split, where the data ships none.
        ks: Cut-offs of the metrics.
        results_root: Results go to ``<results_root>/<dataset>``.
    """

    models: Sequence[str]
    preset: Preset
    seeds: int
    device: torch.device
    feature_scaling: str
    split_seed: int
    ks: Sequence[int]
    results_root: Path


def run_suite(dataset: Dataset, settings: Settings, console: Console) -> list[str]:
    """Do every run that is not yet stored, then write tables and figures from the stored rows.

    Returns:
        A line for each model that failed.
    """
    variants = table2(settings.models)
    store = Store(settings.results_root / dataset.name)
    features = scale_features(dataset.features, settings.feature_scaling)
    parts = split(dataset, features, settings.split_seed)
    train, validation = parts.train.to(settings.device), parts.validation.to(settings.device)
    identity = {
        "dataset": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "split_seed": "shipped" if dataset.labels is not None else str(settings.split_seed),
        "feature_scaling": settings.feature_scaling,
        "preset": settings.preset.name,
    }
    test = Evaluator(parts.test.to(settings.device), train.union(validation), settings.ks)
    trainings = sum(
        grid_size(model_class(variant.model), settings.preset) + seeds_of(variant, settings.seeds)
        for variant in variants
    )
    try:
        with Reporter(trainings, console) as reporter:
            judge = Evaluator(validation, train, ks=(10,))
            tuner = Tuner(train, judge, settings.preset, identity, store, reporter)
            for variant in variants:
                run_variant(variant, settings, tuner, test)
    finally:  # Ctrl-C included: what is stored is shown
        write_outputs(dataset, settings, identity, store)
    runs = store.current(identity)
    failed = runs[(runs["status"] == "failed") & runs["variant"].isin([v.label for v in variants])]
    return [f"{row.variant}: {row.reason}" for row in failed.itertuples()]


def seeds_of(variant: Variant, seeds: int) -> int:
    """How often a variant is trained; once where nothing about it is random."""
    return seeds if issubclass(model_class(variant.model), TrainedRecommender) else 1


def run_variant(variant: Variant, settings: Settings, tuner: Tuner, test: Evaluator) -> None:
    """Tune a variant, train it with every seed, and store one row for each.

    Whatever goes wrong with a model becomes a row with the reason, and the suite goes on.
    """
    cls, reporter = model_class(variant.model), tuner.reporter
    try:
        missing = cls.missing_modality(list(tuner.train.features))
        if missing is not None:
            available = ", ".join(tuner.train.features) or "none"
            raise UsageError(f"needs {missing} modality; the data has {available}")
        tuned, best = tuner.tune(variant)
        for seed in range(seeds_of(variant, settings.seeds)):
            fixed = tuner.fixed(variant)
            if issubclass(cls, TrainedRecommender):
                fixed["seed"] = seed
            model = create(variant.model, **{**fixed, **tuned})
            ready = best if seed == 0 else None
            reporter.line(train_and_test(variant, seed, model, ready, settings, tuner, test))
            reporter.finish()
    except Exception as error:
        skipped = isinstance(error, UsageError)
        reason = str(error) if skipped else f"{type(error).__name__}: {error}"
        row = {**tuner.identity, "variant": variant.label, "model": variant.model}
        status = {"status": "skipped" if skipped else "failed", "reason": " ".join(reason.split())}
        tuner.store.append("runs", {"run_id": digest(**row), **status, **row})
        reporter.line(f"[red]{variant.label} {status['status']}:[/] {status['reason']}")


def train_and_test(
    variant: Variant,
    seed: int,
    model: Recommender,
    ready: Fitted | None,
    settings: Settings,
    tuner: Tuner,
    test: Evaluator,
) -> str:
    """Train once, look at the test data once, store the row; nothing if it is stored already.

    Args:
        variant: What the row is about.
        seed: Of initialisation and sampling.
        model: With its final hyper-parameters, not yet trained.
        ready: The same model if tuning has just trained it.
        settings: What the call of the program asks for.
        tuner: Trains.
        test: Ranks the test positives.

    Returns:
        A line about the result.
    """
    row = {**tuner.identity, "variant": variant.label, "model": variant.model, "seed": seed}
    params = json.dumps(model.params(), sort_keys=True)
    run_id = digest(**row, params=params, code=code_version(type(model)), ks=tuple(settings.ks))
    if run_id in tuner.store.finished():
        return f"{variant.label}, seed {seed}: stored already"
    started = datetime.now(timezone.utc)
    fitted = ready or tuner.fit(f"{variant.label}, seed {seed}", model)
    evaluation = test(fitted.model)
    tuner.store.save_per_user(run_id, evaluation.users, evaluation.per_user)
    if isinstance(fitted.model, TrainedRecommender):
        tuner.store.save_history(run_id, fitted.model.history)
    tuner.store.append(
        "runs",
        {
            "run_id": run_id,
            "status": "ok",
            "reason": "",
            **row,
            "params": params,
            "validation_recall@10": fitted.validation,
            **evaluation.means,
            "epochs": fitted.epochs,
            "train_seconds": round(fitted.seconds, 3),
            "peak_memory_mib": round(fitted.peak_memory_mib, 1),
            "device": device_name(settings.device),
            "versions": json.dumps(versions()),
            "commit": commit(),
            "started": started.isoformat(timespec="seconds"),
        },
    )
    k = 10 if 10 in settings.ks else max(settings.ks)
    return (
        f"{variant.label}, seed {seed}: test recall@{k} {evaluation.means[f'recall@{k}']:.4f}, "
        f"{fitted.seconds:.1f} s, {fitted.epochs} epochs"
    )


def write_outputs(
    dataset: Dataset, settings: Settings, identity: dict[str, str], store: Store
) -> None:
    """Tables, figures and the manifest, from stored rows alone."""
    runs = store.current(identity)
    if not runs.empty:
        tables.write_table2(runs, settings.ks, store.folder)
        figures.write_table2(runs, store.folder)
    manifest = {
        "dataset": dataset.describe(),
        "settings": {**identity, "seeds": settings.seeds, "ks": list(settings.ks)},
        "device": device_name(settings.device),
        "versions": versions(),
        "commit": commit(),
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "runs": [] if runs.empty else runs["run_id"].tolist(),
        "files": sorted(path.name for path in store.folder.iterdir() if path.suffix in SHOWN),
    }
    write_atomic(store.folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
