"""All runs on one data set: tune, train with every seed, test once, store, draw."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache, partial
from pathlib import Path

import torch
from filelock import Timeout
from rich.console import Console

from benchmark import intents, popularity_groups
from benchmark.capacity import affordable_jobs, needs, refusals
from benchmark.command import one_line
from benchmark.damage import damaged, remaining
from benchmark.experiments import PROPOSED, Variant
from benchmark.exposure import exposure_metrics
from benchmark.identity import closed, common, identified, made, seeds_of
from benchmark.interrupts import raise_interrupt
from benchmark.jobs import run_at_once, settle_arithmetic, study, take
from benchmark.machine import commit, device_name, explained, versions
from benchmark.outputs.writers import write_outputs
from benchmark.progress import Reporter
from benchmark.protocols import deciding
from benchmark.search import grid_size
from benchmark.task import Task
from benchmark.tuning import Tuner
from benchmark.writing import StoreError
from models.errors import UsageError
from models.recommender import Recommender
from models.registry import model_class
from models.training import TrainedRecommender


def run_suite(
    task: Task, console: Console, jobs: int = 1, folders: Sequence[Path] = ()
) -> list[str]:
    """Do every run that is not yet stored, then write tables and figures from the stored rows.

    Args:
        task: The data and what is asked of it.
        console: Where progress is shown.
        jobs: How many variants are run at the same time, each in a process of its own if there
            are several; results do not depend on it.
        folders: Where models were discovered, for these processes.

    Returns:
        A line for each model that failed.
    """
    # one of several experiments may ask for the same variant
    settings, failures = task.settings, list[str]()
    cells = [cell for experiment in task.experiments for cell in experiment.cells]
    wanted = list({variant.label: variant for _, variant in cells}.values())
    settle_arithmetic()
    quiet = cache(partial(task.tuner, reporter=Reporter(0, Console(quiet=True))))
    stored = [v for v in wanted if is_stored(v, task, quiet)]
    needed = needs(task, list(dict.fromkeys(v.model for v in wanted if v not in stored)))
    refused = refusals(task, needed)
    skipped = [v for v in wanted if v.model in refused and v not in stored]
    variants = [v for v in wanted if v not in skipped]
    trainings = sum(
        (0 if v.tuned_as else grid_size(model_class(v.model), settings.preset, settings.trials))
        + seeds_of(v, settings.seeds)
        for v in variants
    )
    try:
        with Reporter(trainings, console) as reporter:
            for variant in skipped:
                without_result(task, reporter, "skipped", variant, refused[variant.model])
            here, elsewhere = variants, list[Variant]()
            if jobs > 1:  # what is stored needs no other process
                here = stored
                elsewhere = [v for v in variants if v not in here]
                at_once = [needed[v.model] for v in elsewhere if v.model in needed]
                fitting = affordable_jobs(jobs, at_once, settings.device)
                if fitting < jobs:
                    reporter.line(f"only {fitting} of --jobs {jobs} fit into the memory there is")
                    jobs = fitting
            run, waiting = runner(task, reporter), list(here)
            while chosen := take(waiting, (), (), task.claimed):
                failures += run(chosen)
            if elsewhere:
                prepare = partial(runner, portable(task))
                lost = partial(without_result, task, reporter, "failed")
                settled = {study(variant) for variant in here}
                failures += run_at_once(
                    elsewhere, jobs, prepare, folders, lost, reporter, settled, task.claimed
                )
    except KeyboardInterrupt:
        console.print("stopping; what is stored is drawn first, Ctrl-C again leaves that out")
        raise
    finally:
        write_outputs(task.record, settings.seeds, settings.device)
    return failures


def portable(task: Task) -> Task:
    """What another process needs of a task: no raw features, nothing on a GPU."""
    dataset = replace(task.dataset, features={})
    return replace(task, dataset=dataset, parts=task.parts.to(torch.device("cpu")))


def runner(task: Task, reporter: Reporter) -> Callable[[Variant], list[str]]:
    """What runs variants in one process, see :func:`run_variant`."""
    task = replace(task, parts=task.parts.to(task.settings.device))
    tuner = cache(partial(task.tuner, reporter=reporter))

    def run(variant: Variant) -> list[str]:
        claim = task.claim(variant.label)
        try:
            claim.acquire(timeout=0)
        except Timeout:
            reporter.start(f"{variant.label}: waiting for another process that runs it", None)
            claim.acquire()
        try:
            return run_variant(variant, task, tuner, reporter)
        finally:
            claim.release()

    return run


def is_stored(variant: Variant, task: Task, tuner: Callable[[tuple[str, ...]], Tuner]) -> bool:
    """Whether running a variant would train nothing, be it that it fails before it could."""
    cls, base = model_class(variant.model), variant.tuned_as or variant
    if cls.missing_modality(list(task.parts.train.features)) is not None:
        return True
    judge = tuner(deciding(task.switches(base)))
    try:
        search = judge.search(base)
        if search is not None and len(judge.recorded(search)) < len(search.cells):
            return False
        params = judge.tune(base).params
        trainer = trainer_of(variant, task, tuner)
        seeds = range(seeds_of(variant, task.settings.seeds))
        models = [made(variant, seed, params, trainer, task) for seed in seeds]
        ids = [identified(variant, seed, model, task) for seed, model in enumerate(models)]
        return all(task.store.has(each, issubclass(cls, TrainedRecommender)) for each in ids)
    except StoreError:
        raise
    except Exception:  # all trials diverged, or it cannot be made
        return True


def trainer_of(variant: Variant, task: Task, tuner: Callable[[tuple[str, ...]], Tuner]) -> Tuner:
    """What trains a variant, on the interactions that damage leaves."""
    trainer = tuner(deciding(task.switches(variant)))
    if variant.damage is None:
        return trainer
    # what was trained before was on other data
    left = remaining(task.parts.train, variant.damage)
    return replace(trainer, train=left, latest={}, winners={})


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
    row = common(variant, task)
    try:
        missing = cls.missing_modality(list(task.parts.train.features))
        if missing is not None:
            available = ", ".join(task.parts.train.features) or "none"
            raise UsageError(f"needs {missing} modality; the data has {available}")
        judge = tuner(deciding(task.switches(base)))
        search = judge.search(base)
        row["study"] = "" if search is None else search.study  # also if it comes to nothing
        tuned = judge.tune(base, counted=variant.tuned_as is None)
        trainer = trainer_of(variant, task, tuner)
        for seed in range(seeds_of(variant, task.settings.seeds)):
            model = made(variant, seed, tuned.params, trainer, task)
            reporter.line(train_and_test(variant, seed, model, task, trainer, row))
            reporter.finish()
    except StoreError:
        raise
    except UsageError as error:
        without_result(task, reporter, "skipped", variant, str(error), row["study"])
        return []
    except Exception as error:
        raise_interrupt(error)
        reason = explained(error, task.settings.device)
        return [without_result(task, reporter, "failed", variant, reason, row["study"])]
    task.store.remove("runs", closed(row))
    return []


def without_result(
    task: Task, reporter: Reporter, status: str, variant: Variant, reason: str, study: str = ""
) -> str:
    """Store the one row of a variant that was skipped or failed; returns the line about it."""
    row = {**common(variant, task), "study": study}
    reason = one_line(reason)
    outcome = {"run_id": closed(row), "status": status, "reason": reason}
    task.store.append("runs", {**outcome, **row, "seed": None})
    line = f"{variant.label} {status}: {reason}"
    reporter.line(line, style="red")
    return line


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
    run_id = identified(variant, seed, model, task)
    whole = task.store.has(run_id, trained=isinstance(model, TrainedRecommender))
    if whole and task.store.reuse(run_id, task.row, row["study"]):
        return f"{variant.label}, seed {seed}: stored already"
    if variant.damage is not None:
        left = damaged(tuner.train, variant.damage, task.settings.feature_scaling)
        tuner = replace(tuner, train=left)
    started = datetime.now(timezone.utc)
    fitted = tuner.trained(f"{variant.label}, seed {seed}", model, run_id)
    switches, ks = task.switches(variant), task.settings.ks
    evaluation = task.test(switches, ks)(fitted.model)
    task.store.save_lists(run_id, evaluation)
    if variant.tuned_as is None:
        groups = popularity_groups.by_popularity(evaluation, task.parts)
        popularity_groups.save(task.store, run_id, groups)
    if isinstance(fitted.model, TrainedRecommender):
        task.store.save_history(run_id, fitted.model.history)
    # where the truth is known, the intents of every variant can be held against it
    if variant.model == PROPOSED and (variant.tuned_as is None or task.planted):
        intents.save(task.store, run_id, fitted.model, task.dataset)
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
            **exposure_metrics(evaluation.items, task.parts.train, ks),
            **task.cold_start(switches, fitted.model),
            "epochs": fitted.epochs,
            "train_seconds": round(fitted.seconds, 3),
            "peak_memory_mib": round(fitted.peak_memory_mib, 1),
            "device": device_name(task.settings.device),
            "versions": json.dumps(versions()),
            "commit": commit(),
            "started": started.isoformat(timespec="seconds"),
        },
    )
    task.store.reuse(run_id, task.row, row["study"])  # the newest, also if it was repeated
    tuner.clear(model, run_id)
    k = task.record.k
    return (
        f"{variant.label}, seed {seed}: test recall@{k} {evaluation.means[f'recall@{k}']:.4f}, "
        f"{fitted.seconds:.1f} s, {fitted.epochs} epochs"
    )
