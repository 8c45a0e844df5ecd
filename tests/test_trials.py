from __future__ import annotations

import math
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmark.datasets.converted import read_converted, write_converted
from benchmark.speed import report
from benchmark.speed.catalogue import Size
from benchmark.speed.sizes import make
from benchmark.speed.trial_worker import EPOCHS
from benchmark.speed.trials import Workers, as_dataset
from benchmark.splits import Split

SIZE = Size("small", 60, 40, 600, {"visual": 8})


@pytest.fixture(scope="module")
def data() -> Split:
    return make(SIZE, None)[0]


def test_the_processes_get_the_same_split(data: Split, tmp_path: Path) -> None:
    write_converted(as_dataset(data), tmp_path / "data")
    found = read_converted(tmp_path / "data")
    assert found.labels is not None
    for label, part in enumerate((data.train, data.validation, data.test)):
        mine = found.labels == label
        assert found.users[mine].tolist() == part.users.tolist()
        assert found.items[mine].tolist() == part.items.tolist()
    assert (found.features["visual"] == data.train.features["visual"].numpy()).all()


def test_two_processes_share_a_study(data: Split, tmp_path: Path) -> None:
    write_converted(as_dataset(data), tmp_path / "data")
    workers = Workers(tmp_path, "cpu", 2)
    workers.start()
    workers.run(3)
    processes = list(workers._processes)
    workers.stop()
    assert [each.returncode for each in processes] == [0, 0]
    (rows,) = (tmp_path / "studies").glob("*/trials.csv")
    trials = pd.read_csv(rows)
    assert list(trials["state"]) == ["complete"] * 3
    assert list(trials["epochs"]) == [EPOCHS] * 3  # all alike, none stopped or pruned


def test_a_process_that_dies_is_told_of(tmp_path: Path) -> None:
    workers = Workers(tmp_path, "cpu", 1)
    workers.command = [sys.executable, "-c", "raise SystemExit(3)"]
    with pytest.raises(RuntimeError, match="ended with exit code 3"):
        workers.start()
    workers.stop()


def test_trials_per_minute() -> None:
    place = {"work": "trials", "size": "tiny", "parts": 25}
    rows = [
        {**place, "peer": "two", "seconds": 50.0, "peer_seconds": 30.0},
        {**place, "peer": "apart", "seconds": 50.0, "peer_seconds": math.nan},
        {**place, "work": "bpr", "peer": "RecBole", "seconds": 1.0, "peer_seconds": 2.0},
    ]
    assert report.rates(rows) == "\n- **trials per minute**, tiny: 30 with ours, 50 with two"
    assert report.rates(rows[2:]) == ""
