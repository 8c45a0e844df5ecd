"""All runs on one data set: tune, train with every seed, test once, store, draw."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import cache, partial

from rich.console import Console

from benchmark.experiments import Variant
from benchmark.machine import commit, device_name, versions
from benchmark.outputs import write_outputs
from benchmark.progress import Reporter
from benchmark.protocols import deciding
from benchmark.store import StoreError, code_version, digest
from benchmark.task import Task
from benchmark.tuning import Tuner, grid_size
from models.errors import UsageError
from models.recommender import Recommender
from models.registry import create, model_class
from models.training import TrainedRecommender


def run_suite(task: Task, console: Console) -> list[str]:
    """Do every run that is not yet stored, then write tables and figures from the stored rows.

    Returns:
        A line for each model that failed.
    """
    # one of several experiments may ask for the same variant
    cells = [cell for experiment in task.experiments for cell in experiment.cells]
    variants, failures = list({variant.label: variant for _, variant in cells}.values()), []
    trainings = sum(
        (grid_size(model_class(v.model), task.settings.preset) if v.tuned_as is None else 0)
        + seeds_of(v, task.settings.seeds)
        for v in variants
    )
    try:
        with Reporter(trainings, console) as reporter:
            tuner = cache(partial(task.tuner, reporter=reporter))
            for variant in variants:
                with task.store.claim(variant.label):
                    failures += run_variant(variant, task, tuner, reporter)
    finally:  # Ctrl-C included: what is stored is shown
        write_outputs(task.record, task.settings.seeds, task.settings.device)
    return failures


def seeds_of(variant: Variant, seeds: int) -> int:
    """How often a variant is trained; once where nothing about it is random."""
    return seeds if "seed" in model_class(variant.model).defaults() else 1


def seeded(model: type[Recommender], seed: int, vary: str) -> dict[str, int]:
    """The hyper-parameters that make a model random in the way that ``--vary`` says."""
    if "seed" not in model.defaults():
        return {}
    if vary == "both" or "sampling_seed" not in model.defaults():
        return {"seed": seed}
    return (
        {"seed": 0, "sampling_seed": seed}
        if vary == "sampling"
        else {"seed": seed, "sampling_seed": 0}
    )


def run_variant(
    variant: Variant,
    task: Task,
    tuner: Callable[[tuple[str, ...]], Tuner],
    reporter: Reporter,
) -> list[str]:
    """Tune a variant, train it with every seed, and store one row for each.

    Whatever goes wrong with a model becomes a row with the reason, and the suite goes on.

    Args:
        variant: What to run.
        task: The data and where results go.
        tuner: The one for some switches of the protocol.
        reporter: Shows the progress.

    Returns:
        A line if it failed.
    """
    cls, base = model_class(variant.model), variant.tuned_as or variant
    row = {
        **task.row,
        "variant": variant.label,
        "model": variant.model,
        "switches": "+".join(task.switches(variant)),
    }
    closed = digest(**row)  # the one row of a variant without a result
    row |= {"tuned_as": "" if variant.tuned_as is None else base.label, "study": ""}
    try:
        missing = cls.missing_modality(list(task.parts.train.features))
        if missing is not None:
            available = ", ".join(task.parts.train.features) or "none"
            raise UsageError(f"needs {missing} modality; the data has {available}")
        tuned = tuner(deciding(task.switches(base))).tune(base)
        row["study"] = tuned.study
        trainer = tuner(deciding(task.switches(variant)))
        for seed in range(seeds_of(variant, task.settings.seeds)):
            random = seeded(cls, seed, task.settings.vary)
            model = create(variant.model, **{**trainer.fixed(variant), **random, **tuned.params})
            reporter.line(train_and_test(variant, seed, model, task, trainer, row))
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
    variant: Variant,
    seed: int,
    model: Recommender,
    task: Task,
    tuner: Tuner,
    row: Mapping[str, str],
) -> str:
    """Train once, look at the test data once, store the row; nothing if it is stored already.

    Args:
        variant: What the row is about.
        seed: What ``--vary`` says.
        model: With its final hyper-parameters, not yet trained.
        task: The data and where results go.
        tuner: Trains.
        row: What the rows of all seeds have in common.

    Returns:
        A line about the result.
    """
    told_apart = {name: row[name] for name in row if name not in ("tuned_as", "study")}
    params = {name: value for name, value in model.params().items() if name != "seed"}
    if task.settings.vary == "sampling":
        params.pop("sampling_seed", None)
    run_id = f"{digest(**told_apart, params=params, code=code_version(type(model)))}-{seed}"
    if task.store.reuse(run_id, task.row):
        return f"{variant.label}, seed {seed}: stored already"
    started = datetime.now(timezone.utc)
    fitted = tuner.trained(f"{variant.label}, seed {seed}", model)
    evaluation = task.test(task.switches(variant), task.settings.ks)(fitted.model)
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
    k = task.record.k
    return (
        f"{variant.label}, seed {seed}: test recall@{k} {evaluation.means[f'recall@{k}']:.4f}, "
        f"{fitted.seconds:.1f} s, {fitted.epochs} epochs"
    )
