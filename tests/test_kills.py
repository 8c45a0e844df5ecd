"""Killed at any moment and started again, the command ends with what it would have ended with."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest
from killed import check, kill, outcome, size, start
from planted import Bench

CALL = ("--models", "huign", "bpr_mf", "--dataset", "toy")
EXPERIMENTS = ("table2", "table3", "table4", "figure3")
JOBS = (1, 1, 2, 1, 1, 1, 2, 1, 1, 1)
"""Of the ten calls that are killed; two jobs take longer to start."""


@pytest.mark.fault(
    "kill -9",
    how="ten kills at random moments, workers of `--jobs 2` among the killed",
    again="the training under way",
    says="`stored already`",
)
@pytest.mark.skipif(sys.platform == "win32", reason="has no kill -9")
def test_ten_kills_change_nothing(bench: Bench, tmp_path: Path) -> None:
    assert bench.run(*CALL, "--experiments", *EXPERIMENTS) == 0
    whole = outcome(bench, EXPERIMENTS)
    assert len(whole[0]) == 2 + 4 + 2 + 19  # type: ignore[arg-type]
    everything = size(bench.results / "toy")
    bench.results.rename(tmp_path / "whole")
    folder, moments = bench.results / "toy", random.Random(0)
    for number, jobs in enumerate(JOBS, start=1):
        until = size(folder) + moments.randint(0, 2)
        if number == len(JOBS):
            assert until < everything, "too late for the kills before to have mattered"
            until = everything  # when the tables are being written
        process = start(bench, *CALL, "--experiments", *EXPERIMENTS, "--jobs", str(jobs))
        while size(folder) < until:
            assert process.is_alive(), (bench.root / "told.txt").read_text()
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.1))
        kill(process)
        if folder.exists():
            check(folder)
    assert bench.run(*CALL, "--experiments", *EXPERIMENTS) == 0
    check(folder)
    assert outcome(bench, EXPERIMENTS) == whole
