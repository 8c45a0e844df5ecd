"""Killed at any moment and started again, the command ends with what it would have ended with."""

from __future__ import annotations

import contextlib
import csv
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import torch
from planted import Bench, numbers, small_bench

from benchmark.outputs import figures
from benchmark.presets import PRESETS, Preset
from benchmark.run import main
from benchmark.store import Store

CALL = ("--models", "huign", "bpr_mf", "--dataset", "toy")
EXPERIMENTS = ("table2", "table3", "table4", "figure3")
JOBS = (1, 1, 2, 1, 1, 1, 2, 1, 1, 1)
"""Of the ten calls that are killed; two jobs take longer to start."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return small_bench(tmp_path, monkeypatch)


def command(arguments: Sequence[str], preset: Preset, told: Path) -> None:
    """What the process does: as ``python -m benchmark.run``, with a small budget."""
    with told.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    torch.set_num_threads(1)
    PRESETS[preset.name] = preset
    figures.save = lambda *_: None
    sys.exit(main(arguments))


def start(bench: Bench, jobs: int) -> BaseProcess:
    """The command in a process that is forked from one that has loaded torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmark.suite", "torch_geometric"])
    arguments = bench.arguments(*CALL, "--experiments", *EXPERIMENTS, "--jobs", str(jobs))
    told = bench.root / "told.txt"
    process = context.Process(target=command, args=(arguments, PRESETS["quick"], told))
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


def outcome(bench: Bench) -> list[object]:
    """All that is stored but times, and the tables."""
    folder = bench.results / "toy"
    trials = {
        row["run_id"]: {name: row[name] for name in row if name != "seconds"}
        for row in bench.rows("toy", "trials")
    }
    tables = [(folder / f"{name}.csv").read_bytes() for name in EXPERIMENTS]
    return [numbers(bench.rows("toy")), trials, tables]


@pytest.mark.skipif(sys.platform == "win32", reason="has no kill -9")
def test_ten_kills_change_nothing(bench: Bench, tmp_path: Path) -> None:
    assert bench.run(*CALL, "--experiments", *EXPERIMENTS) == 0
    whole = outcome(bench)
    assert len(whole[0]) == 2 + 4 + 2 + 19  # type: ignore[arg-type]
    everything = size(bench.results / "toy")
    bench.results.rename(tmp_path / "whole")
    folder, moments = bench.results / "toy", random.Random(0)
    for number, jobs in enumerate(JOBS, start=1):
        until = size(folder) + moments.randint(0, 2)
        if number == len(JOBS):
            assert until < everything, "too late for the kills before to have mattered"
            until = everything  # when the tables are being written
        process = start(bench, jobs)
        while size(folder) < until:
            assert process.is_alive(), (bench.root / "told.txt").read_text()
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.1))
        kill(process)
        if folder.exists():
            check(folder)
    assert bench.run(*CALL, "--experiments", *EXPERIMENTS) == 0
    check(folder)
    assert outcome(bench) == whole
