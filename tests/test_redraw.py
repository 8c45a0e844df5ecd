"""``python -m benchmark.redraw``, on the toy data and on the committed results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from planted import Bench, contents

from benchmark.command import discover_models
from benchmark.outputs.layout import TABLE
from benchmark.redraw import main
from benchmark.redrawing import NEEDED, differences
from models import registry

MODEL = """
from baselines.popularity import Popularity
from models.registry import register

@register("absent")
class Absent(Popularity):
    pass
"""
RESULTS = Path(__file__).parents[1] / "results"
CALL = (
    "--models", "bpr_mf", "huign", "--dataset", "toy",
    "--experiments", "table2", "table3", "table4", "figure3", "figure4", "protocol", "missing",
)  # fmt: skip
DRAWN = {
    "table2.csv", "table2.md", "table2.tex", "table3.csv", "table4.csv", "figure3.csv",
    "protocol.csv", "protocol.md", "statistics.csv", "statistics.md", "studies.csv", "beyond.csv",
    "popularity.csv", "missing.csv", "missing.md",
}  # fmt: skip


@pytest.mark.parametrize(
    "folder", sorted(path.parent.name for path in RESULTS.glob("*/manifest.json"))
)
def test_committed_tables_are_what_the_committed_rows_give(folder: str) -> None:
    discover_models(None)
    assert differences(RESULTS / folder, None) == []


def test_there_are_committed_results() -> None:
    assert (RESULTS / "movielens-100k" / "table2.csv").exists()


@pytest.fixture
def toy(whole: Bench, bench: Bench) -> Path:
    """A copy of all tables, whose missing.csv an earlier call than the last one has made."""
    folder = bench.results / "toy"
    shutil.copytree(whole.results, bench.results)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["experiments"].remove("missing")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_everything_comes_back(
    toy: Path, whole: Bench, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ("--data-root", str(bench.data), "--results-root", str(bench.results))
    before = contents(toy)
    assert main([*places, "--check"]) == 0
    assert capsys.readouterr().out == f"{toy}: nothing differs from what the rows give\n"
    assert contents(toy) == before
    for name in DRAWN | {"table1.csv", "report.html", "report.md", "comparison.md"}:
        (toy / name).unlink()
    (toy / "missing.csv").touch()
    assert main([*places, "--check"]) == 1
    assert "missing.csv, missing.md, " in capsys.readouterr().out
    assert main([*places]) == 0
    after = contents(toy)
    manifests = [json.loads(each.pop("manifest.json")) for each in (before, after)]
    old, new = (str(each.results).encode() for each in (whole, bench))
    for name in ("report.html", "report.md"):  # their commands name the folder, which is a copy's
        before[name] = before[name].replace(old, new)
    assert after == before
    asked = [[each["experiments"], each["models"]] for each in manifests]
    assert asked[1] == asked[0]


@pytest.mark.parametrize(
    ("name", "column"),
    [("table3", "recall@10"), ("table1", "sparsity_percent"), ("comparison", "ours")],
)
def test_one_number_that_no_row_gives(
    name: str, column: str, toy: Path, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(toy / f"{name}.csv")
    table[column] += 1e-6 * (table.index == table[column].first_valid_index())
    table.to_csv(toy / f"{name}.csv", index=False)
    assert main([str(toy), "--check", "--data-root", str(bench.data)]) == 1
    assert capsys.readouterr().out == f"{toy}: {name}.csv differs from what the rows give\n"


@pytest.mark.parametrize(
    "last", [("--models", "popularity"), ("--models", "huign", "--preset", "paper")]
)
def test_what_earlier_calls_drew_keeps_its_models_and_settings(
    last: tuple[str, ...], bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ("--models", "huign", "--experiments", "table2", "table4", "protocol")
    assert bench.run("--dataset", "toy", *first) == 0
    assert bench.run("--dataset", "toy", *last) == 0
    folder = bench.results / "toy"
    names = [f"{name}{form}" for name in ("table2", "table4", "protocol") for form in TABLE]
    before = {name: (folder / name).read_bytes() for name in names}
    assert b"HUIGN,official," in before["protocol.csv"]
    assert b"textual," in before["table4.csv"]
    capsys.readouterr()
    for _ in range(2):
        assert main([str(folder), "--check", "--data-root", str(bench.data)]) == 0
        assert "nothing differs" in capsys.readouterr().out
        assert main([str(folder), "--data-root", str(bench.data)]) == 0
        assert {name: (folder / name).read_bytes() for name in names} == before


def test_without_the_data(toy: Path, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(bench.data / "toy")
    before = contents(toy)
    for name in DRAWN:
        (toy / name).unlink()
    (toy / "missing.csv").touch()
    assert main([str(toy), "--data-root", str(bench.data)]) == 0
    assert "drawn from the rows alone" in capsys.readouterr().out
    assert contents(toy) == before
    assert main([str(toy), "--check", "--data-root", str(bench.data)]) == 0


def test_mistakes(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results-root", str(bench.results)]) == 2
    assert "holds no results" in capsys.readouterr().err
    assert bench.run("--models", "popularity", "--dataset", "toy") == 0
    (bench.results / "toy" / "manifest.json").write_text("{}")
    assert main([str(bench.results / "toy")]) == 2
    assert "no dataset, experiments, models, settings" in capsys.readouterr().err
    short = {name: ["name"] for name in NEEDED}
    for wrong, why in (([], "'list'"), (short, "no source")):
        (bench.results / "toy" / "manifest.json").write_text(json.dumps(wrong))
        assert main([str(bench.results / "toy")]) == 2
        assert why in capsys.readouterr().err


def test_a_model_that_is_not_here(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.plug_in("absent.py", MODEL)
    assert bench.run("--models", "absent", "--dataset", "toy") == 0
    folder, places = bench.results / "toy", ("--data-root", str(bench.data))
    before = contents(folder)
    for check in ((), ("--check",)):
        registry._REGISTRY.pop("absent", None)
        assert main([str(folder), *places, *check]) == 2
        assert "results of 'absent', which is no model here" in capsys.readouterr().err
        assert contents(folder) == before


def test_a_manifest_without_settings_that_came_later(bench: Bench) -> None:
    assert bench.run("--models", "popularity", "--dataset", "toy") == 0
    path = bench.results / "toy" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["settings"]["matmul_precision"]
    path.write_text(json.dumps(manifest))
    assert main([str(path.parent), "--data-root", str(bench.data), "--check"]) == 0
