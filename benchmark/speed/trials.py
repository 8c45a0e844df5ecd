"""Trials of one study in one process, in two, and each in a process of its own."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

import numpy as np

from benchmark.datasets import Dataset
from benchmark.datasets.converted import write_converted
from benchmark.evaluation import Evaluator, validation_score
from benchmark.speed.catalogue import Settings
from benchmark.speed.limits import Limit
from benchmark.speed.timing import Form
from benchmark.speed.trial_worker import BUDGET, EPOCHS, MODEL
from benchmark.speed.work import Work
from benchmark.splits import Split
from benchmark.tuning import JUDGED_AT, budget
from models.registry import create, model_class
from models.training import TrainedRecommender

TRIALS = 25
"""As in the paper's grid."""


class Workers:
    """Processes that take part in the same studies; they end with this object.

    Args:
        folder: Where the data are, and where studies go.
        device: To train on.
        count: How many.
    """

    names = map(str, itertools.count())
    """Of studies, each of which is run once."""

    def __init__(self, folder: Path, device: str, count: int) -> None:
        self.command = [sys.executable, "-m", "benchmark.speed.trial_worker", str(folder), device]
        self.count = count
        self._processes: list[subprocess.Popen[str]] = []
        weakref.finalize(self, end, self._processes)

    def start(self) -> None:
        """New processes, with the data loaded."""
        self.stop()
        self._processes += [
            subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(self.count)
        ]
        self._wait("ready")

    def run(self, trials: int) -> None:
        """A study of so many trials."""
        name = next(self.names)
        for each in self._processes:
            assert each.stdin is not None
            print(name, trials, file=each.stdin, flush=True)
        self._wait("done")

    def run_apart(self, trials: int) -> None:
        """So many trials, a study and new processes for each."""
        for _ in range(trials):
            self.start()
            self.run(1)
            self.stop()

    def stop(self) -> None:
        """End the processes."""
        end(self._processes)

    def _wait(self, word: str) -> None:
        for each in self._processes:
            assert each.stdout is not None
            if each.stdout.readline().strip() != word:
                raise RuntimeError(f"a process with trials ended with exit code {each.wait()}")


def end(processes: list[subprocess.Popen[str]]) -> None:
    """Close the input of processes, and forget them when they are done."""
    for each in processes:
        each.communicate()
    processes.clear()


def trials(data: Split, settings: Settings) -> Work:
    """A study of HUIGN, which builds more than the others before its first step."""
    place = tempfile.TemporaryDirectory(prefix="trials-")
    folder = Path(place.name)
    write_converted(as_dataset(data), folder / "data")
    one, two, apart = (Workers(folder, settings.device, count) for count in (1, 2, 1))
    weakref.finalize(one, place.cleanup)  # not earlier
    return Work(
        Form("ours", one.run, TRIALS, one.start, cpu_known=False),
        Limit(
            f"the {EPOCHS} epochs of {TRIALS} trainings and nothing else, measured",
            seconds=TRIALS * epochs(data),
        ),
        {
            "two processes": lambda: Form(
                "two processes", two.run, TRIALS, two.start, cpu_known=False
            ),
            "a process per trial": lambda: Form("a process per trial", apart.run_apart, TRIALS),
        },
    )


def as_dataset(data: Split) -> Dataset:
    """A split as data that ship it."""
    parts = (data.train, data.validation, data.test)
    return Dataset.from_pairs(
        name="data",
        source="speed",
        users=np.concatenate([each.users.cpu().numpy() for each in parts]),
        items=np.concatenate([each.items.cpu().numpy() for each in parts]),
        num_users=data.train.num_users,
        num_items=data.train.num_items,
        features={name: matrix.cpu().numpy() for name, matrix in data.train.features.items()},
        labels=np.repeat(np.arange(3, dtype=np.int8), [len(each) for each in parts]),
    )


def epochs(data: Split) -> float:
    """Seconds of a trial's epochs, validation included."""
    fixed = budget(model_class(MODEL), BUDGET, data.train)
    validate = validation_score(Evaluator(data.validation, data.train, (JUDGED_AT,)))
    model = create(MODEL, **fixed)
    assert isinstance(model, TrainedRecommender)
    return sum(row["seconds"] for row in model.fit(data.train, validate).history)
