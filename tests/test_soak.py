"""Random signals at random moments, as many as one likes: see ``HUIGN_SOAK_KILLS``."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from killed import check, outcome, start
from planted import small_bench

KILLS = int(os.environ.get("HUIGN_SOAK_KILLS", "6"))
SEED = int(os.environ.get("HUIGN_SOAK_SEED", "0"))
CALL = ("--models", "huign", "bpr_mf", "--dataset", "toy")
TABLES = ("table2", "table3")


@pytest.mark.fault(
    "kill -9, SIGTERM or Ctrl-C at any moment",
    how="signals at random moments, call after call, until `HUIGN_SOAK_KILLS` (default: 6) are "
    "survived",
    again="the training under way",
    says="`stored already`",
)
@pytest.mark.skipif(sys.platform == "win32", reason="has no kill -9")
def test_random_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = small_bench(tmp_path, monkeypatch)
    call = (*CALL, "--experiments", *TABLES)
    began = time.monotonic()
    assert bench.run(*call) == 0
    longest = time.monotonic() - began
    whole = outcome(bench, TABLES)
    shutil.rmtree(bench.results)
    moments, survived, rounds = random.Random(SEED), Counter[str](), 0
    while survived.total() < KILLS:
        jobs = "2" if moments.random() < 0.2 else "1"
        process = start(bench, *call, "--jobs", jobs)
        assert process.pid is not None
        family = psutil.Process(process.pid).children(recursive=True)
        started = time.monotonic()
        process.join(moments.uniform(0, longest))
        if process.exitcode is None:
            stop = moments.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
            family = psutil.Process(process.pid).children(recursive=True)
            os.kill(process.pid, stop)
            process.join(120)
            survived[stop.name] += 1
        assert not psutil.wait_procs(family, timeout=300)[1]  # they may still be loading torch
        if (bench.results / "toy").exists():
            check(bench.results / "toy")
        if process.exitcode == 0:  # nothing to be lost any more: from the beginning
            assert outcome(bench, TABLES) == whole
            longest, rounds = time.monotonic() - started, rounds + 1
            shutil.rmtree(bench.results)
    assert bench.run(*call) == 0
    assert outcome(bench, TABLES) == whole
    with capsys.disabled():
        each = ", ".join(f"{count} {name}" for name, count in sorted(survived.items()))
        minutes = (time.monotonic() - began) / 60
        print(
            f"\nsoak: {survived.total()} kills survived ({each}), seed {SEED}, "
            f"{rounds + 1} times complete and the same, {minutes:.1f} min"
        )
