"""A call that was cut off in the midst of a training goes on with its next epoch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from killed import outcome
from planted import Bench, small_bench

from benchmark import store, tune, tuning
from benchmark.presets import PRESETS
from benchmark.store import Store
from models.checkpoint import Checkpoint

CALL = ("--models", "bpr_mf", "cb2cf", "--dataset", "toy", "--seeds", "2")


def saving(monkeypatch: pytest.MonkeyPatch, cut_off_after: int = 10**9) -> list[str]:
    """Keep the state after every epoch; Ctrl-C after some; returns a list of them."""
    saved, save = list[str](), Checkpoint.save

    def watched(self: Checkpoint, state: Callable[[], dict[str, Any]]) -> None:
        save(self, state)
        saved.append(f"{self.path.name} {len(state()['history'])}")
        if len(saved) == cut_off_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", watched)
    monkeypatch.setattr(tuning, "Checkpoint", partial(Checkpoint, seconds=0))
    return saved


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        bench, saved = small_bench(tmp_path_factory.mktemp("whole"), patch), saving(patch)
        assert bench.run(*CALL) == 0
    return bench, saved


@pytest.mark.fault(
    "a long training cut off",
    how="Ctrl-C after epoch 1, 7, 13, ... of a call, in trials and runs, of one stage and two",
    again="epochs since the last checkpoint: a minute, or one epoch",
    says="`...: goes on after epoch n`",
)
def test_no_epoch_is_trained_twice(
    whole: tuple[Bench, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    complete, epochs = whole
    assert len({each.split()[0] for each in epochs}) == 2 + 4 + 1 + 2  # files of trials, of seed 1
    bench, trained = small_bench(tmp_path, monkeypatch), list[str]()
    while True:
        with pytest.MonkeyPatch.context() as patch:
            saved = saving(patch, cut_off_after=6 if trained else 1)
            code = bench.run(*CALL)
        trained += saved
        if code == 0:
            break
        assert code == 130
    assert len(trained) == len(set(trained))
    assert set(trained) == set(epochs)  # none of seed 0: the best trials' checkpoints were kept
    assert outcome(bench, ["table2"]) == outcome(complete, ["table2"])
    assert "goes on after epoch" in capsys.readouterr().err
    assert list((bench.results / "toy" / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("rates", [(1e-2, 5e-2), (5e-2, 1e-2)])
def test_what_a_worker_trained_last_is_not_trained_again(
    rates: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, saved = small_bench(tmp_path, monkeypatch), saving(monkeypatch)
    grid = {"learning_rate": rates, "reg": (1e-4,)}
    monkeypatch.setitem(PRESETS, "quick", replace(PRESETS["quick"], grid=grid))
    asked = ("--models", "bpr_mf", "--dataset", "toy")
    assert tune.main(bench.arguments("--worker", *asked)) == 0
    epochs = len(saved)
    [path] = (bench.results / "toy" / "checkpoints").iterdir()
    assert bench.run(*asked) == 0
    assert len(saved) == epochs
    assert not path.exists()
    [row] = bench.rows("toy")
    trials = {each["learning_rate"]: each["value"] for each in bench.rows("toy", "trials")}
    assert len(trials) == 2
    assert row["validation_recall@10"] == max(trials.values(), key=float)
    assert (row["epochs"], row["peak_memory_mib"]) == ("3", "")  # the memory of no training


def test_the_time_before_counts(
    whole: tuple[Bench, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = small_bench(tmp_path, monkeypatch)
    with pytest.MonkeyPatch.context() as patch:
        saving(patch, cut_off_after=2)
        assert bench.run("--models", "bpr_mf", "--dataset", "toy") == 130
    [path] = (bench.results / "toy" / "checkpoints").iterdir()
    state = Checkpoint(path).load()
    assert state is not None
    for row in state["history"]:
        row["seconds"] = 1000.0
    Checkpoint(path, seconds=0).save(lambda: state)
    assert bench.run("--models", "bpr_mf", "--dataset", "toy") == 0
    taken = sorted(float(row["seconds"]) for row in bench.rows("toy", "trials"))
    assert taken[-1] > 2000 > taken[-2]


def test_what_nobody_came_back_for_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name, age in (("old.pt", store.ABANDONED_SECONDS + 60), ("new.pt", 60)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    Store(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["new.pt"]
