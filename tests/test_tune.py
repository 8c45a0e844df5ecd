"""Several processes on the same studies, and what the command says of them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import RDBStorage
from planted import Bench, small_bench

from benchmark.datasets import load
from benchmark.outputs import study_plots, study_tables
from benchmark.record import Record
from benchmark.storages import opened
from benchmark.store import Store
from benchmark.tune import main, parser
from models.registry import discover

ROOT = Path(__file__).parents[1]
SLOW = """
import os, time
from pathlib import Path

import torch

from models.recommender import Recommender
from models.registry import register


@register("slow")
class Slow(Recommender):
    search_space = {"a": (1, 2, 3), "b": (1, 2)}

    def __init__(self, *, a: int = 1, b: int = 1) -> None:
        self.a = a
        self.b = b

    def fit(self, train, validate=None):
        self.num_items = train.num_items
        marks = Path(os.environ.get("MARKS", os.devnull))
        for _ in range(3):
            validate(self)
            if marks.is_dir():
                (marks / f"{os.getpid()}-{self.a}-{self.b}").touch()
            time.sleep(float(os.environ.get("SLOWNESS", "0")))
        return self

    def score(self, users):
        rank = torch.arange(self.num_items).roll(7 * self.a + 3 * self.b)
        return rank.float().repeat(len(users), 1)
"""
SERVER = os.environ.get("HUIGN_TEST_SERVER", "")
"""The address of an empty data base, such as ``postgresql://USER:PASSWORD@HOST/NAME``."""

CELLS = set(itertools.product("123", "12"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = small_bench(tmp_path, monkeypatch)
    bench.plug_in("slow.py", SLOW)
    discover(bench.plugins)
    return bench


def arguments(bench: Bench, *more: str, results: str = "results") -> list[str]:
    asked = ["--models", "slow", "--dataset", "toy", *more]
    return [*bench.arguments(*asked), "--results-root", str(bench.root / results)]


def best(bench: Bench, results: str) -> tuple[str, str, str]:
    rows = Store(bench.root / results / "toy").rows("trials")
    assert {tuple(cell) for cell in rows[["a", "b"]].to_numpy()} == CELLS
    assert len(rows) == 6
    winner = rows.sort_values("value", kind="stable").iloc[-1]
    return winner["a"], winner["b"], str(winner["value"])


@pytest.mark.fault(
    "a killed worker",
    how="one of two `benchmark.tune --worker` killed in the middle of a trial",
    again="the trial under way, by the other worker",
    says="`best with ...`",
)
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    "kind",
    [
        "sqlite:///{}/studies.db",
        "journal:{}/studies.log",
        pytest.param(
            SERVER, marks=pytest.mark.skipif(not SERVER, reason="HUIGN_TEST_SERVER is not set")
        ),
    ],
    ids=["sqlite", "journal", "server"],
)
def test_a_killed_worker_loses_nothing(
    kind: str,
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optuna.storages, "RDBStorage", RDBStorage)  # what hurries SQLite, only
    storage, marks = kind.format(bench.root), bench.root / "marks"
    marks.mkdir()
    environment = {"OMP_NUM_THREADS": "1", "MARKS": str(marks), "SLOWNESS": "0.3"}
    workers = [
        subprocess.Popen(
            [
                sys.executable, "-m", "benchmark.tune", "--worker",
                *arguments(bench, "--storage", storage, results=results),
            ],
            cwd=ROOT,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        for results in ("one", "two")
    ]  # fmt: skip
    victim, survivor = workers
    deadline = time.monotonic() + 120
    while len(list(marks.glob(f"{victim.pid}-*"))) < 2 or not list(marks.glob(f"{survivor.pid}-*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    _, said = survivor.communicate(timeout=300)
    assert survivor.returncode == 0, said

    with opened(storage) as backend:
        [study] = optuna.get_all_study_names(backend)
        trials = optuna.load_study(study_name=study, storage=backend).trials
    complete = Counter(t.user_attrs["cell"] for t in trials if t.state.name == "COMPLETE")
    assert complete == Counter(range(6))
    assert {trial.state.name for trial in trials} == {"COMPLETE", "FAIL"}

    # a single process with studies of its own comes to the same, and one that comes late, too
    assert main(["--worker", *arguments(bench, results="alone")]) == 0
    before = len(list(marks.iterdir()))
    assert main(["--worker", *arguments(bench, "--storage", storage, results="late")]) == 0
    assert len(list(marks.iterdir())) == before
    assert best(bench, "two") == best(bench, "alone") == best(bench, "late")
    winner = best(bench, "two")
    assert f"Slow: best with a {winner[0]}, b {winner[1]}" in said
    assert "Slow: best with a" in capsys.readouterr().err


def table(text: str) -> dict[str, str]:
    """The one row that ``--status`` prints, by column."""
    header, _, row = (line for line in text.splitlines() if line.startswith("|"))
    names, values = ([each.strip() for each in line.split("|")[1:-1]] for line in (header, row))
    return dict(zip(names, values, strict=True))


def test_status(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    status = ["--status", *arguments(bench, "--storage", f"journal:{bench.root}/new/studies")]
    assert main(status) == 0
    assert table(capsys.readouterr().out) == {
        "model": "Slow", "trials": "6", "complete": "0", "running": "0", "pruned": "0",
        "diverged": "0", "waiting": "6", "best": "", "hyper-parameters": "",
    }  # fmt: skip
    assert not (bench.root / "new").exists()
    worker = ["--worker", *arguments(bench, "--storage", f"journal:{bench.root}/new/studies")]
    assert main(worker) == 0
    a, b, value = best(bench, "results")
    capsys.readouterr()
    elsewhere = f"journal:{bench.root}/new/studies", "--results-root", str(bench.root / "empty")
    assert main(["--status", *arguments(bench), "--storage", *elsewhere]) == 0
    told = table(capsys.readouterr().out)
    assert (told["complete"], told["waiting"]) == ("6", "0")
    assert told["best"] == f"{float(value):.4f}"
    assert told["hyper-parameters"] == f"a {a}, b {b}"


def test_the_command_that_trains_uses_what_workers_found(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--worker", *arguments(bench)]) == 0
    before = (bench.results / "toy" / "trials.csv").read_bytes()
    assert bench.run("--models", "slow", "--dataset", "toy") == 0
    assert (bench.results / "toy" / "trials.csv").read_bytes() == before
    [run] = bench.rows("toy")
    a, b, value = best(bench, "results")
    assert run["params"] == f'{{"a": {a}, "b": {b}}}'
    assert run["validation_recall@10"] == value
    assert capsys.readouterr().err


def test_studies_are_written_from_the_rows(bench: Bench) -> None:
    assert bench.run("--models", "slow", "--dataset", "toy") == 0
    [row] = bench.rows("toy")
    store = Store(bench.results / "toy")
    record = Record(store, load("toy", bench.data), [], [10], {"dataset": "toy"})
    written = [store.folder / name for name in ("studies.csv", "studies.md", "studies/slow.png")]
    contents = []
    for _ in range(2):
        for path in written:
            path.unlink(missing_ok=True)
        study_tables.write(record)
        study_plots.write(record)
        contents.append([path.read_bytes() for path in written])
    assert contents[0] == contents[1]
    [told] = pd.read_csv(written[0]).to_dict("records")
    assert told["study"] == row["study"]
    assert (told["planned"], told["complete"], told["sampler"]) == (6, 6, "grid")
    assert f"| {float(row['validation_recall@10']):.4f} " in written[1].read_text()
    assert "widen the grid" in written[1].read_text() or "a" not in told["edge"].split()


def test_a_crash_is_told_and_the_next_study_goes_on(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.plug_in("crash.py", SLOW.replace('"slow"', '"crash"').replace("Slow", "Crash").replace(
        "        return self\n\n", "        raise KeyError('x')\n\n"
    ))  # fmt: skip
    asked = bench.arguments("--worker", "--models", "crash", "slow", "--dataset", "toy")
    assert main(asked) == 1
    said = capsys.readouterr().err
    assert "Crash: KeyError: 'x'" in said
    assert "Slow: best with" in said
    states = Counter((row["model"], row["state"]) for row in bench.rows("toy", "trials"))
    assert states == {("crash", "failed"): 1, ("slow", "complete"): 6}


def test_a_model_that_refuses_the_data_is_left_out(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    picky = SLOW.replace('"slow"', '"picky"').replace("Slow", "Picky").replace(
        "        return self\n\n", "        raise UsageError('needs fewer items')\n\n"
    )  # fmt: skip
    bench.plug_in("picky.py", "from models.errors import UsageError\n" + picky.lstrip())
    asked = bench.arguments("--worker", "--models", "picky", "slow", "--dataset", "toy")
    assert main(asked) == 0
    said = capsys.readouterr().err
    assert "Picky skipped: needs fewer items" in said
    assert "Slow: best with" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "slow"], "one of the arguments --worker --status is required"),
        (["--worker"], "one of the arguments --all --models is required"),
        (["--worker", "--models", "slow", "--trials", "5"], "--trials is for --sampler tpe"),
        (["--worker", "--models", "slow", "--sampler", "cma"], "invalid choice: 'cma'"),
        (["--worker", "--models", "slow", "--storage", "x"], "--storage 'x' is no place"),
        (["--worker", "--models", "unknown"], "unknown"),
    ],
)
def test_mistakes(
    options: list[str], message: str, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(bench.arguments(*options, "--dataset", "toy")) == 2
    assert message in capsys.readouterr().err


def test_proposals_of_a_sampler(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    asked = arguments(bench, "--sampler", "tpe", "--trials", "4")
    assert main(["--worker", *asked]) == 0
    rows = bench.rows("toy", "trials")
    assert {row["a"] for row in rows} <= set("123")
    assert [row["sampler"] for row in rows] == ["tpe"] * 4
    capsys.readouterr()
    assert main(["--status", *asked]) == 0
    assert table(capsys.readouterr().out)["trials"] == "4"


def test_help_teaches_and_does_not_load_torch() -> None:
    code = (
        "import sys; from benchmark.tune import parser; text = parser().format_help(); "
        "assert 'torch' not in sys.modules and 'optuna' not in sys.modules; print(text)"
    )
    text = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "examples:" in text
    for command in text.split("python -m benchmark.tune ")[2:]:
        parser().parse_args(command.splitlines()[0].split())
