"""One Optuna study per model: its grid of hyper-parameters, judged by validation recall@10."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from benchmark.code_version import code_version
from benchmark.evaluation import Evaluator, validation_score
from benchmark.experiments import Variant
from benchmark.interrupts import raise_interrupt
from benchmark.machine import PeakMemory
from benchmark.presets import Preset
from benchmark.progress import Reporter
from benchmark.search import Search, grid, grid_size
from benchmark.storages import opened
from benchmark.store import Store, digest
from benchmark.studies import Study, tell
from benchmark.trial_rows import trial_of, trial_row
from models.checkpoint import Checkpoint
from models.errors import DivergedError
from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import create, model_class
from models.training import PairwiseRecommender, TrainedRecommender

JUDGED_AT = 10
"""Hyper-parameters and epochs are chosen by validation recall at this cut-off."""

POLL = 2.0
"""Seconds between two looks at what other processes have found."""


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
        store: Where trials are recorded.
        reporter: Shows the progress.
        storage: Of :func:`benchmark.storages.opened`, where studies can be shared; ``None`` for
            the file ``studies.db`` beside the results.
        sampler: ``grid`` tries every candidate; ``tpe`` lets Optuna propose between them.
        trials: Of each study that the sampler proposes for; ``None`` for as many as its grid has.
        latest: The model trained last, by what determines it, so that nothing is trained twice
            in a row.
        winners: What the trainings of the studies' best trials are called, by what determines
            their models, so that these are not trained twice if another process trained them.
    """

    train: Interactions
    validation: Evaluator
    preset: Preset
    identity: Mapping[str, Any]
    store: Store
    reporter: Reporter
    storage: str | None = None
    sampler: str = "grid"
    trials: int | None = None
    latest: dict[tuple[str, Evaluator, int], Fitted] = field(default_factory=dict)
    winners: dict[tuple[str, Evaluator, int], str] = field(default_factory=dict)

    def fixed(self, variant: Variant) -> dict[str, Any]:
        """The hyper-parameters of a variant that are not tuned."""
        cls = model_class(variant.model)
        return {**budget(cls, self.preset, self.train), **variant.fixed}

    def checkpoint(self, training: str) -> Checkpoint:
        """Where the state of a long training is, to go on from after a crash."""
        return Checkpoint(self.store.folder / "checkpoints" / f"{training}.pt")

    def fit(
        self, what: str, model: Recommender, training: str, trial: Trial | None = None
    ) -> Fitted:
        """Train a model, with early stopping on validation recall@10.

        Args:
            what: Its name in the progress bar.
            model: Not yet fitted.
            training: Tells it from all other trainings; names its checkpoint.
            trial: Told every epoch's score, and asked whether to go on.

        Raises:
            DivergedError: If the loss became NaN or infinite.
            optuna.TrialPruned: If the study gives the trial up.
        """
        score_of = validation_score(self.validation, f"recall@{JUDGED_AT}")
        scores: list[float] = []

        def judged(score: float) -> None:
            scores.append(score)
            self.reporter.epoch(score, max(scores))

        def validate(candidate: Recommender) -> float:
            judged(score_of(candidate))
            # a model of several stages also has their parts judged, which says little of itself
            if trial is not None and candidate is model:
                trial.report(scores[-1], len(scores))
                if trial.should_prune():
                    raise optuna.TrialPruned
            return scores[-1]

        self.reporter.start(what, model.params().get("epochs"))
        memory, started = PeakMemory(self.train.device), time.perf_counter()
        if not isinstance(model, TrainedRecommender):
            model.fit(self.train, validate)
            return Fitted(
                model, score_of(model), len(scores), time.perf_counter() - started, memory.read()
            )
        checkpoint = self.checkpoint(training)
        if before := checkpoint.history():
            self.reporter.line(f"{what}: goes on after epoch {len(before)}")
        for step, row in enumerate(before, 1):
            judged(row["validation"])
            if trial is not None:
                trial.report(row["validation"], step)
        model.checkpoint = checkpoint
        model.fit(self.train, validate)
        seconds = time.perf_counter() - started
        epochs = len(model.history)
        here = len(scores) - len(before)
        seconds += sum(row["seconds"] for row in model.history[: epochs - here])
        peak = memory.read() if here else math.nan  # it was another process that trained
        return Fitted(model, score_of(model), epochs, seconds, peak)

    def trained(self, what: str, model: Recommender, training: str) -> Fitted:
        """As :meth:`fit`, or the same model once more if it is the one trained last.

        The best trial's training is gone on from its last checkpoint, shortly before its end.
        """
        if (ready := self.latest.get(self.key(model))) is not None:
            return ready
        return self.remember(self.fit(what, model, self.winners.get(self.key(model), training)))

    def clear(self, model: Recommender, training: str) -> None:
        """What was :meth:`trained` is stored: nobody needs to go on with it."""
        for name in {training, self.winners.get(self.key(model), training)}:
            self.checkpoint(name).remove()

    def remember(self, fitted: Fitted) -> Fitted:
        """Let it be the one trained last."""
        self.latest.clear()
        self.latest[self.key(fitted.model)] = fitted
        return fitted

    def key(self, model: Recommender) -> tuple[str, Evaluator, int]:
        """All that makes one training on the same data differ from another."""
        return f"{type(model)} {model!r}", self.validation, self.preset.patience

    def tune(self, variant: Variant, counted: bool = True) -> Tuned:
        """The best hyper-parameters of a variant, by a study that any process may take part in.

        One process alone runs the trials one by one and always in the same order: what is pruned
        depends on the trials before it, and so the outcome does not depend on interruptions. The
        best trial's model, of seed 0, is remembered if it ran here just now.

        Args:
            variant: What is tuned.
            counted: Whether stored trials count as done in the progress bar, once per study.

        Raises:
            DivergedError: If no trial came to an end.
        """
        search, best = self.search(variant), dict[int, Fitted]()
        if search is None:
            return Tuned({}, "")
        recorded = self.recorded(search)
        if counted:
            self.reporter.finish(len(recorded))
        if len(recorded) < len(search.cells):
            self.take_part(variant, search, best)
            recorded = self.recorded(search)
        values = {
            cell: row["value"] for cell, row in recorded.items() if row["state"] == "complete"
        }
        if not values:
            raise DivergedError(f"all {len(search.cells)} trials of '{variant.label}' diverged")
        winner = max(sorted(values), key=lambda cell: values[cell])
        params = search.params_of(recorded[winner])
        model = create(variant.model, **self.fixed(variant), **params)
        self.winners[self.key(model)] = trial_name(search, model)
        if winner in best:
            self.remember(best[winner])
        return Tuned(params, search.study)

    def search(self, variant: Variant) -> Search | None:
        """What a variant's study is to try; ``None`` for a model with nothing to tune."""
        cls = model_class(variant.model)
        space, trials = grid(cls, self.preset), grid_size(cls, self.preset, self.trials)
        if not space:
            return None
        identity = {
            **self.identity,
            "model": variant.model,
            "fixed": self.fixed(variant),
            "space": space,
            "code": code_version(cls),
        }
        if self.sampler == "grid":
            return Search.grid(digest(**identity), space)
        return Search.tpe(digest(**identity, sampler=self.sampler, trials=trials), space, trials)

    def recorded(self, search: Search) -> dict[int, Any]:
        """The rows of a study in ``trials.csv`` that are a result, by the number of their cell."""
        rows = self.store.rows("trials").to_dict("records")
        mine = [row for row in rows if row["run_id"].rpartition("-")[0] == search.study]
        found = {search.cell_of(row): row for row in mine if row["state"] != "failed"}
        return {cell: row for cell, row in found.items() if cell is not None}

    @property
    def where(self) -> str:
        """Where the studies are."""
        return self.storage or f"sqlite:///{self.store.folder / 'studies.db'}"

    def take_part(self, variant: Variant, search: Search, best: dict[int, Fitted]) -> None:
        """Run trials, and record those that others run, until every cell has a result.

        Args:
            variant: What is tuned.
            search: What to try.
            best: Is given the model of the best trial that ran here, by its cell.
        """
        name = study_name(variant, search)
        with opened(self.where) as storage, Study(storage, name, search.cells) as study:
            study.restore({c: trial_of(row, search, c) for c, row in self.recorded(search).items()})
            while missing := self.missing(variant, search, study.results()):
                if (claimed := study.claim()) is not None:
                    with study.running(claimed[1]):
                        self.run_trial(variant, search, *claimed, best)
                else:
                    what = f"{variant.label}: waiting for {missing} trials of other processes"
                    self.reporter.start(what, None)
                    time.sleep(POLL)

    def missing(self, variant: Variant, search: Search, results: Mapping[int, FrozenTrial]) -> int:
        """Record the results of a study that are new; how many cells are left without one."""
        for cell in sorted(results.keys() - self.recorded(search).keys()):
            self.store.append("trials", trial_row(variant, search, cell, results[cell]))
            self.reporter.finish()
        return len(search.cells) - len(self.recorded(search))

    def run_trial(
        self, variant: Variant, search: Search, cell: int, trial: Trial, best: dict[int, Fitted]
    ) -> None:
        """Run a trial to its end, whatever that is; only what should not happen is raised."""
        what = f"{variant.label}, trial {cell + 1} of {len(search.cells)}"
        started = time.perf_counter()  # no clock that may be set meanwhile

        def ended(state: TrialState, value: float | None = None, **told: Any) -> FrozenTrial:
            seconds = round(time.perf_counter() - started, 6)
            return tell(trial, state, value, **{"seconds": seconds, **told})

        try:
            model = create(variant.model, **self.fixed(variant), **search.suggest(trial))
            training = trial_name(search, model)
            fitted = self.fit(what, model, training, trial)
        except optuna.TrialPruned:
            ended(TrialState.PRUNED)
        except UpdateFinishedTrialError:
            self.reporter.line(f"{what}: given up, another process took this one for dead")
        except DivergedError as error:
            ended(TrialState.FAIL, reason=str(error))
        except Exception as error:
            raise_interrupt(error)
            failed = ended(TrialState.FAIL, crash=f"{type(error).__name__}: {error}")
            if cell not in self.recorded(search):  # by who took this process for dead
                self.store.append("trials", trial_row(variant, search, cell, failed))
            raise
        else:
            seconds = round(fitted.seconds, 6)
            ended(TrialState.COMPLETE, fitted.validation, epochs=fitted.epochs, seconds=seconds)
            if all(fitted.validation > other.validation for other in best.values()):
                best.clear()
                best[cell] = fitted
            self.keep(variant, search, model, fitted.validation)
            return
        self.checkpoint(training).remove()

    def keep(self, variant: Variant, search: Search, model: Recommender, score: float) -> None:
        """Of the best trial so far the checkpoint stays, for the run with what the study finds."""
        rows = [row for row in self.recorded(search).values() if row["state"] == "complete"]
        if not rows:
            return
        best = max(rows, key=lambda row: float(row["value"]))
        if float(best["value"]) < score:
            model = create(variant.model, **self.fixed(variant), **search.params_of(best))
        self.checkpoint(trial_name(search, model)).remove()


def trial_name(search: Search, model: Recommender) -> str:
    """What the training of a model is called as a trial."""
    return f"{search.study}-{digest(**model.params())}"


def study_name(variant: Variant, search: Search) -> str:
    """What a study is called in its storage."""
    return f"{variant.label} {search.study}"
