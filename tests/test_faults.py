"""Whatever goes wrong around the program: nothing finished is lost, and the next call goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killed import outcome, start
from planted import Bench

from benchmark.store import Store
from benchmark.writing import write_atomic
from models.training import TrainedRecommender

CALL = ("--models", "popularity", "bpr_mf", "--dataset", "toy")
DAY = 86_400.0


def during(
    monkeypatch: pytest.MonkeyPatch, training: int, happens: Callable[[], object]
) -> list[int]:
    """Let something happen at the start of this training; returns a list of the trainings."""
    seen, descend = list[int](), TrainedRecommender._descend

    def watched(self: TrainedRecommender, *more: Any) -> None:
        seen.append(len(seen) + 1)
        if len(seen) == training:
            happens()
        descend(self, *more)

    monkeypatch.setattr(TrainedRecommender, "_descend", watched)
    return seen


def same(bench: Bench, whole: Bench) -> bool:
    """Whether a folder of results holds what it would without a fault, and nothing half written."""
    return outcome(bench, ["table2"]) == outcome(whole, ["table2"]) and not any(
        bench.results.rglob("*.tmp")
    )


@pytest.mark.fault(
    "SIGTERM",
    how="sent to itself while a trial is trained",
    again="the training under way",
    says="`stopped; the same command goes on with what is left`, exit code 143",
)
@pytest.mark.parametrize("training", [1, 2])
def test_sigterm_ends_it_like_ctrl_c(
    training: int, bench: Bench, whole: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        during(patch, training, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert bench.run(*CALL) == 143
    assert signal.getsignal(signal.SIGTERM) == handler
    assert capsys.readouterr().err.splitlines()[-1].startswith("stopped; the same command goes on")
    assert [row["model"] for row in bench.rows("toy")] == ["popularity"]
    assert (bench.results / "toy" / "table2.csv").exists()
    assert bench.run(*CALL) == 0
    assert same(bench, whole)


GREEDY = """
from pathlib import Path
import numpy as np, torch
from baselines.popularity import Popularity
from models.registry import register

class Greedy(Popularity):
    def fit(self, train, validate=None):
        if not Path(__file__).with_suffix(".enough").exists():
            self.allocate()
        return super().fit(train, validate)

@register("greedy_torch")
class Torch(Greedy):
    def allocate(self):
        torch.empty(1 << 60, dtype=torch.uint8)

@register("greedy_numpy")
class Numpy(Greedy):
    def allocate(self):
        np.empty(1 << 60, dtype=np.uint8)

@register("greedy_cuda")
class Cuda(Greedy):
    def allocate(self):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
"""


@pytest.mark.fault(
    "out of memory (CPU)",
    how="torch and NumPy are asked for an exbibyte",
    again="that model",
    says="`... failed: out of memory on cpu: use smaller batches (...)`, exit code 1",
)
@pytest.mark.fault(
    "out of memory (CUDA)",
    how="`torch.OutOfMemoryError` raised by a model",
    again="that model",
    says="`... failed: out of memory on ...: use smaller batches (...)`, exit code 1",
)
def test_out_of_memory_is_a_row_that_says_what_to_do(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.plug_in("greedy.py", GREEDY)
    models = ("greedy_torch", "greedy_numpy", "greedy_cuda")
    call = ("--models", *models, "popularity", "--dataset", "toy")
    assert bench.run(*call) == 1
    rows = {row["model"]: row for row in bench.rows("toy")}
    assert {model: row["status"] for model, row in rows.items()} == {
        "popularity": "ok", **dict.fromkeys(models, "failed"),
    }  # fmt: skip
    causes = ("DefaultCPUAllocator", "Unable to allocate", "CUDA out of memory")
    said = capsys.readouterr().err
    for model, cause in zip(models, causes, strict=True):
        reason = rows[model]["reason"]
        assert reason.startswith("out of memory on cpu: use smaller batches")
        assert "--jobs" in reason
        assert cause in reason
        assert f"failed: {reason}" in said
    (bench.plugins / "greedy.enough").touch()
    assert bench.run(*call) == 0
    assert [row["status"] for row in bench.rows("toy")] == ["ok"] * 4


@pytest.mark.fault(
    "two processes on one results folder",
    how="two commands at once, each started while the other runs",
    again="nothing: each training happens once",
    says="`waiting for another process that runs it`",
)
@pytest.mark.skipif(sys.platform == "win32", reason="cannot fork")
def test_two_commands_share_the_work(bench: Bench, whole: Bench, tmp_path: Path) -> None:
    processes = [start(bench, *CALL, "--jobs", "1", told=f"told{each}.txt") for each in "12"]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert len(list((tmp_path / "trainings").iterdir())) == 2  # two trials; the best one is tested
    assert same(bench, whole)


@pytest.mark.fault(
    "a lost data base of studies",
    how="`studies.db` deleted in the middle of a study",
    again="the training under way",
    says="nothing",
)
@pytest.mark.fault(
    "a damaged data base of studies",
    how="a page of `studies.db` overwritten, or its head, in the middle of a study",
    again="the training under way",
    says="`'.../studies.db' is damaged (...): set aside as 'studies.db.damaged-1'; the studies are "
    "restored from trials.csv, only trials that are not in it are run again`",
)
@pytest.mark.parametrize("damage", ["lost", "head", "page"])
def test_a_study_goes_on_without_its_data_base(
    damage: str, bench: Bench, whole: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        during(patch, 2, stop)
        assert bench.run(*CALL) == 130
    database = bench.results / "toy" / "studies.db"
    with sqlite3.connect(database) as connection:
        [size] = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray(database.read_bytes())
    place = 0 if damage == "head" else size
    content[place : place + size] = b"?" * size
    database.write_bytes(content) if damage != "lost" else database.unlink()
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        trained = during(patch, 0, stop)
        assert bench.run(*CALL) == 0
    assert len(trained) in (1, 2)  # the second trial, and the first one's model if that is best
    assert same(bench, whole)
    told = [line for line in capsys.readouterr().err.splitlines() if "is damaged" in line]
    assert len(told) == (damage != "lost")
    if told:
        assert "studies.db.damaged-1'; the studies are restored from trials.csv" in told[0]
        aside = database.with_name("studies.db.damaged-1")
        assert aside.read_bytes() == content


@pytest.mark.fault(
    "clock jump",
    how="a day forwards or backwards while a trial is trained, while another process opens the "
    "record in the middle of a write",
    again="nothing",
    says="nothing",
)
@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_the_clock_jumps(
    jump: float, bench: Bench, whole: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, offset = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: now() + offset[0])
    trained = during(monkeypatch, 1, lambda: offset.__setitem__(0, jump))
    replaced, opened = Path.replace, list[Path]()

    def replaces(self: Path, target: Path) -> Path:
        if offset[0] and target.suffix == ".npz" and not opened:
            opened.append(self)
            Store(bench.results / "toy")
            assert self.exists() == (jump < 0)  # it looks a day old, and is swept away
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", replaces)
    assert bench.run(*CALL) == 0
    assert len(trained) == 2
    assert opened
    assert same(bench, whole)
    assert all(0 <= float(row["seconds"]) < 60 for row in bench.rows("toy", "trials"))
    offset[0] = -jump
    assert bench.run(*CALL) == 0
    assert len(trained) == 2


def test_a_file_that_is_swept_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process whose clock is a day ahead."""
    replaced, swept = Path.replace, list[Path]()

    def replaces(self: Path, target: Path) -> Path:
        if not swept:
            swept.append(self)
            self.unlink()
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", replaces)
    write_atomic(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
