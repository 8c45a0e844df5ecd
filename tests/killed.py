"""The command in processes that are killed, and what they leave behind."""

from __future__ import annotations

import contextlib
import csv
import multiprocessing
import os
import secrets
import sys
from collections.abc import Sequence
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch
from planted import Bench, numbers

from benchmark import tuning
from benchmark.outputs import figures
from benchmark.presets import PRESETS, Preset
from benchmark.run import main
from benchmark.store import Store
from models.checkpoint import Checkpoint
from models.training import TrainedRecommender


def command(
    arguments: Sequence[str], preset: Preset, root: Path, told: Path, limit: int | None
) -> None:
    """What the process does: as ``python -m benchmark.run``, with a small budget.

    Every training leaves a file of its own in ``trainings``, and its state after every epoch.
    """
    marks, descend = root / "trainings", TrainedRecommender._descend

    def marked(self: TrainedRecommender, *more: Any) -> None:
        marks.mkdir(exist_ok=True)
        (marks / secrets.token_hex(8)).touch()
        descend(self, *more)

    TrainedRecommender._descend = marked  # type: ignore[method-assign,assignment]
    with told.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    setattr(tuning, "Checkpoint", partial(Checkpoint, seconds=0))  # noqa: B010
    torch.set_num_threads(1)
    PRESETS[preset.name] = preset
    figures.save = lambda *_: None
    if limit is not None:
        import resource  # does not exist on Windows

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    sys.exit(main(arguments))


def start(
    bench: Bench, *arguments: str, told: str = "told.txt", limit: int | None = None
) -> BaseProcess:
    """The command in a process that is forked from one that has loaded torch already.

    Args:
        bench: Where.
        arguments: Of the command.
        told: The file in ``bench.root`` that gets what it says.
        limit: Largest file that it can write, in bytes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmark.suite", "torch_geometric"])
    given = bench.arguments(*arguments), PRESETS["quick"], bench.root, bench.root / told, limit
    process = context.Process(target=command, args=given)
    process.start()
    return process


def kill(process: BaseProcess) -> None:
    """As by ``kill -9``, and wait for its workers to notice."""
    workers = []
    with contextlib.suppress(psutil.NoSuchProcess):  # it was over just now
        workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.join()
    assert not psutil.wait_procs(workers, timeout=30)[1]


def size(folder: Path) -> int:
    """How much is stored."""
    tables = (folder / "runs.csv", folder / "trials.csv")
    return sum(len(table.read_bytes().splitlines()) for table in tables if table.exists())


def check(folder: Path) -> None:
    """No file is torn, and what a row tells of is there."""
    for path in folder.rglob("*.csv"):
        header, *rows = csv.reader(path.read_text().splitlines(), strict=True)
        assert {len(row) for row in rows} <= {len(header)}, path
    store = Store(folder)
    for run in store.rows("runs").to_dict("records"):
        assert store.lists(run["run_id"]).means["recall@10"] == run["recall@10"]
        assert len(store.history(run["run_id"])) == run["epochs"]


def outcome(bench: Bench, tables: Sequence[str]) -> list[object]:
    """All that is stored but times, and these tables."""
    folder = bench.results / "toy"
    trials = {
        row["run_id"]: {name: row[name] for name in row if name != "seconds"}
        for row in bench.rows("toy", "trials")
    }
    written = [(folder / f"{name}.csv").read_bytes() for name in tables]
    return [numbers(bench.rows("toy")), trials, written]
