"""The command from end to end: results, repetition, interruption."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from planted import Bench, contents, numbers, small_bench

from benchmark.datasets import load
from benchmark.presets import EXPERIMENTS
from benchmark.store import Store
from benchmark.task import Task
from models.registry import registered
from models.training import TrainedRecommender

ROOT = Path(__file__).parents[1]
MODELS = ("popularity", "bpr_mf", "vbpr")
OUTPUTS = ("table2.csv", "table2.md", "table2.tex", "table2.png", "table2.pdf", "manifest.json")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmark.run", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows by one for every training."""
    seen: list[str] = []
    original = TrainedRecommender._descend

    def descend(self: TrainedRecommender, *arguments: object) -> None:
        seen.append(repr(self))
        original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainedRecommender, "_descend", descend)
    return seen


def test_everything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = small_bench(tmp_path, monkeypatch, draw=True)
    bench.add("other", modalities=("visual",), shipped=False)
    assert bench.run("--models", *MODELS, "--datasets", "toy", "other", "--seeds", "2") == 0
    for name in ("toy", "other"):
        folder = bench.results / name
        assert all((folder / file).stat().st_size > 0 for file in OUTPUTS)
        rows = bench.rows(name)
        seeds = [(row["model"], row["seed"]) for row in rows]
        assert seeds == [
            ("vbpr", "0"), ("vbpr", "1"), ("popularity", "0"), ("bpr_mf", "0"), ("bpr_mf", "1"),
        ]  # fmt: skip
        for row in rows:
            assert row["status"] == "ok"
            assert row["dataset"] == name
            assert row["data_fingerprint"] == load(name, bench.data).fingerprint
            assert row["split_seed"] == ("shipped" if name == "toy" else "0")
            assert row["modalities"] == ("textual+visual" if name == "toy" else "visual")
            assert json.loads(row["params"]).get("seed", 0) == int(row["seed"])
            assert json.loads(row["versions"])["torch"]
            assert row["device"]
            assert row["started"]
            assert float(row["train_seconds"]) >= 0
            assert float(row["peak_memory_mib"]) > 0
            kinds = ("precision", "recall", "ndcg", "ndcg_hits")
            for kind, k in itertools.product(kinds, (1, 5, 10, 20)):
                assert 0 <= float(row[f"{kind}@{k}"]) <= 1
            means = Store(folder).lists(row["run_id"]).means
            assert means == {name: float(row[name]) for name in means}
            history = folder / "history" / f"{row['run_id']}.csv"
            assert history.exists() == (row["model"] != "popularity")
            if history.exists():
                epochs = pd.read_csv(history)
                assert len(epochs) == int(row["epochs"])
                best = float(row["validation_recall@10"])
                assert epochs["validation"].max() == pytest.approx(best, rel=1e-5)
        trials = bench.rows(name, "trials")
        assert len(trials) == len({row["run_id"] for row in trials}) == 4
    assert "±" in (bench.results / "toy" / "table2.md").read_text()


def test_table_and_manifest_tell_the_rows(bench: Bench) -> None:
    bench.run("--models", *MODELS, "--dataset", "toy", "--seeds", "2", "--ks", "10", "3")
    folder, rows = bench.results / "toy", bench.rows("toy")
    table = pd.read_csv(folder / "table2.csv", index_col="metric")
    assert list(table.columns) == ["VBPR", "BPR-MF", "Popularity", "improvement_percent"]
    assert list(table.index[:2]) == ["precision@3", "precision@10"]
    for label, metric in itertools.product(("VBPR", "Popularity", "BPR-MF"), table.index):
        values = [float(row[metric]) for row in rows if row["variant"] == label]
        assert table.loc[metric, label] == pytest.approx(math.fsum(values) / len(values), 1e-14)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["runs"] == [row["run_id"] for row in rows]
    assert manifest["settings"]["seeds"] == 2
    assert manifest["settings"]["ks"] == [3, 10]
    assert manifest["settings"]["preset"] == rows[0]["preset"] == "quick"
    assert manifest["dataset"]["fingerprint"] == rows[0]["data_fingerprint"]
    assert manifest["versions"] == json.loads(rows[0]["versions"])
    assert manifest["files"] == sorted(
        path.name for path in folder.glob("[!.]*.*") if path.suffix not in (".json", ".db")
    )


def test_a_second_call_trains_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    call = ("--models", *MODELS, "--dataset", "toy")
    bench.run(*call)
    before, trained = contents(bench.results), fits(monkeypatch)
    assert bench.run(*call) == 0
    assert trained == []
    after = contents(bench.results)
    for kept in (before, after):  # the one file that says when it was written
        del kept["toy/manifest.json"]
    assert after == before


def test_more_seeds_train_only_the_new_ones(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run("--models", "bpr_mf", "--dataset", "toy")
    first, trained = bench.rows("toy"), fits(monkeypatch)
    bench.run("--models", "bpr_mf", "--dataset", "toy", "--seeds", "2")
    assert len(trained) == 1
    assert "seed=1" in trained[0]
    assert bench.rows("toy")[:1] == first
    assert first[0]["recall@10"] != bench.rows("toy")[1]["recall@10"]


def interrupt(monkeypatch: pytest.MonkeyPatch, training: int, epoch: int) -> None:
    """Ctrl-C at the start of this epoch of this training."""
    trainings, original = itertools.count(1), TrainedRecommender._descend

    def descend(self: TrainedRecommender, *arguments: Any) -> None:
        if next(trainings) == training:
            epochs, batches = itertools.count(1), self.batches

            def stopping(*inner: Any) -> Any:
                if next(epochs) == epoch:
                    raise KeyboardInterrupt
                return batches(*inner)

            object.__setattr__(self, "batches", stopping)
        original(self, *arguments)

    monkeypatch.setattr(TrainedRecommender, "_descend", descend)


CALL = ("--models", "popularity", "bpr_mf", "--dataset", "toy", "--seeds", "2")


@pytest.mark.fault(
    "Ctrl-C",
    how="in the middle of a trial, of the last trial, of a second seed",
    again="the training under way",
    says="`stopped; the same command goes on with what is left`, exit code 130",
)
@pytest.mark.parametrize(("training", "epoch"), [(1, 1), (2, 3), (3, 2)], ids=str)
def test_ctrl_c_loses_nothing(
    training: int,
    epoch: int,
    whole: Bench,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, training, epoch)  # two trials, of which one is tested, and a second seed
        assert bench.run(*CALL) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("stopped;")
    folder = bench.results / "toy"
    finished = bench.rows("toy")
    assert len(finished) == (2 if training == 3 else 1)
    shown = json.loads((folder / "manifest.json").read_text())
    assert shown["runs"] == [row["run_id"] for row in finished]
    assert bench.run(*CALL) == 0
    assert bench.rows("toy")[: len(finished)] == finished
    assert numbers(bench.rows("toy")) == numbers(whole.rows("toy"))
    table = Path("toy", "table2.csv")
    assert (bench.results / table).read_bytes() == (whole.results / table).read_bytes()

    def outcome(trials: list[dict[str, str]]) -> list[tuple[str, ...]]:
        columns = ("variant", "learning_rate", "reg", "state", "value", "epochs")
        return [tuple(row[column] for column in columns) for row in trials]

    assert outcome(bench.rows("toy", "trials")) == outcome(whole.rows("toy", "trials"))


def interrupted_write(*_: Any, **__: Any) -> None:
    """As NumPy's is: an archive cannot be closed while something is being written to it."""
    try:
        raise KeyboardInterrupt
    finally:
        raise ValueError("Can't close the ZIP file while there is an open writing handle on it.")


@pytest.mark.parametrize("place", ["benchmark.tuning.Tuner.fit", "numpy.savez_compressed"])
def test_ctrl_c_is_no_failure_of_the_model(
    place: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(place, interrupted_write)
        assert bench.run("--models", "bpr_mf", "--dataset", "toy") == 130
    store = Store(bench.results / "toy")
    assert store.ids("runs") == set()
    trials = store.rows("trials").to_dict("records")
    assert [row["state"] for row in trials] in ([], ["complete", "complete"])
    assert bench.run("--models", "bpr_mf", "--dataset", "toy") == 0
    assert [row["status"] for row in bench.rows("toy")] == ["ok"]


def test_killed_between_a_trial_and_its_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Store, table: str, row: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", killed)
        assert bench.run("--models", "bpr_mf", "--dataset", "toy") == 130
    trained = fits(monkeypatch)
    assert bench.run("--models", "bpr_mf", "--dataset", "toy") == 0
    trials = bench.rows("toy", "trials")
    assert [row["learning_rate"] for row in trials] == ["0.01", "0.05"]
    assert "learning_rate=0.05" in trained[0]  # the finished trial is recorded, not repeated


KILLED = """
import os, signal
from pathlib import Path
from typing import ClassVar
from baselines.bpr_mf import BPRMF
from models.registry import register

@register("killed")
class Killed(BPRMF):
    search_space: ClassVar = {"embedding_dim": (4, 8, 16)}

    def build(self, train):
        super().build(train)
        marker = Path(__file__).with_suffix(".marker")
        if self.embedding_dim == 8 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_real_command_killed_and_continued(bench: Bench) -> None:
    bench.plug_in("killed.py", KILLED)
    call = bench.arguments("--jobs", "1", "--models", "popularity", "killed", "--dataset", "toy")
    assert command(*call).returncode == -signal.SIGKILL
    begun = bench.rows("toy", "trials")
    assert [row["embedding_dim"] for row in begun] == ["4"]
    continued = command(*call)
    assert continued.returncode == 0, continued.stderr
    trials = bench.rows("toy", "trials")
    assert trials[:1] == begun
    assert [row["embedding_dim"] for row in trials] == ["4", "8", "16"]
    assert [row["model"] for row in bench.rows("toy")] == ["popularity", "killed"]
    assert {row["status"] for row in bench.rows("toy")} == {"ok"}
    assert not list(bench.results.rglob("*.tmp"))


def test_help_and_mistakes_do_not_load_torch() -> None:
    code = "import sys; from benchmark.run import main; main(sys.argv[1:]); print('no exit')"
    watch = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); {code}"
    shown = subprocess.run(
        [sys.executable, "-c", watch, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "examples:" in shown
    assert "python -m benchmark.run --all --dataset movielens" in shown
    assert shown.splitlines()[-1] == "False"


def test_list(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--list") == 0
    data, models, more = capsys.readouterr().out.splitlines()
    assert "toy" in data
    assert all(name in models for name in ("huign (HUIGN)", "vbpr (VBPR)", "bpr_mf (BPR-MF)"))
    assert "recbole:BPR" in more
    assert not bench.results.exists()


def test_all_runs_every_model_and_experiment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run_suite(task: Task, *_: object) -> list[str]:
        asked.append(list(task.settings.models))
        assert [each.name for each in task.experiments] == list(EXPERIMENTS)
        return []

    monkeypatch.setattr("benchmark.suite.run_suite", run_suite)
    assert bench.run("--all", "--datasets", "toy", "toy") == 0
    named = {"huign_official", "mmgcn_official", "huign_plus"}  # run when named
    assert asked == [sorted(set(registered()) - named)]  # the data set once
