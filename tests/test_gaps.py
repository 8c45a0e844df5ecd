from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from planted import Bench, small_bench
from small_record import IDENTITY, closed, run, small_record

import baselines.vbpr  # noqa: F401  # its label
import models.huign  # noqa: F401  # its label
from benchmark.datasets import load
from benchmark.experiments import PAPER_MODELS, Experiment, Variant, experiments, table2, table3
from benchmark.presets import EXPERIMENTS, ON_REQUEST, PRESETS
from benchmark.record import Record
from benchmark.report.gaps import command, gaps
from benchmark.run import main, parser
from benchmark.store import Store

RANDOM = json.dumps({"seed": 0, "epochs": 40})


def test_what_has_no_run_or_too_few_seeds_is_missing(tmp_path: Path) -> None:
    rows = [
        run("VBPR", 0.1, 0, params=RANDOM),
        run("VBPR", 0.1, 1, params=RANDOM),
        run("MMGCN", 0.1, 0, params=RANDOM),
        run("Popularity", 0.1, 0, params="{}"),
        closed("DUIF", "failed", "DivergedError"),
    ]
    labels = ("VBPR", "MMGCN", "Popularity", "DUIF", "NGCF")
    cells = [({"model": name}, Variant(name, name.lower())) for name in labels]
    asked = Experiment("table2", "Overall performance", cells)
    found = gaps(small_record(tmp_path, rows, [asked]))
    assert (found[0].name, found[0].asked, found[0].cells) == ("table2", True, 5)
    assert found[0].missing == ["MMGCN", "NGCF"]
    assert "--models mmgcn ngcf --experiments table2" in found[0].command


def test_more_seeds_of_one_variant_are_asked_of_no_other(tmp_path: Path) -> None:
    huign = Variant("HUIGN", "huign")
    rows = [
        run(each.label, 0.1, seed, "huign", params=RANDOM, tuned_as="HUIGN" * (each != huign))
        for _, each in table3(huign).cells
        for seed in range(2 if each == huign else 5)
    ]
    asked = [table2(["huign"]), table3(huign)]
    assert not {"table2", "table3"} & {
        gap.name for gap in gaps(small_record(tmp_path, rows, asked))
    }


def test_what_was_not_asked_for_comes_last_and_only_if_the_data_allow_it(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.1)]
    found = gaps(small_record(tmp_path, rows, [table3(Variant("HUIGN", "huign"))]))
    assert found[0].name == "table3"
    assert {gap.name for gap in found} == {*EXPERIMENTS, *ON_REQUEST} - {"hierarchy"}
    assert [gap.asked for gap in found] == [True] + [False] * (len(found) - 1)
    identity = {**IDENTITY, "modalities": "none", "evaluation_protocol": "official"}
    stored = small_record(tmp_path / "alone", [{**rows[0], **identity}])
    assert [gap.name for gap in gaps(replace(stored, identity=identity))] == ["table2"]


def test_nothing_is_missing(tmp_path: Path) -> None:
    asked = experiments(PAPER_MODELS, ["visual", "textual"])
    models = {variant.label: variant.model for each in asked for _, variant in each.cells}
    rows = [run(label, 0.1, model=model) for label, model in models.items()]
    assert gaps(small_record(tmp_path, rows, asked)) == []
    assert gaps(small_record(tmp_path, rows)) == []


def test_the_command_has_every_option_that_is_not_at_its_default(tmp_path: Path) -> None:
    stored = small_record(tmp_path / "my results" / "toy", [run("VBPR", 0.1, params=RANDOM)])
    words = shlex.split(command(stored, ["vbpr"], "table2"))
    assert words[:3] == ["python", "-m", "benchmark.run"]
    asked = parser().parse_args(words[3:])
    assert asked.models == ["vbpr"]
    assert asked.experiments == ["table2"]
    assert asked.datasets == ["toy"]
    assert asked.results_root == tmp_path / "my results"
    assert asked.ks == [5, 10]
    assert (asked.split_method, asked.split_seed) == ("per_user", 7)
    for option in ("--preset", "--seeds", "--vary", "--protocol", "--modalities"):
        assert option not in words


def test_running_the_command_closes_the_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench: Bench = small_bench(tmp_path, monkeypatch)
    options = ("--dataset", "toy", "--seeds", "2", "--ks", "3", "10", "--modalities", "visual")
    assert bench.run("--models", "bpr_mf", "--vary", "sampling", *options) == 0
    identity = {k: v for k, v in bench.rows("toy")[0].items() if k in IDENTITY}

    def stored() -> Record:
        asked, store = [table2(["bpr_mf", "popularity"])], Store(bench.results / "toy")
        return Record(store, load("toy", bench.data), asked, (3, 10), identity)

    before = gaps(stored())[0]
    assert before.missing == ["Popularity"]
    words = shlex.split(before.command)[3:]
    assert main([*words, "--data-root", str(bench.data), "--device", "cpu"]) == 0
    assert [gap for gap in gaps(stored()) if gap.asked] == []


def test_the_command_searches_as_the_stored_studies_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench: Bench = small_bench(tmp_path, monkeypatch)
    options = ("--dataset", "toy", "--ks", "10", "--sampler", "tpe", "--trials", "2")
    assert bench.run("--models", "bpr_mf", *options) == 0
    row = bench.rows("toy")[0]
    identity = {key: value for key, value in row.items() if key in IDENTITY}
    store = Store(bench.results / "toy")
    stored = Record(store, load("toy", bench.data), [table2(["bpr_mf"])], (10,), identity)
    words = shlex.split(command(stored, ["bpr_mf"], "table2"))[3:]
    assert words[words.index("--sampler") + 1] == "tpe"
    assert words[words.index("--trials") + 1] == "2"
    assert main([*words, "--data-root", str(bench.data), "--device", "cpu"]) == 0
    assert bench.rows("toy") == [row]  # nothing was searched or trained again


def test_seeds_of_the_preset_are_not_told(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.1, seed, params=RANDOM) for seed in range(2)]
    assert "--seeds 2" in command(small_record(tmp_path, rows), ["vbpr"], "table2")
    assert PRESETS["quick"].seeds == 1
