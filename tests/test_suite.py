"""What becomes of models that cannot run, fail, or are run under other settings."""

from __future__ import annotations

import json

import pytest
from planted import Bench, contents

from benchmark.command import prepared
from benchmark.experiments import Variant
from benchmark.identity import seeds_of
from benchmark.presets import PRESETS
from benchmark.progress import Reporter
from benchmark.run import parser
from models.training import TrainedRecommender

CRASHES = """
from pathlib import Path
from baselines.popularity import Popularity
from models.registry import register

@register("crashes")
class Crashes(Popularity):
    def fit(self, train, validate=None):
        if not Path(__file__).with_suffix(".mended").exists():
            raise RuntimeError("out of [/luck] in\\nline two")
        return super().fit(train, validate)
"""
DIVERGES = """
import torch
from baselines.bpr_mf import BPRMF
from models.registry import register

@register("diverges")
class Diverges(BPRMF):
    def loss(self, users, pos_items, neg_items):
        return super().loss(users, pos_items, neg_items) * torch.nan
"""
DEMANDING = """
from typing import ClassVar
from baselines.popularity import Popularity
from models.registry import register

@register("demanding", label="De[man]ding")
class Demanding(Popularity):
    requires: ClassVar = ("acoustic",)
"""


def test_a_model_without_its_modality_is_skipped(bench: Bench) -> None:
    bench.plug_in("demanding.py", DEMANDING)
    call = ("--models", "demanding", "popularity", "--dataset", "toy")
    assert bench.run(*call) == 0
    skipped, done = bench.rows("toy")
    assert (skipped["status"], done["status"]) == ("skipped", "ok")
    assert skipped["reason"] == "needs acoustic modality; the data has textual, visual"
    table = (bench.results / "toy" / "table2.md").read_text()
    assert rf"- De\[man\]ding: skipped, {skipped['reason']}" in table
    before = (bench.results / "toy" / "runs.csv").read_bytes()
    assert bench.run(*call) == 0
    assert (bench.results / "toy" / "runs.csv").read_bytes() == before


def test_every_model_is_skipped(bench: Bench) -> None:
    bench.add("bare", modalities=())
    assert bench.run("--models", "vbpr", "--dataset", "bare") == 0
    [row] = bench.rows("bare")
    assert (row["status"], row["modalities"]) == ("skipped", "none")
    assert row["reason"] == "needs any modality; the data has none"
    assert "- VBPR: skipped" in (bench.results / "bare" / "table2.md").read_text()


def test_a_crash_is_a_row_and_the_others_go_on(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.plug_in("crashes.py", CRASHES)
    call = ("--models", "crashes", "popularity", "bpr_mf", "--dataset", "toy")
    assert bench.run(*call) == 1
    reason = "RuntimeError: out of [/luck] in line two"
    assert {row["model"]: row["status"] for row in bench.rows("toy")} == {
        "crashes": "failed", "popularity": "ok", "bpr_mf": "ok",
    }  # fmt: skip
    assert bench.rows("toy")[0]["reason"] == reason
    escaped = reason.replace("[", r"\[").replace("]", r"\]")
    assert f"- Crashes: failed, {escaped}" in (bench.results / "toy" / "table2.md").read_text()
    assert f"Crashes failed: {reason}" in capsys.readouterr().err
    # tried again at every call, until it works
    assert bench.run(*call) == 1
    assert len(bench.rows("toy")) == 3
    (bench.plugins / "crashes.mended").touch()
    assert bench.run(*call) == 0
    assert {row["model"]: row["status"] for row in bench.rows("toy")} == {
        "popularity": "ok", "bpr_mf": "ok", "crashes": "ok",
    }  # fmt: skip
    assert "failed" not in (bench.results / "toy" / "table2.md").read_text()


def test_a_model_that_worked_before_fails(bench: Bench) -> None:
    bench.plug_in("crashes.py", CRASHES)
    (bench.plugins / "crashes.mended").touch()
    call = ("--models", "crashes", "--dataset", "toy")
    assert bench.run(*call) == 0
    before = bench.rows("toy")
    (bench.plugins / "crashes.mended").unlink()
    assert bench.run(*call) == 0  # stored already
    assert bench.rows("toy") == before


def test_a_model_that_diverges_everywhere_fails(bench: Bench) -> None:
    bench.plug_in("diverges.py", DIVERGES)
    assert bench.run("--models", "diverges", "popularity", "--dataset", "toy") == 1
    failed, done = bench.rows("toy")
    assert (failed["status"], done["status"]) == ("failed", "ok")
    assert failed["reason"] == "DivergedError: all 2 trials of 'Diverges' diverged"
    assert [row["state"] for row in bench.rows("toy", "trials")] == ["diverged"] * 2
    assert all("loss is nan" in row["reason"] for row in bench.rows("toy", "trials"))


def test_presets_splits_and_cut_offs_do_not_mix(bench: Bench) -> None:
    bench.add("drawn", shipped=False)
    base = ("--models", "bpr_mf", "popularity", "--dataset", "drawn")
    calls: list[tuple[str, ...]] = [
        base,
        (*base, "--preset", "paper"),
        (*base, "--split-seed", "1"),
        (*base, "--ks", "2", "10"),
        (*base, "--feature-scaling", "none"),
        (*base, "--modalities", "visual"),
    ]
    shown = []
    for call in calls:
        bench.run(*call)
        manifest = json.loads((bench.results / "drawn" / "manifest.json").read_text())
        shown.append(set(manifest["runs"]))
        assert manifest["settings"]["preset"] in (bench.results / "drawn/table2.md").read_text()
    assert [len(runs) for runs in shown] == [2, 3, 2, 2, 2, 2]  # the paper's preset has two seeds
    assert len(set.union(*shown)) == sum(map(len, shown))
    rows = bench.rows("drawn")
    assert len(rows) == 13
    by_split = {
        row["split_seed"]: row["recall@10"]
        for row in rows
        if row["model"] == "popularity" and row["preset"] == "quick" and "20" in row["ks"]
    }
    assert by_split["0"] != by_split["1"]
    table = (bench.results / "drawn" / "table2.csv").read_text()
    bench.run(*calls[1])
    assert (bench.results / "drawn" / "table2.csv").read_text() != table
    bench.run(*calls[-1])
    assert (bench.results / "drawn" / "table2.csv").read_text() == table
    assert bench.rows("drawn") == rows


def test_modalities_are_chosen_for_all_models(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = TrainedRecommender.fit

    def fit(self, train, validate=None):  # type: ignore[no-untyped-def]
        seen.append(tuple(train.features))
        return original(self, train, validate)

    monkeypatch.setattr(TrainedRecommender, "fit", fit)
    for chosen in (("visual",), ("visual", "textual"), ("textual", "visual", "visual")):
        bench.run("--models", "duif", "--dataset", "toy", "--modalities", *chosen)
    # in the order of the data, so that the same choice is the same run
    assert set(seen) == {("visual",), ("textual", "visual")}
    assert [row["modalities"] for row in bench.rows("toy")] == ["visual", "textual+visual"]
    before = contents(bench.results / "toy" / "lists")
    bench.run("--models", "duif", "--dataset", "toy")  # all that the data has: stored already
    assert contents(bench.results / "toy" / "lists") == before


def test_tables_survive_a_change_of_code_that_is_taken_back(bench: Bench) -> None:
    bench.plug_in("crashes.py", CRASHES)
    (bench.plugins / "crashes.mended").touch()
    call = ("--models", "crashes", "--dataset", "toy")
    table = bench.results / "toy" / "table2.csv"
    bench.run(*call)
    first, [run] = table.read_text(), bench.rows("toy")
    bench.plug_in("crashes.py", CRASHES + "# another version\n")
    assert bench.run(*call) == 0
    assert len(bench.rows("toy")) == 2
    bench.plug_in("crashes.py", CRASHES)
    assert bench.run(*call) == 0
    assert bench.rows("toy")[-1] == run
    assert table.read_text() == first


def test_a_model_that_cannot_be_made_fails_whatever_the_jobs(bench: Bench) -> None:
    source = (
        CRASHES.partition("    def fit")[0] + "    def __init__(self):\n        raise OSError\n"
    )
    bench.plug_in("crashes.py", source)
    for jobs in ("1", "2"):
        assert bench.run("--models", "crashes", "popularity", "--dataset", "toy", "--jobs", jobs)
        rows = {row["model"]: (row["status"], row["reason"]) for row in bench.rows("toy")}
        assert rows == {"crashes": ("failed", "OSError:"), "popularity": ("ok", "")}


def test_other_processes_get_only_what_is_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def run_at_once(variants: list[Variant], *more: object) -> list[str]:
        given.append(([variant.label for variant in variants], more[-2]))
        return []

    monkeypatch.setattr("benchmark.suite.run_at_once", run_at_once)
    call = ("--models", "huign", "bpr_mf", "--dataset", "toy")
    assert bench.run(*call[:2], *call[3:]) == 0
    assert bench.run(*call, "--experiments", "table2", "table3", "--jobs", "2") == 0
    structures = ("32", "32-8", "64-16-4", "64-32-8-4")
    # HUIGN's study is complete, so its other structures need not wait for one another
    assert given == [(["BPR-MF", *(f"HUIGN {each}" for each in structures)], {"HUIGN"})]


def test_what_an_experiment_lacks_is_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    call = ("--models", "bpr_mf", "--dataset", "toy", "--experiments", "table2", "table4")
    assert bench.run(*call) == 0
    told = capsys.readouterr().err
    assert "left out  table4, which needs huign among the models and two modalities" in told
    assert bench.run(*call[:-1]) == 0
    assert "left out" not in capsys.readouterr().err


def test_what_another_process_runs_comes_last(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("--models", "popularity", "ease", "--dataset", "toy")
    [task] = prepared(parser().parse_args(bench.arguments(*call)))
    claim, said = task.claim("Popularity"), list[str]()

    def start(_: Reporter, what: str, epochs: int | None) -> None:
        said.append(what)
        if "waiting" in what:
            claim.release()

    monkeypatch.setattr(Reporter, "start", start)
    with claim:
        assert bench.run(*call, "--ks", "3") == 0
        assert "waiting" not in " ".join(said)  # it is another row
        said.clear()
        assert bench.run(*call) == 0
    *before, waiting, after = said
    assert before == ["EASE, seed 0"]
    assert waiting == "Popularity: waiting for another process that runs it"
    assert after == "Popularity, seed 0"


def test_seeds_only_where_something_is_random(bench: Bench) -> None:
    from benchmark.experiments import table2

    variants = [variant for _, variant in table2(["vbpr", "popularity"]).cells]
    assert [seeds_of(variant, 3) for variant in variants] == [3, 1]


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.epochs >= preset.patience > 0
    assert preset.seeds > 0


def test_the_papers_preset() -> None:
    paper = PRESETS["paper"]
    assert (paper.epochs, paper.patience, paper.seeds) == (1000, 20, 5)
    assert (dict(paper.grid), paper.steps) == ({}, None)
    grid = TrainedRecommender.search_space
    assert grid == {
        "learning_rate": (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        "reg": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    }
