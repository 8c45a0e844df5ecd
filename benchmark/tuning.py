"""One Optuna study per model: its grid of hyper-parameters, judged by validation recall@10."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import OptunaError
from optuna.trial import FrozenTrial, Trial, TrialState
from sklearn.model_selection import ParameterGrid
from sqlalchemy.exc import SQLAlchemyError

from benchmark.evaluation import Evaluator, validation_score
from benchmark.experiments import Variant
from benchmark.machine import PeakMemory
from benchmark.presets import Preset
from benchmark.progress import Reporter
from benchmark.store import Store, StoreError, code_version, digest
from models.errors import DivergedError
from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import create, model_class
from models.training import PairwiseRecommender, TrainedRecommender

JUDGED_AT = 10
"""Hyper-parameters and epochs are chosen by validation recall at this cut-off."""


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
class Tuned:
    """What a study found.

    Args:
        params: The best hyper-parameters; none for a model with nothing to tune.
        study: The study's id, which the ids of its trials begin with; empty without a study.
    """

    params: dict[str, Any]
    study: str


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
        latest: The model trained last, by what determines it, so that nothing is trained twice
            in a row.
    """

    train: Interactions
    validation: Evaluator
    preset: Preset
    identity: Mapping[str, Any]
    store: Store
    reporter: Reporter
    latest: dict[tuple[str, Evaluator, int], Fitted] = field(default_factory=dict)

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
        score_of = validation_score(self.validation, f"recall@{JUDGED_AT}")
        scores: list[float] = []

        def validate(candidate: Recommender) -> float:
            scores.append(score_of(candidate))
            self.reporter.epoch(scores[-1], max(scores))
            # a model of several stages also has their parts judged, which says little of itself
            if trial is not None and candidate is model:
                trial.report(scores[-1], len(scores))
                if trial.should_prune():
                    raise optuna.TrialPruned
            return scores[-1]

        self.reporter.start(what, model.params().get("epochs"))
        memory, started = PeakMemory(self.train.device), time.perf_counter()
        model.fit(self.train, validate)
        seconds = time.perf_counter() - started
        return Fitted(model, score_of(model), len(scores), seconds, memory.read())

    def trained(self, what: str, model: Recommender) -> Fitted:
        """As :meth:`fit`, or the same model once more if it is the one trained last."""
        if (ready := self.latest.get(self.key(model))) is not None:
            return ready
        return self.remember(self.fit(what, model))

    def remember(self, fitted: Fitted) -> Fitted:
        """Let it be the one trained last."""
        self.latest.clear()
        self.latest[self.key(fitted.model)] = fitted
        return fitted

    def key(self, model: Recommender) -> tuple[str, Evaluator, int]:
        """All that makes one training on the same data differ from another."""
        return f"{type(model)} {model!r}", self.validation, self.preset.patience

    def tune(self, variant: Variant) -> Tuned:
        """The best hyper-parameters of a variant's grid; a study that was cut off goes on.

        The cells of the grid are run one by one and always in the same order: what is pruned
        depends on the trials before it, and so the outcome does not depend on interruptions. The
        best trial's model, of seed 0, is remembered if it ran just now.

        Raises:
            DivergedError: If no trial came to an end.
        """
        space = grid(model_class(variant.model), self.preset)
        if not space:
            return Tuned({}, "")
        study_id, best = self.study_id(variant), dict[str, Fitted]()
        cells = list(ParameterGrid(space))
        with self.store.claim(study_id):
            if len(self.recorded(study_id, cells)) == len(cells):
                self.reporter.finish(len(cells))
            else:
                self.run_study(variant, study_id, cells, best)
        complete = {
            number: row
            for number, row in self.recorded(study_id, cells).items()
            if row["state"] == "complete"
        }
        if not complete:
            raise DivergedError(f"all {len(cells)} trials of '{variant.label}' diverged")
        winner = max(sorted(complete), key=lambda number: complete[number]["value"])
        if (ready := best.get(complete[winner]["run_id"])) is not None:
            self.remember(ready)
        return Tuned(cells[winner], study_id)

    def study_id(self, variant: Variant) -> str:
        """A digest of everything that a study's outcome depends on."""
        cls = model_class(variant.model)
        return digest(
            **self.identity,
            model=variant.model,
            fixed=self.fixed(variant),
            space=grid(cls, self.preset),
            code=code_version(cls),
        )

    def recorded(self, study_id: str, cells: Sequence[Mapping[str, Any]]) -> dict[int, Any]:
        """The rows of a study in ``trials.csv``, by the number of their cell."""
        found = {}
        for row in self.store.rows("trials").to_dict("records"):
            if row["run_id"].startswith(f"{study_id}-"):
                for number, cell in enumerate(cells):
                    if all(row[name] == str(value) for name, value in cell.items()):
                        found[number] = row
        return found

    def run_study(
        self,
        variant: Variant,
        study_id: str,
        cells: Sequence[Mapping[str, Any]],
        best: dict[str, Fitted],
    ) -> None:
        """Run the cells that have no result yet; the best trial's model goes into ``best``."""
        fixed = self.fixed(variant)
        space = {name: sorted({cell[name] for cell in cells}) for name in cells[0]}

        def objective(trial: Trial) -> float:
            params = {name: trial.suggest_categorical(name, space[name]) for name in space}
            try:
                fitted = self.fit(what, create(variant.model, **fixed, **params), trial)
            except DivergedError as error:
                trial.set_user_attr("reason", str(error))
                raise
            trial.set_user_attr("epochs", fitted.epochs)
            if all(fitted.validation > other.validation for other in best.values()):
                best.clear()
                best[f"{study_id}-{trial.number}"] = fitted
            return fitted.validation

        def record(study: optuna.Study, trial: FrozenTrial) -> None:
            self.store.append("trials", trial_row(variant, study_id, trial))

        with opened(self.store.folder / "studies.db", f"{variant.label} {study_id}") as study:
            for trial in study.get_trials(states=(TrialState.RUNNING,)):  # its process was killed
                study.tell(trial.number, state=TrialState.FAIL)
            known = self.store.ids("trials")
            ended = [trial for trial in study.trials if _has_result(trial)]
            for trial in ended:
                if f"{study_id}-{trial.number}" not in known:
                    record(study, trial)
            for number, cell in enumerate(cells, start=1):
                if cell not in [trial.params for trial in ended]:
                    what = f"{variant.label}, trial {number} of {len(cells)}"
                    if not study.get_trials(states=(TrialState.WAITING,)):
                        study.enqueue_trial(dict(cell))
                    study.optimize(
                        objective, n_trials=1, catch=(DivergedError,), callbacks=[record]
                    )
                self.reporter.finish()


@contextmanager
def opened(path: Path, name: str) -> Iterator[optuna.Study]:
    """A study kept in an SQLite file, created if missing.

    Raises:
        StoreError: If the file is no data base or cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    except (SQLAlchemyError, OptunaError) as error:
        raise StoreError(
            f"cannot open the studies in '{path}' ({type(error).__name__}); move the file away: "
            "finished trials are run again, finished runs are kept"
        ) from error
    try:
        yield optuna.create_study(
            study_name=name,
            storage=storage,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=15),
            direction="maximize",
            load_if_exists=True,
        )
    finally:
        storage.remove_session()
        storage.engine.dispose()


def trial_row(variant: Variant, study_id: str, trial: FrozenTrial) -> dict[str, Any]:
    """One row of ``trials.csv``; ``value`` is the best validation recall@10 before the end."""
    complete = trial.state == TrialState.COMPLETE
    return {
        "run_id": f"{study_id}-{trial.number}",
        "variant": variant.label,
        "model": variant.model,
        "state": "diverged" if "reason" in trial.user_attrs else trial.state.name.lower(),
        **trial.params,
        "value": trial.value if complete else max(trial.intermediate_values.values(), default=None),
        "epochs": trial.user_attrs.get("epochs", max(trial.intermediate_values, default=None)),
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "reason": trial.user_attrs.get("reason"),
    }


def _has_result(trial: FrozenTrial) -> bool:
    """Whether a trial came to an end of its own: complete, pruned or diverged."""
    ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return ended or "reason" in trial.user_attrs
