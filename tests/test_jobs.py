"""Several trainings at once: the same results, and no process left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import psutil  # type: ignore[import-untyped]
import pytest
import torch
from filelock import FileLock
from planted import Bench, contents, numbers

from benchmark.experiments import Variant
from benchmark.interrupts import Terminated, terminable
from benchmark.jobs import Worker, settle_arithmetic, study, take
from benchmark.progress import Reporter

ROOT = Path(__file__).parents[1]

MINE = """
from baselines.bpr_mf import BPRMF
from models.registry import register

@register("mine")
class Mine(BPRMF):
    def loss(self, users, pos_items, neg_items):
        return 2 * super().loss(users, pos_items, neg_items)
"""
DIES = """
import gc, os, signal, time
from multiprocessing.connection import Connection
from pathlib import Path
from baselines.popularity import Popularity
from models.registry import register

@register("exits")
class Exits(Popularity):
    def fit(self, train, validate=None):
        os._exit(7)

@register("killed")
class Killed(Popularity):
    def fit(self, train, validate=None):
        os.kill(os.getpid(), signal.SIGKILL)

@register("hangs")
class Hangs(Popularity):
    def fit(self, train, validate=None):
        for each in gc.get_objects():
            if isinstance(each, Connection):
                each.close()
        time.sleep(300)
"""
ENDLESS = """
import os, time
from pathlib import Path
from baselines.popularity import Popularity
from models.registry import register

@register("endless")
class Endless(Popularity):
    def fit(self, train, validate=None):
        Path(__file__).with_name(f"{type(self).__name__}.{os.getpid()}.started").touch()
        while True:
            time.sleep(0.01)

@register("ceaseless")
class Ceaseless(Endless):
    pass
"""


def variants(*labels: str) -> list[Variant]:
    """``b<a`` is tuned as ``a``."""
    found = []
    for label in labels:
        own, _, base = label.partition("<")
        found.append(Variant(own, "x", tuned_as=Variant(base, "x") if base else None))
    return found


@pytest.mark.parametrize(
    ("waiting", "running", "settled", "claimed", "taken"),
    [
        (["a", "b"], [], [], [], "a"),
        (["c<a", "b"], ["a"], [], [], "b"),
        (["c<a"], ["a"], [], [], None),
        (["c<a"], ["a"], ["a"], [], "c"),
        (["d<a", "e<b"], ["c<a"], [], [], "e"),  # "a" itself is not to be run: "c" tunes for it
        (["d<a"], ["c<a"], ["a"], [], "d"),
        (["a", "b"], [], [], ["a"], "b"),  # another command runs "a"
        (["c<a", "b"], [], [], ["a"], "b"),  # or its study, that "c" needs
        (["c<a", "b"], [], [], ["c"], "b"),
        (["a", "c<a"], [], [], ["a"], "a"),  # there is nothing but to wait
        (["a", "b"], ["c<b"], [], ["a"], "a"),
    ],
)
def test_no_study_is_run_by_two(
    waiting: list[str],
    running: list[str],
    settled: list[str],
    claimed: list[str],
    taken: str | None,
) -> None:
    left = variants(*waiting)
    chosen = take(left, variants(*running), settled, claimed.__contains__)
    assert (chosen and chosen.label) == taken
    assert len(left) == len(waiting) - (taken is not None)
    assert [study(each) for each in variants("a", "b<a")] == ["a", "a"]


def test_threads_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        settle_arithmetic()
        assert torch.get_num_threads() == 2
        monkeypatch.delenv("OMP_NUM_THREADS")
        settle_arithmetic()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_denormal_numbers_cost_no_time() -> None:
    tiny = torch.tensor([1e-30])
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormal numbers")
    torch.set_flush_denormal(False)
    assert tiny * 1e-10 > 0
    settle_arithmetic()
    assert tiny * 1e-10 == 0


def outcome(bench: Bench) -> list[object]:
    """All that is stored but times, and the tables."""
    folder = bench.results / "toy"
    trials = {
        row["run_id"]: {name: row[name] for name in row if name != "seconds"}
        for row in bench.rows("toy", "trials")
    }
    tables = [(folder / name).read_bytes() for name in ("table2.csv", "table3.csv")]
    return [numbers(bench.rows("toy")), trials, tables, contents(folder / "lists")]


def test_jobs_do_not_change_results(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.plug_in("mine.py", MINE)
    call = ("--models", "popularity", "huign", "vbpr", "mine", "--experiments", "table2", "table3")
    outcomes = []
    for jobs in ("1", "2"):
        assert bench.run(*call, "--dataset", "toy", "--jobs", jobs) == 0
        rows, told = bench.rows("toy"), capsys.readouterr().err
        assert [row["status"] for row in rows] == ["ok"] * (4 + 4)  # Table 3 has four of its own
        assert all(f"{row['variant']}, seed 0: test recall@10" in told for row in rows)
        assert "14/14" in told  # of each variant a row; of each but popularity a study of two
        outcomes.append(outcome(bench))
        bench.results.rename(tmp_path / f"results{jobs}")
    assert len(outcomes[0][1]) == 3 * 2  # type: ignore[arg-type]
    assert outcomes[1] == outcomes[0]


@pytest.mark.fault(
    "a worker of `--jobs` dies",
    how="a model ends its process, is killed, or hangs with its connection closed",
    again="that model",
    says="`... failed: its process was ended by signal 9 (Killed), as happens when memory runs "
    "out`, exit code 1",
)
def test_a_process_that_dies_is_a_failed_row(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.plug_in("dies.py", DIES)
    monkeypatch.setattr("benchmark.jobs.GRACE", 1.0)
    models = ("exits", "killed", "hangs", "popularity")
    assert bench.run("--models", *models, "--dataset", "toy", "--jobs", "2") == 1
    rows = {row["model"]: row for row in bench.rows("toy")}
    assert {model: row["status"] for model, row in rows.items()} == {
        "exits": "failed", "killed": "failed", "hangs": "failed", "popularity": "ok",
    }  # fmt: skip
    assert rows["exits"]["reason"] == "its process ended with exit code 7"
    assert rows["killed"]["reason"].startswith("its process was ended by signal 9 (Killed)")
    assert rows["hangs"]["reason"].endswith("would not end, so it was killed")
    assert "Exits failed: its process ended with exit code 7" in capsys.readouterr().err
    assert "- Exits: failed, its process" in (bench.results / "toy" / "table2.md").read_text()


def test_no_room_to_share_the_data(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(storage: object) -> None:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", full)
    assert bench.run("--models", "popularity", "--dataset", "toy", "--jobs", "2") == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert "--jobs needs to share the data" in line
    assert "No space left on device (28); make room there" in line


class Interrupting:
    """What a process is to run; a signal comes while it is made ready for the way there."""

    def __init__(self, stop: signal.Signals) -> None:
        self.stop = stop

    def __reduce__(self) -> tuple[type[partial[None]], tuple[Any]]:
        os.kill(os.getpid(), self.stop)
        return partial, (print,)


@pytest.mark.fault(
    "Ctrl-C",
    how="SIGINT or SIGTERM while `--jobs 2` starts a process",
    again="the trainings under way",
    says="`stopped; the same command goes on with what is left`, exit code 130 or 143",
)
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_felt_after_a_start(stop: signal.Signals) -> None:
    worker = Worker(cast(Any, Interrupting(stop)), [], Reporter(1))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with terminable(), pytest.raises(KeyboardInterrupt) as caught:
        worker.give(Variant("x", "x"))
    assert isinstance(caught.value, Terminated) == (stop == signal.SIGTERM)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    assert len(multiprocessing.active_children()) == 1
    worker.stop()
    assert multiprocessing.active_children() == []


@pytest.mark.fault(
    "Ctrl-C",
    how="SIGINT or SIGTERM to all processes of `--jobs 2`, or kill -9 to the first",
    again="the trainings under way",
    says="`stopped; the same command goes on with what is left`, exit code 130 or 143",
)
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_behind(stop: signal.Signals, bench: Bench) -> None:
    bench.plug_in("endless.py", ENDLESS)
    models = ("popularity", "endless", "ceaseless")
    call = bench.arguments("--models", *models, "--dataset", "toy", "--jobs", "2")
    command = subprocess.Popen(
        [sys.executable, "-m", "benchmark.run", *call],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while len(list(bench.plugins.glob("*.started"))) < 2:
            assert time.monotonic() < deadline
            assert command.poll() is None
            time.sleep(0.05)
        family = psutil.Process(command.pid).children(recursive=True)
        assert len(family) >= 2
        if stop != signal.SIGKILL:  # Ctrl-C reaches all processes of the terminal
            os.killpg(command.pid, stop)
        else:
            command.kill()
        told = command.communicate(timeout=300)[1]  # after Ctrl-C it draws what is stored
        gone, alive = psutil.wait_procs(family, timeout=30)
        assert (len(gone), alive) == (len(family), [])
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGKILL)
            command.communicate()
    assert "Traceback" not in told
    assert [row["model"] for row in bench.rows("toy")] == ["popularity"]
    for path in (bench.results / "toy" / ".locks").iterdir():
        with FileLock(path).acquire(timeout=1):
            pass
    if stop != signal.SIGKILL:
        assert command.returncode == (130 if stop == signal.SIGINT else 143)
        assert told.splitlines()[-1].startswith("stopped;")
        assert (bench.results / "toy" / "table2.csv").exists()
