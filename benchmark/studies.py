"""Studies that any number of processes work on: who runs which trial."""

from __future__ import annotations

import contextlib
import platform
import secrets
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import ExperimentalWarning, OptunaError, UpdateFinishedTrialError
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import Self

BEAT = 20.0
"""Seconds between two signs of life of a running trial."""

GRACE = 10 * BEAT
"""A trial that gives no sign of life for so many seconds is dead, wherever it ran."""


class Study:
    """The trials of one study, each of one cell, and this process as one of its workers.

    A worker claims the first free cell by adding a running trial of it. Every storage puts trials
    into one order that all workers see, so where two of them add a trial of the same cell, the
    one whose trial is first has it, and the other drops its own. (Optuna's queue of waiting
    trials would not do: two processes can take the same one out of an SQLite file.)

    The cell of a trial that failed is free again. A trial fails if it crashes or if it is dead:
    if its process ran on this machine and is gone, or gave no sign of life for :data:`GRACE`
    seconds.

    Args:
        storage: Of :func:`benchmark.storages.opened`.
        name: Of the study, which the first worker creates.
        cells: The hyper-parameters that each trial is given; the sampler proposes others.
    """

    def __init__(self, storage: BaseStorage, name: str, cells: Sequence[Mapping[str, Any]]) -> None:
        self.storage = storage
        self.name = name
        self.cells = cells
        self._worker = f"{platform.node()} {secrets.token_hex(6)}"
        self._lock = FileLock(lock_file(self._worker))
        self._heard: dict[int, tuple[int, float]] = {}

    def __enter__(self) -> Self:
        """Become one of its workers; nothing else is needed to look at it."""
        optuna.create_study(
            storage=self.storage, study_name=self.name, direction="maximize", load_if_exists=True
        )
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        with contextlib.suppress(SQLAlchemyError, OptunaError):
            for trial in self.trials().values():
                if trial.user_attrs.get("worker") == self._worker:
                    self._fail(trial._trial_id)  # unless it has ended
            lock_file(self._worker).unlink(missing_ok=True)

    def trials(self) -> dict[int, FrozenTrial]:
        """By cell, the first trial that is running or came to an end of its own."""
        try:
            every = self.storage.get_all_trials(self._id, deepcopy=False)
        except KeyError:  # nobody has begun
            return {}
        found: dict[int, FrozenTrial] = {}
        for trial in every:
            cell = self._cell(trial)
            if cell is not None and (trial.state == TrialState.RUNNING or has_result(trial)):
                found.setdefault(cell, trial)
        return found

    def results(self) -> dict[int, FrozenTrial]:
        """By cell, the trial that came to an end of its own."""
        return {cell: trial for cell, trial in self.trials().items() if trial.state.is_finished()}

    def restore(self, recorded: Mapping[int, FrozenTrial]) -> None:
        """Put back, by cell, trials that have ended but that the storage knows nothing of."""
        for cell in sorted(recorded.keys() - self.trials().keys()):
            self.storage.create_new_trial(self._id, recorded[cell])

    def claim(self) -> tuple[int, Trial] | None:
        """The first free cell and a trial of it for this process to run.

        Returns:
            ``None`` while all cells without a result are being run by other processes.
        """
        for trial in self.trials().values():
            if self._is_dead(trial):
                self._fail(trial._trial_id)
        while free := sorted(set(range(len(self.cells))) - self.trials().keys()):
            claimed = create_trial(
                state=TrialState.RUNNING,
                system_attrs={"fixed_params": dict(self.cells[free[0]])},
                user_attrs={"cell": free[0], "worker": self._worker},
            )
            trial_id = self.storage.create_new_trial(self._id, claimed)
            if self.trials()[free[0]]._trial_id == trial_id:
                return free[0], Trial(self._seeded(free[0]), trial_id)
            self._fail(trial_id)
        return None

    @contextmanager
    def running(self, trial: Trial) -> Iterator[None]:
        """Give signs of life while a trial is run."""
        over = threading.Event()

        def beat() -> None:
            beats = 0
            while not over.wait(BEAT):
                beats += 1
                with contextlib.suppress(SQLAlchemyError, OptunaError, OSError):
                    trial.set_user_attr("beats", beats)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _seeded(self, cell: int) -> optuna.Study:
        """The study with a sampler that always proposes the same after the same trials."""
        at_random = max(1, min(10, len(self.cells) // 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of the liar in older versions
            sampler = TPESampler(seed=cell, n_startup_trials=at_random, constant_liar=True)
        # against fewer trials than this, a slow start is taken for a bad end
        pruner = MedianPruner(n_startup_trials=5, n_warmup_steps=15)
        return optuna.load_study(
            study_name=self.name, storage=self.storage, sampler=sampler, pruner=pruner
        )

    @property
    def _id(self) -> int:
        return self.storage.get_study_id_from_name(self.name)

    def _cell(self, trial: FrozenTrial) -> int | None:
        if "cell" in trial.user_attrs:
            return int(trial.user_attrs["cell"])
        # begun by an older version, which ran whole grids only
        return self.cells.index(trial.params) if trial.params in self.cells else None

    def _is_dead(self, trial: FrozenTrial) -> bool:
        """Whether nobody runs a running trial any more."""
        if trial.state != TrialState.RUNNING:
            return False
        if "worker" not in trial.user_attrs or has_ended(trial.user_attrs["worker"]):
            return True
        # other machines' clocks may differ, so what counts is how long no news came here
        beats, now = trial.user_attrs.get("beats", 0), time.monotonic()
        if self._heard.get(trial.number, (None, now))[0] != beats:
            self._heard[trial.number] = beats, now
        return now - self._heard[trial.number][1] > GRACE

    def _fail(self, trial_id: int) -> None:
        with contextlib.suppress(UpdateFinishedTrialError):  # somebody else was faster
            self.storage.set_trial_state_values(trial_id, TrialState.FAIL)


def tell(
    trial: Trial, state: TrialState, value: float | None = None, **attributes: Any
) -> FrozenTrial:
    """Say how a trial ended, unless it was taken for dead and its cell is another worker's now."""
    with contextlib.suppress(UpdateFinishedTrialError):
        for name, each in attributes.items():
            trial.set_user_attr(name, each)
        trial.study.tell(trial, value, state, skip_if_finished=True)
    return trial.storage.get_trial(trial._trial_id)


def has_result(trial: FrozenTrial) -> bool:
    """Whether a trial came to an end of its own: complete, pruned or diverged."""
    ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return ended or "reason" in trial.user_attrs


def lock_file(worker: str) -> Path:
    """What a worker holds locked on its machine as long as it lives."""
    return Path(tempfile.gettempdir()) / f"huign-worker-{worker.rpartition(' ')[2]}.lock"


def has_ended(worker: str) -> bool:
    """Whether a worker ran on this machine and is gone: nobody holds its lock."""
    path = lock_file(worker)
    if not path.exists():
        return False  # it is not of this machine
    try:
        with FileLock(path, timeout=0):
            return True
    except (Timeout, OSError):
        return False
