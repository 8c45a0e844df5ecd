from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from planted import Bench, small_bench

from benchmark import capacity, tune
from benchmark.capacity import PROCESS, affordable_jobs, size
from benchmark.memory import Need, Sizes

GIB = 2**30


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return small_bench(tmp_path, monkeypatch)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so much memory be free."""

    def set_free(count: float) -> None:
        monkeypatch.setattr(capacity, "free_memory", lambda device: int(count))

    return set_free


def needed(monkeypatch: pytest.MonkeyPatch, **least: float) -> None:
    """Let models need so much, and half of it with one modality or the paper's batches."""

    def estimate(name: str, params: dict[str, int], sizes: Sizes) -> Need | None:
        if name not in least:
            return None
        part = 0.5 if len(sizes.widths) == 1 else 1.0
        return Need(part * least[name], 1.5 * part * least[name])

    monkeypatch.setattr(capacity, "estimate", estimate)


def test_what_cannot_fit_is_skipped_at_once_and_the_rest_is_run(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    pretend: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    needed(monkeypatch, vbpr=8 * GIB, bpr_mf=GIB)
    pretend(6.5 * GIB)
    assert bench.run("--models", "vbpr", "bpr_mf", "popularity", "--dataset", "toy") == 0
    rows = {row["model"]: row for row in bench.rows("toy")}
    assert rows["vbpr"]["status"] == "skipped"
    assert rows["vbpr"]["reason"] == (
        "needs about 12.0 GiB of memory, at the very least 8.0 GiB, and 6.5 GiB are available on "
        "cpu: use --modalities textual, or leave out 'vbpr', or take a machine with more"
    )
    assert rows["bpr_mf"]["status"] == rows["popularity"]["status"] == "ok"
    assert "VBPR skipped: needs about 12.0 GiB" in capsys.readouterr().err

    # with more memory, the same command runs it, and only it
    pretend(20 * GIB)
    assert bench.run("--models", "vbpr", "bpr_mf", "popularity", "--dataset", "toy") == 0
    assert {row["model"]: row["status"] for row in bench.rows("toy")} == dict.fromkeys(rows, "ok")
    assert len(bench.rows("toy")) == 3

    # with less again, what is stored stays
    pretend(GIB)
    assert bench.run("--models", "vbpr", "bpr_mf", "popularity", "--dataset", "toy") == 0
    assert {row["model"]: row["status"] for row in bench.rows("toy")} == dict.fromkeys(rows, "ok")


def test_a_run_that_would_have_fit_is_never_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, pretend: Callable[[float], None]
) -> None:
    needed(monkeypatch, bpr_mf=GIB)
    pretend(1.01 * GIB)  # less than is likely
    assert bench.run("--models", "bpr_mf", "--dataset", "toy") == 0
    assert [row["status"] for row in bench.rows("toy")] == ["ok"]


def test_real_estimates_against_no_memory(bench: Bench, pretend: Callable[[float], None]) -> None:
    pretend(10_000)
    models = ["bpr_mf", "ease", "huign", "macridvae", "mmgcn", "item_knn"]
    assert bench.run("--models", *models, "--experiments", "table2", "--dataset", "toy") == 0
    assert {row["model"]: row["status"] for row in bench.rows("toy")} == dict.fromkeys(
        models, "skipped"
    )


def test_a_worker_leaves_the_study_to_larger_machines(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    pretend: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    needed(monkeypatch, vbpr=8 * GIB, bpr_mf=GIB)
    pretend(2 * GIB)
    arguments = ["--worker", "--models", "vbpr", "bpr_mf", "--dataset", "toy"]
    assert tune.main(bench.arguments(*arguments)) == 0
    assert {row["model"] for row in bench.rows("toy", "trials")} == {"bpr_mf"}
    assert "skipped: needs about 12.0 GiB of memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("free", "fitting"), [(100 * GIB, 4), (7.5 * GIB, 3), (6 * GIB, 2), (3 * GIB, 1), (0, 1)]
)
def test_jobs_that_fit(free: float, fitting: int, pretend: Callable[[float], None]) -> None:
    """The largest together: 3 GiB alone, 5 for two, 6 for three, and each process beside."""
    assert PROCESS < GIB / 2
    pretend(free)
    needs = [Need(least * GIB, 10 * least * GIB) for least in (1, 3, 2, 1)]
    assert affordable_jobs(4, needs, torch.device("cpu")) == fitting


@pytest.mark.parametrize(
    ("call", "jobs", "free", "fitting"),
    [
        (("bpr_mf", "vbpr"), 2, 1.5, 1),
        (("huign", "--experiments", "table3"), 4, 2.5, 2),  # five structures of one model
    ],
)
def test_fewer_jobs_are_told(
    call: tuple[str, ...],
    jobs: int,
    free: float,
    fitting: int,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    pretend: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    needed(monkeypatch, bpr_mf=GIB, vbpr=GIB, huign=GIB)
    pretend(free * GIB)
    asked: list[int] = []

    def note(variants: object, jobs: int, *_: object) -> list[str]:
        asked.append(jobs)
        return []

    monkeypatch.setattr("benchmark.suite.run_at_once", note)
    bench.run("--models", *call, "--dataset", "toy", "--jobs", str(jobs))
    assert asked == [fitting]
    assert (
        f"only {fitting} of --jobs {jobs} fit into the memory there is" in capsys.readouterr().err
    )


def test_inspection_shows_the_same_estimates(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmark.data import main

    assert main(["inspect", "toy", "--json", "--data-root", str(bench.data)]) == 0
    found = json.loads(capsys.readouterr().out)["training_mib"]
    assert {"huign", "ease", "popularity"} <= found.keys()
    assert 100 < found["huign"]["quick"] < 200  # what torch loads, above all
    assert found["ease"]["paper"] < 10
    assert main(["inspect", "toy", "--data-root", str(bench.data)]) == 0
    assert "training takes beside these" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "shown"), [(3 * GIB, "3.0 GiB"), (GIB / 16, "64 MiB")])
def test_sizes_to_read(count: float, shown: str) -> None:
    assert size(count) == shown
