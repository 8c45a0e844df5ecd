"""``python -m benchmark.rerun`` on the toy data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import Bench, contents

from benchmark.damage import Damage
from benchmark.evaluation import Evaluation
from benchmark.outputs.significance import bootstrap
from benchmark.repetition import compared, verdict
from benchmark.rerun import main
from benchmark.store import Store
from benchmark.stored_models import Row


def rerun(bench: Bench, *arguments: str) -> int:
    return main(bench.arguments(*arguments))


def change(bench: Bench, run_id: str, dataset: str = "toy", **values: object) -> None:
    """Edit a stored row by hand."""
    store = Store(bench.results / dataset)
    row = next(row for row in bench.rows(dataset) if row["run_id"] == run_id)
    store.append("runs", {**row, **values})


def test_every_kind_of_run_comes_out_the_same(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ("--models", "vbpr", "huign", "macridvae", "popularity")
    experiments = ("--experiments", "table2", "table4", "protocol")
    assert bench.run(*models, *experiments, "--dataset", "toy", "--seeds", "2") == 0
    assert bench.run("--models", "vbpr", "--experiments", "missing", "--dataset", "toy") == 0
    bench.add("wide", num_items=120)
    cold_items = ("--split-method", "cold_items", "--ks", "10")
    assert bench.run("--models", "vbpr", "--dataset", "wide", *cold_items) == 0
    chosen = {(row["variant"], row["seed"]): row["run_id"] for row in bench.rows("toy")}
    assert any("known_validation" in variant for variant, _ in chosen)
    assert any("drop" in variant for variant, _ in chosen)
    cold = [row["run_id"] for row in bench.rows("wide-cold_items")]
    before = contents(bench.results)
    capsys.readouterr()
    assert rerun(bench, *chosen.values(), *cold) == 0
    said = capsys.readouterr().out
    assert said.count("the same to the last digit.") == len(chosen) + len(cold)
    assert "NO" not in said.split()
    assert contents(bench.results) == before


def test_a_metric_that_is_the_same_for_everybody(tmp_path: Path) -> None:
    """Its interval is a point, and its mean may differ from that in the last bit."""
    alike = torch.full((300, 1), fill_value=True)
    ranked = Evaluation(torch.arange(300), alike, torch.full((300,), 3), [1])
    store = Store(tmp_path)
    store.save_lists("a-0", ranked)
    low, _ = bootstrap(np.stack([each.numpy() for each in ranked.per_user.values()], axis=1))
    names = list(ranked.per_user)
    row: Row = {
        "run_id": "a-0",
        **{n: float(np.nextafter(v, 1)) for n, v in zip(names, low, strict=True)},
    }
    frame = compared(store, row, row)
    assert frame["inside"].all()
    assert verdict(row, row, frame) == "the same to the last digit."


def test_another_result_is_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--models", "bpr_mf", "--dataset", "toy", "--ks", "10") == 0
    [row] = bench.rows("toy")
    recall = float(row["recall@10"])
    change(bench, row["run_id"], **{"recall@10": np.nextafter(recall, 1)})
    assert rerun(bench, row["run_id"]) == 0
    assert "other digits, inside the interval in every metric." in capsys.readouterr().out
    untrained = {**json.loads(row["params"]), "epochs": 1, "learning_rate": 1e-9}
    change(bench, row["run_id"], params=json.dumps(untrained))
    assert rerun(bench, row["run_id"]) == 1
    said = capsys.readouterr().out
    assert "outside the interval in precision@10, recall@10" in said
    assert "NO" in said.split()


def test_lost_lists_are_told_before_anything_is_trained(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run("--models", "popularity", "--dataset", "toy") == 0
    [row] = bench.rows("toy")
    (bench.results / "toy" / "lists" / f"{row['run_id']}.npz").unlink()
    monkeypatch.setattr("benchmark.repetition.train_and_test", None)
    assert rerun(bench, row["run_id"]) == 2
    assert f"lists/{row['run_id']}.npz'" in capsys.readouterr().err


def test_changed_code_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run("--models", "popularity", "--dataset", "toy") == 0
    [row] = bench.rows("toy")
    monkeypatch.setattr("benchmark.identity.code_version", lambda _: "other")
    assert rerun(bench, row["run_id"]) == 0
    assert "the code of the model has changed since the stored run." in capsys.readouterr().out


def test_mistakes(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--models", "popularity", "--dataset", "toy") == 0
    [row] = bench.rows("toy")
    assert rerun(bench, "0-0") == 2
    assert "no finished run '0-0'" in capsys.readouterr().err
    change(bench, row["run_id"], data_fingerprint="0")
    assert rerun(bench, row["run_id"]) == 2
    assert "is of other data than 'toy'" in capsys.readouterr().err
    change(bench, **{**row, "preset": "hasty"})
    assert rerun(bench, row["run_id"]) == 2
    assert "makes no sense" in capsys.readouterr().err
    assert main([row["run_id"], "--results-root", str(bench.root / "nowhere")]) == 2
    assert "name the folder with --results-root" in capsys.readouterr().err


@pytest.mark.parametrize("policy", ["mask", "neighbours"])
def test_damage_is_read_as_it_was_written(policy: str) -> None:
    damage = Damage("full text", policy, 0.3)
    assert Damage.read(str(damage)) == damage
