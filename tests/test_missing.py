from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import ITEMS, Bench, numbers, small_bench
from small_record import closed, run, small_record, table_lines

import baselines.popularity
import baselines.vbpr  # noqa: F401  # its label
from benchmark.command import discover_models, prepared
from benchmark.experiments import MISSING_RATES, Variant, missing, takes_features
from benchmark.outputs import missing_figure, missing_table
from benchmark.outputs.missing_study import PLACE, study
from benchmark.run import main, parser
from benchmark.store import digest

CONTENT = """
import torch
from typing import ClassVar
from baselines.popularity import Popularity
from models.registry import register

@register("content")
class Content(Popularity):
    requires: ClassVar = ("any",)

    def fit(self, train, validate=None):
        x = train.fused_features()
        profile = torch.zeros(train.num_users, x.shape[1]).index_add(0, train.users, x[train.items])
        self.scores = profile @ x.T
        return self

    def score(self, users):
        return self.scores[users]

@register("ignores")
class Ignores(Popularity):
    requires: ClassVar = ("any",)
"""
MODELS = ("content", "ignores")
CALL = ("--models", *MODELS, "popularity", "--dataset", "toy", "--experiments", "missing")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Textual features tell which items a user likes, visual ones are the same for all items."""
    monkeypatch.setattr("benchmark.experiments.MISSING_RATES", (0.3, 0.9))
    bench = small_bench(tmp_path, monkeypatch)
    bench.plug_in("content.py", CONTENT)
    parity = np.eye(2)[np.arange(ITEMS) % 2]
    np.save(bench.data / "toy" / "textual_feat.npy", parity.astype(np.float32))
    np.save(bench.data / "toy" / "visual_feat.npy", np.ones((ITEMS, 3), dtype=np.float32))
    return bench


def test_the_complete_features_are_table_2s_run_and_all_else_differs() -> None:
    cells = missing(["vbpr"], ["visual", "textual"]).cells
    complete = [variant for place, variant in cells if place["rate"] == 0]
    assert complete == [Variant("VBPR", "vbpr")] * 2
    others = [variant for place, variant in cells if place["rate"]]
    assert len(others) == 2 * (4 * len(MISSING_RATES) + 2)
    assert len({variant.label for variant in others}) == len(others)
    assert len({str(variant.damage) for variant in others}) == len(others)
    assert all(variant.tuned_as == complete[0] and not variant.fixed for variant in others)
    for place, variant in cells:
        if variant.damage is not None:
            assert (place["modality"], place["rate"]) == (
                variant.damage.modality, variant.damage.rate,
            )  # fmt: skip


def test_only_models_that_take_features() -> None:
    assert takes_features("vbpr", ["image"])
    assert not takes_features("vbpr", [])
    assert not takes_features("popularity", ["image"])
    assert not takes_features("of_a_plug_in_that_is_not_loaded", ["image"])


def test_rows_without_damage_keep_their_ids() -> None:
    assert digest(model="vbpr", damage="") == digest(model="vbpr")
    assert digest(model="vbpr", damage="visual mean 0.3") != digest(model="vbpr")


def test_controls_tell_who_uses_what(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.run(*CALL[:-1], "table2") == 0
    before = bench.rows("toy")
    assert bench.run(*CALL) == 0
    folder = bench.results / "toy"
    rows = bench.rows("toy")
    assert numbers(rows[: len(before)]) == {
        key: row | {"damage": ""} for key, row in numbers(before).items()
    }
    assert {row["model"] for row in rows[len(before) :]} == set(MODELS)
    assert len(rows) == len(before) + 2 * 2 * 10

    table = pd.read_csv(folder / "missing.csv").to_dict("records")
    found = {tuple(row[name] for name in PLACE): row for row in table}
    complete = {row["runs"] for row in table if row["policy"] == "complete"}
    assert complete == {row["run_id"] for row in before if row["model"] in MODELS}
    for control in ("knock-out", "shuffle"):
        hurt = found["Content", "textual", control, 1.0]
        assert hurt["change_percent"] < -20
        assert hurt["difference_low"] <= hurt["difference"] <= hurt["difference_high"] < 0
        assert hurt["p_value"] <= hurt["p_holm"] < 0.01
        for modality in ("textual", "visual"):
            same = found["Ignores", modality, control, 1.0]
            assert (same["change_percent"], same["difference_low"], same["p_holm"]) == (0, 0, 1)
    same = found["Content", "visual", "shuffle", 1.0]  # all rows are equal
    assert (same["difference"], same["p_holm"]) == (0, 1)
    lines = (folder / "missing.md").read_text().splitlines()
    assert any(line.startswith("- Content uses what textual says about an item") for line in lines)
    assert any(line.startswith("- Ignores shows no use of textual") for line in lines)
    [cells] = [each for each in table_lines("\n".join(lines), "Content") if len(each) == 5]
    assert "<sup>††</sup> (\N{MINUS SIGN}" in cells[2]
    assert "<sup>" not in cells[4]
    recall = [
        found[("Content", "textual", *place)]["recall@10"]
        for place in (("complete", 0.0), ("mask", 0.3), ("mask", 0.9))
    ]
    assert recall == sorted(recall, reverse=True)
    report = (folder / "report.html").read_text()
    assert 'id="missing"' in report
    assert "Content uses what textual says about an item" in report

    stored = {path: path.read_bytes() for path in folder.glob("missing.*")}
    monkeypatch.delattr("benchmark.tuning.Tuner.fit")  # nothing may be trained
    monkeypatch.delattr("benchmark.suite.damaged")  # nor propagated
    assert bench.run(*CALL) == 0
    assert bench.rows("toy") == rows
    assert {path: path.read_bytes() for path in stored} == stored


def test_other_processes_find_the_same(bench: Bench) -> None:
    call = (*CALL[:2], *CALL[4:], "--modalities", "textual")
    assert bench.run(*call) == 0
    other = Bench(bench.root / "elsewhere")
    elsewhere = ("--jobs", "2", "--results-root", str(other.results))
    assert main([*bench.arguments(*call), *elsewhere]) == 0
    assert numbers(other.rows("toy")) == numbers(bench.rows("toy"))


def test_all_does_not_run_it(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    discover_models(bench.plugins)
    call = bench.arguments("--all", "--dataset", "toy")
    [task] = prepared(parser().parse_args(call))
    assert "missing" not in [each.name for each in task.experiments]
    [task] = prepared(parser().parse_args([*call, "--experiments", "missing"]))
    [experiment] = task.experiments
    asked = {variant.model for _, variant in experiment.cells}
    assert {"vbpr", "duif", "cb2cf", "mmgcn", "huign", *MODELS} <= asked
    assert not asked & {"popularity", "bpr_mf", "ease", "ngcf", "huign_official"}


def stored_rows() -> list[dict[str, object]]:
    """VBPR with two policies; no lists, so nothing can be tested."""
    values = {"VBPR": 0.2, "VBPR, visual mask 30 %": 0.19, "VBPR, visual mask 60 %": 0.1,
              "VBPR, visual mean 30 %": 0.21, "VBPR, visual knock-out": 0.05}  # fmt: skip
    return [
        run(name, value, model="vbpr", tuned_as="VBPR" if "," in name else "")
        for name, value in values.items()
    ]


def test_without_lists_there_are_changes_but_no_tests(tmp_path: Path) -> None:
    experiment = missing(["vbpr"], ["visual"])
    failed = closed("VBPR, visual shuffle", "failed", "out of luck")
    record = small_record(tmp_path, [*stored_rows(), failed], [experiment])
    missing_table.write(record)
    exact = pd.read_csv(tmp_path / "missing.csv")
    assert exact["change_percent"].tolist()[1:] == pytest.approx([-5, -50, 5, -75])
    assert exact[["difference", "p_holm"]].isna().to_numpy().all()
    text, tex = ((tmp_path / f"missing.{kind}").read_text() for kind in ("md", "tex"))
    minus = "\N{MINUS SIGN}"
    assert table_lines(text, "VBPR") == [["0.2000", f"0.0500 ({minus}75.00 %)"]]
    assert table_lines(text, "VBPR, mask") == [
        [f"<u>0.1900</u> ({minus}5.00 %)", f"**0.1000** ({minus}50.00 %)"]
    ]
    assert table_lines(text, "VBPR, mean") == [["**0.2100** (+5.00 %)", "—"]]
    assert table_lines(tex, "VBPR, mean") == [[r"\textbf{0.2100} (+5.00 \%)", "—"]]
    assert "missing for 60 % of the items" in text
    assert "shows no use" not in text
    assert "- VBPR, visual shuffle: failed, out of luck.\n" in text
    assert tex.count("{") == tex.count("}")


def test_a_line_per_policy_and_a_mark_per_control(tmp_path: Path) -> None:
    experiment = missing(["vbpr"], ["visual"])
    found = study(small_record(tmp_path, stored_rows(), [experiment]))
    [axes] = missing_figure.drawn(found, "recall@10").axes
    lines = {str(each.get_label()): each for each in axes.containers}
    assert set(lines) == {"mask", "mean"}
    drawn = lines["mask"][0].get_xydata()
    assert drawn.tolist() == [[0, 0.2], [0.3, 0.19], [0.6, 0.1]]
    _, labels = axes.get_legend_handles_labels()
    assert set(labels) == {"complete", "knock-out", "mask", "mean"}


def test_the_figure_has_both_forms(tmp_path: Path) -> None:
    record = small_record(tmp_path, stored_rows(), [missing(["vbpr"], ["visual"])])
    missing_figure.write(record)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("missing.*")}
    assert set(before) == {"missing.png", "missing.pdf"}
    missing_figure.write(record)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("missing.*")} == before


def test_nothing_is_written_without_a_run_or_unless_asked_for(tmp_path: Path) -> None:
    experiment = missing(["vbpr"], ["visual"])
    for record in (
        small_record(tmp_path / "none", [run("EASE", 0.1)], [experiment]),
        small_record(tmp_path / "other", stored_rows()),
    ):
        missing_table.write(record)
        missing_figure.write(record)
        assert not list(record.folder.glob("missing*"))
