from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from planted import Bench, small_bench

from benchmark.recommend import main as recommend

CALL = ("--models", "popularity", "vbpr", "--dataset", "toy")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda precision: None)
    return small_bench(tmp_path, monkeypatch)


def test_runs_of_another_precision_stand_beside_exact_ones(bench: Bench) -> None:
    assert bench.run(*CALL, "--matmul-precision", "medium") == 0
    assert not (bench.results / "toy" / "precision.csv").exists()  # nothing to compare with yet
    assert bench.run(*CALL) == 0
    rows = bench.rows("toy")
    assert [row["matmul_precision"] for row in rows] == ["medium"] * 2 + ["highest"] * 2
    assert len({row["run_id"] for row in rows}) == 4
    assert bench.run(*CALL, "--matmul-precision", "medium") == 0
    assert len(bench.rows("toy")) == 4
    with (bench.results / "toy" / "precision.csv").open() as file:
        found = list(csv.DictReader(file))
    by_model = {row["model"]: row for row in found}
    assert by_model.keys() == {"Popularity", "VBPR"}
    exact = next(r for r in rows if r["model"] == "vbpr" and r["matmul_precision"] == "highest")
    told = by_model["VBPR"]
    assert float(told["recall@10 highest"]) == pytest.approx(float(exact["recall@10"]), abs=1e-6)
    assert float(told["epochs per second, ratio"]) > 0
    assert by_model["Popularity"]["epochs per second, ratio"] == ""  # it has none
    text = (bench.results / "toy" / "precision.md").read_text()
    assert "| VBPR | 0 |" in " ".join(text.split())


def test_a_run_is_trained_again_for_its_lists_in_its_precision(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.run(*CALL, "--matmul-precision", "medium") == 0
    asked: list[str] = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", asked.append)
    call = bench.arguments("--dataset", "toy", "--model", "vbpr", "--users", "1")
    assert recommend(call) == 0
    assert asked == ["medium"]


def test_the_option_reaches_torch_and_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = small_bench(tmp_path, monkeypatch)
    bench.plug_in(
        "asking.py",
        """
import torch
from baselines.popularity import Popularity
from models.registry import register

@register("asking")
class Asking(Popularity):
    def fit(self, train, validate=None):
        raise ValueError(torch.get_float32_matmul_precision())

@register("asking_too")
class AskingToo(Asking):
    pass
""",
    )
    before = torch.get_float32_matmul_precision()
    try:
        for jobs in ("1", "2"):
            code = bench.run(
                "--models", "asking", "asking_too", "--dataset", "toy", "--plugins",
                str(bench.plugins), "--matmul-precision", "medium", "--jobs", jobs,
            )  # fmt: skip
            assert code == 1
            assert {row["reason"] for row in bench.rows("toy")} == {"ValueError: medium"}
    finally:
        torch.set_float32_matmul_precision(before)
