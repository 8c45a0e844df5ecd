"""Writes that fail: a full disk, a read-only folder, files that cannot grow."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from killed import outcome, start
from planted import Bench, contents

from benchmark.store import Store
from benchmark.writing import StoreError

CALL = ("--models", "popularity", "bpr_mf", "--dataset", "toy")

FAILURES = {
    errno.ENOSPC: "No space left on device",
    errno.EROFS: "Read-only file system",
    errno.EIO: "Input/output error",
}


def failing(patch: pytest.MonkeyPatch, number: int, code: int) -> list[str]:
    """Let the n-th step of writing files, and all after it, fail; returns the steps so far."""
    steps = list[str]()

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) >= number:
            raise OSError(code, os.strerror(code))

    opened, replaced, synced = Path.open, Path.replace, os.fsync

    def opens(self: Path, mode: str = "r", *more: Any, **others: Any) -> Any:
        if "w" in mode:
            step("open")
        return opened(self, mode, *more, **others)

    def syncs(descriptor: int) -> None:
        step("sync")
        synced(descriptor)

    def replaces(self: Path, target: Path) -> Path:
        step("rename")
        return replaced(self, target)

    patch.setattr(Path, "open", opens)
    patch.setattr(os, "fsync", syncs)
    patch.setattr(Path, "replace", replaces)
    return steps


@pytest.mark.fault(
    "full disk",
    how="every step of every write fails in turn, with `ENOSPC`, and all after it",
    again="the training under way",
    says="`cannot write '...' (No space left on device); clear the way for it, or choose another "
    "folder with --results-root`",
)
@pytest.mark.fault(
    "read-only folder",
    how="every step of every write fails in turn, with `EROFS` or `EIO`, and all after it",
    again="the training under way",
    says="`cannot write '...' (Read-only file system); clear the way for it, or ...`",
)
@pytest.mark.parametrize("code", FAILURES, ids=FAILURES.get)
def test_every_write_fails_in_turn(code: int, tmp_path: Path) -> None:
    """What is stored is the old state or the new one, whichever step of a write fails."""

    def work(store: Store) -> Iterator[None]:
        for number in range(3):
            store.append("runs", {"run_id": f"a-{number}", "variant": "A", "model": "a"})
            yield
            store.save_history(f"a-{number}", [{"epoch": 1, "loss": number}])
            yield
        store.remove("runs", "a-1")
        yield

    store, states = Store(tmp_path / "whole"), list[dict[str, bytes]]()
    states.append(contents(store.folder))
    for _ in work(store):
        states.append(contents(store.folder))
    total = 3 * (len(states) - 1)
    for number in range(1, total + 2):
        store = Store(tmp_path / str(number))
        with pytest.MonkeyPatch.context() as patch:
            steps = failing(patch, number, code)
            if number > total:
                done = sum(1 for _ in work(store))
            else:
                with pytest.raises(StoreError, match=FAILURES[code]):
                    list(work(store))
                done = (number - 1) // 3
        assert len(steps) == min(number, total)
        assert contents(store.folder) == states[done]
        assert Store(store.folder).ids("runs") <= {"a-0", "a-1", "a-2"}


def test_the_command_when_writes_fail(
    bench: Bench, whole: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Call after call comes a little further, until there is room."""
    for number in (1, 4, 8, 12, 16, 30):
        with pytest.MonkeyPatch.context() as patch:
            failing(patch, number, errno.ENOSPC)
            assert bench.run(*CALL) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("error: cannot write '")
        assert "No space left on device" in said
    assert bench.run(*CALL) == 0
    check_rows(bench)
    assert outcome(bench, ["table2"]) == outcome(whole, ["table2"])


def check_rows(bench: Bench) -> None:
    """No row blames its model for what went wrong around it."""
    assert {row["status"] for row in bench.rows("toy")} == {"ok"}
    assert {row["state"] for row in bench.rows("toy", "trials")} == {"complete"}


@pytest.mark.fault(
    "full disk, the data base of studies included",
    how="no file may grow beyond 0, 1, 4 and 40 KB (`RLIMIT_FSIZE`)",
    again="the training under way",
    says="`cannot write '...' (File too large)` or `cannot open or use the studies in '...'`",
)
@pytest.mark.skipif(sys.platform == "win32", reason="knows no such limit")
def test_files_that_cannot_grow(bench: Bench, whole: Bench) -> None:
    for limit in (0, 1_000, 4_000, 40_000):
        process = start(bench, *CALL, "--jobs", "1", told=os.devnull, limit=limit)
        process.join(120)
        assert process.exitcode == 2, limit
        if (bench.results / "toy" / "runs.csv").exists():
            assert {row["status"] for row in bench.rows("toy")} <= {"ok"}
    assert bench.run(*CALL) == 0
    check_rows(bench)
    assert outcome(bench, ["table2"]) == outcome(whole, ["table2"])
