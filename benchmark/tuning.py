"""One Optuna study per model: its grid of hyper-parameters, judged by validation recall@10."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sklearn.model_selection import ParameterGrid

from benchmark.evaluation import Evaluator, validation_score
from benchmark.experiments import Variant
from benchmark.machine import PeakMemory
from benchmark.presets import Preset
from benchmark.progress import Reporter
from benchmark.store import Store, code_version, digest
from models.errors import DivergedError
from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import create, model_class
from models.training import PairwiseRecommender, TrainedRecommender

OBJECTIVE = "recall@10"


def grid(model: type[Recommender], preset: Preset) -> dict[str, list[Any]]:
    """The candidates of a model's hyper-parameters, narrowed where the preset says so."""
    return {name: list(preset.grid.get(name, own)) for name, own in model.search_space.items()}


def grid_size(model: type[Recommender], preset: Preset) -> int:
    """Number of trials of a study; 0 for a model with nothing to tune."""
    space = grid(model, preset)
    return math.prod(len(values) for values in space.values()) if space else 0


def budget(model: type[Recommender], preset: Preset, train: Interactions) -> dict[str, Any]:
    """Hyper-parameters that the preset fixes."""
    if not issubclass(model, TrainedRecommender):
        return {}
    fixed: dict[str, Any] = {"epochs": preset.epochs, "patience": preset.patience}
    if preset.steps is not None:
        rows = len(train) if issubclass(model, PairwiseRecommender) else train.num_users
        batch_size = model.defaults()["batch_size"]
        while rows > preset.steps * batch_size:
            batch_size *= 2
        while 2 * rows < preset.steps * batch_size and batch_size > 16:
            batch_size //= 2
        fixed["batch_size"] = batch_size
    return fixed


@dataclass(frozen=True)
class Fitted:
    """A trained model and what its training took."""

    model: Recommender
    validation: float
    epochs: int
    seconds: float
    peak_memory_mib: float


@dataclass(frozen=True)
class Tuner:
    """Trains and tunes on one split; it never holds a test label.

    Args:
        train: Training interactions and item features, on the device to train on.
        validation: Ranks the validation positives.
        preset: The budget.
        identity: What determines the data; part of the names of studies.
        store: Where trials are recorded and studies kept.
        reporter: Shows the progress.
    """

    train: Interactions
    validation: Evaluator
    preset: Preset
    identity: Mapping[str, Any]
    store: Store
    reporter: Reporter

    def fixed(self, variant: Variant) -> dict[str, Any]:
        """The hyper-parameters of a variant that are not tuned."""
        cls = model_class(variant.model)
        return {**budget(cls, self.preset, self.train), **variant.fixed}

    def fit(self, what: str, model: Recommender, trial: Trial | None = None) -> Fitted:
        """Train a model, with early stopping on validation recall@10.

        Args:
            what: Its name in the progress bar.
            model: Not yet fitted.
            trial: Told every epoch's score, and asked whether to go on.

        Raises:
            DivergedError: If the loss became NaN or infinite.
            optuna.TrialPruned: If the study gives the trial up.
        """
        score_of = validation_score(self.validation, OBJECTIVE)
        scores: list[float] = []

        def validate(model: Recommender) -> float:
            scores.append(score_of(model))
            self.reporter.epoch(scores[-1], max(scores))
            if trial is not None:
                trial.report(scores[-1], len(scores))
                if trial.should_prune():
                    raise optuna.TrialPruned
            return scores[-1]

        self.reporter.start(what, model.params().get("epochs"))
        memory, started = PeakMemory(self.train.device), time.perf_counter()
        model.fit(self.train, validate)
        seconds = time.perf_counter() - started
        return Fitted(model, score_of(model), len(scores), seconds, memory.read())

    def tune(self, variant: Variant) -> tuple[dict[str, Any], Fitted | None]:
        """The best hyper-parameters of a variant's grid; a study that was cut off goes on.

        The grid is put into the study as waiting trials, which Optuna hands out one by one: a
        trial that was killed is simply queued again.

        Returns:
            The hyper-parameters, and the model of the best trial (seed 0) if it ran just now.

        Raises:
            DivergedError: If no trial came to an end.
        """
        cls, fixed = model_class(variant.model), self.fixed(variant)
        space = grid(cls, self.preset)
        if not space:
            return {}, None
        study_id = digest(
            **self.identity, model=variant.model, fixed=fixed, space=space, code=code_version(cls)
        )
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            study_name=f"{variant.label} {study_id}",
            storage=f"sqlite:///{self.store.folder / 'studies.db'}",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=15),
            direction="maximize",
            load_if_exists=True,
        )
        for trial in study.get_trials(states=(TrialState.RUNNING,)):  # left by a killed process
            study.tell(trial.number, state=TrialState.FAIL)
        queued = [
            trial.system_attrs.get("fixed_params", trial.params)
            for trial in study.trials
            if trial.state == TrialState.WAITING or _has_result(trial)
        ]
        for params in ParameterGrid(space):
            if params not in queued:
                study.enqueue_trial(params)
        waiting = len(study.get_trials(states=(TrialState.WAITING,)))
        total = grid_size(cls, self.preset)
        self.reporter.finish(total - waiting)
        best: dict[int, Fitted] = {}

        def objective(trial: Trial) -> float:
            params = {name: trial.suggest_categorical(name, space[name]) for name in space}
            ended = sum(_has_result(trial) for trial in study.trials)
            what = f"{variant.label}, trial {ended + 1} of {total}"
            try:
                fitted = self.fit(what, create(variant.model, **fixed, **params), trial)
            except DivergedError as error:
                trial.set_user_attr("reason", str(error))
                raise
            trial.set_user_attr("epochs", fitted.epochs)
            trial.set_user_attr("seconds", round(fitted.seconds, 2))
            if not best or fitted.validation > max(other.validation for other in best.values()):
                best.clear()
                best[trial.number] = fitted
            return fitted.validation

        def record(study: optuna.Study, trial: FrozenTrial) -> None:
            self.reporter.finish()
            self.store.append("trials", trial_row(variant, study_id, trial))

        study.optimize(objective, n_trials=waiting, catch=(DivergedError,), callbacks=[record])
        if not study.get_trials(states=(TrialState.COMPLETE,)):
            raise DivergedError(f"all {total} trials of '{variant.label}' diverged")
        return study.best_params, best.get(study.best_trial.number)


def trial_row(variant: Variant, study_id: str, trial: FrozenTrial) -> dict[str, Any]:
    """One row of ``trials.csv``; ``value`` is the best validation recall@10 before the end."""
    best = max(trial.intermediate_values.values(), default=None)
    return {
        "run_id": f"{study_id}-{trial.number}",
        "variant": variant.label,
        "model": variant.model,
        "state": "diverged" if "reason" in trial.user_attrs else trial.state.name.lower(),
        **trial.params,
        "value": trial.value if trial.value is not None else best,
        "epochs": max(trial.intermediate_values, default=None),
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "reason": trial.user_attrs.get("reason"),
    }


def _has_result(trial: FrozenTrial) -> bool:
    """Whether a trial came to an end of its own: complete, pruned or diverged."""
    ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return ended or "reason" in trial.user_attrs
