from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from planted import Bench
from small_record import run, small_record, table_lines

import baselines.vbpr  # noqa: F401  # its label
import models.huign  # noqa: F401  # its label
from benchmark.damage import EVERY, Damage
from benchmark.experiments import (
    Variant,
    ablation,
    experiments,
    figure3,
    protocol,
    table2,
    table3,
    table4,
)
from benchmark.outputs import figures, tables
from benchmark.presets import EXPERIMENTS, ON_REQUEST
from benchmark.protocols import SWITCHES
from models.registry import create, label

HUIGN = Variant("HUIGN", "huign")


def test_table2_has_the_papers_models_first_and_in_its_order() -> None:
    cells = table2(["ease", "huign", "vbpr", "duif"]).cells
    assert [variant.model for _, variant in cells] == ["vbpr", "duif", "huign", "ease"]


def test_table3_has_the_papers_five_structures() -> None:
    cells = table3(HUIGN).cells
    names = [place["structure"] for place, _ in cells]
    assert names == ["32", "32-8", "32-8-4", "64-16-4", "64-32-8-4"]
    for (place, variant), name in zip(cells, names, strict=True):
        levels = create("huign", **variant.fixed).params()["levels"]
        assert "-".join(map(str, levels)) == name == place["structure"]


def test_table4_has_every_modality_alone_and_all_together() -> None:
    cells = table4(HUIGN, ["image", "text"]).cells
    assert [place["modality"] for place, _ in cells] == ["image", "text", "multiple"]
    assert [variant.fixed.get("modalities") for _, variant in cells] == [["image"], ["text"], None]


def test_figure3_crosses_four_variants_with_five_thresholds() -> None:
    cells = figure3(HUIGN).cells
    assert len(cells) == 20
    for place, variant in cells:
        params = create("huign", **variant.fixed).params()
        assert params["min_co_users"] == place["min_co_users"]
        assert (params["entropy_weight"] == 0) == ("-C" in place["variant"])
        assert (params["independence_weight"] == 0) == ("-I" in place["variant"])


def test_the_default_is_one_variant_in_all_experiments_and_the_rest_take_its_tuning() -> None:
    found = experiments(["huign", "vbpr"], ["image", "text"], [32, 8, 4])
    assert [each.name for each in found] == [*EXPERIMENTS, *ON_REQUEST]
    of_huign = found[1:5]
    labels = [variant.label for each in of_huign for _, variant in each.cells]
    assert labels.count("HUIGN") == 4  # 32-8-4, at least 5 users, all modalities, Figure 4
    assert len(set(labels)) == len(labels) - 3
    for each in of_huign:
        for _, variant in each.cells:
            assert variant == HUIGN or (variant.tuned_as == HUIGN and variant.fixed)


def test_the_ablation_takes_away_or_changes_one_thing_and_shares_its_runs() -> None:
    found = {place["form"]: variant for place, variant in ablation(HUIGN).cells}
    assert found["as published"] == HUIGN
    for form in ("no losses", "HUIGN-I, 8 common users"):
        assert found[form] in [variant for _, variant in figure3(HUIGN).cells]
    hierarchy = experiments(["huign"], ["image"], [32, 8, 4])[-1]
    assert found["no intents (BPR-MF)"] in [variant for _, variant in hierarchy.cells]
    assert len({variant.label for variant in found.values()}) == len(found) == 13
    blind = found["HUIGN-I, 8 common users, features shuffled"]
    whole = found["HUIGN-I, 8 common users"]
    assert blind == replace(whole, label=blind.label, damage=Damage(EVERY, "shuffle", 1.0))
    for variant in found.values():
        create("huign", **variant.fixed)  # every choice is one that HUIGN knows
        assert variant == HUIGN or (variant.tuned_as == HUIGN and variant.fixed)


def test_the_protocol_study_turns_on_every_switch_alone_and_all_together() -> None:
    cells = protocol(["vbpr", "huign"]).cells
    for base in (Variant(label("vbpr"), "vbpr"), HUIGN):
        mine = [variant for place, variant in cells if place["model"] == base.label]
        assert mine[0] == base
        assert [v.switches for v in mine[1:]] == [*((s,) for s in SWITCHES), tuple(SWITCHES)]
        assert all(v.tuned_as == base and not v.fixed for v in mine[1:])


@pytest.mark.parametrize(
    ("names", "modalities", "expected"),
    [
        (["vbpr"], ["image", "text"], ["table2", "protocol", "missing"]),
        (["huign"], [], ["table2", "protocol"]),
        (
            ["huign"],
            ["image"],
            ["table2", "table3", "figure3", "figure4", "protocol", "ablation", "missing"],
        ),
    ],
)
def test_only_what_models_and_data_allow(
    names: list[str], modalities: list[str], expected: list[str]
) -> None:
    assert [each.name for each in experiments(names, modalities)] == expected


def test_a_modality_called_like_a_structure_is_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.add("clash", modalities=("32", "visual"))
    call = ("--models", "huign", "--dataset", "clash", "--experiments", "table3", "table4")
    assert bench.run(*call) == 2
    assert "two variants on 'clash' would be called 'HUIGN 32'" in capsys.readouterr().err


def test_cells_are_means_over_seeds_and_name_their_runs() -> None:
    rows = [run("HUIGN 32", 0.1, 0), run("HUIGN 32", 0.3, 1), run("HUIGN", 0.4)]
    cells = tables.by_cell(table3(HUIGN), pd.DataFrame(rows), 10)
    assert cells["structure"].tolist() == ["32", "32-8-4"]
    assert cells["recall@10"].tolist() == pytest.approx([0.2, 0.4])
    assert cells["recall@10_sd"].tolist() == pytest.approx([0.02**0.5, 0])
    assert cells["runs"].tolist() == ["HUIGN 32-0 HUIGN 32-1", "HUIGN-0"]


def test_the_best_of_each_column_is_bold(tmp_path: Path) -> None:
    rows = [run("HUIGN 32", 0.12341, model="huign", tuned_as="HUIGN"), run("HUIGN", 0.12342)]
    tables.write(small_record(tmp_path, rows, [table3(HUIGN)]))
    text = (tmp_path / "table3.md").read_text()
    # the same four decimals, yet not the best
    assert table_lines(text, "32") == [["<u>0.1234</u>"] * len(tables.METRICS)]
    assert table_lines(text, "32-8-4") == [["**0.1234**"] * len(tables.METRICS)]
    assert "\n- Not run yet: HUIGN 32-8; HUIGN 64-16-4; HUIGN 64-32-8-4.\n" in text


def test_figure3_draws_a_line_per_variant_over_the_edges() -> None:
    rows = [
        {"variant": name, "min_co_users": least, "recall@10": least / 10, "recall@10_sd": 0.0}
        | {"edges": 1000.0 / least}
        for name in ("HUIGN", "HUIGN-C")
        for least in (4, 5)
    ]
    axes = figures.draw_figure3(Figure().add_subplot(), pd.DataFrame(rows), "recall@10")
    _, labels = axes.get_legend_handles_labels()
    assert labels == ["HUIGN", "HUIGN-C"]
    assert list(np.asarray(axes.lines[0].get_ydata())) == pytest.approx([0.4, 0.5])
    figure = axes.figure
    assert figure is not None
    [behind] = [other for other in figure.axes if other is not axes]
    bars: list[Any] = list(behind.patches)
    assert [bar.get_height() for bar in bars] == [250, 200]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["> 3", "> 4"]


def test_all_experiments_from_one_study(bench: Bench) -> None:
    names = ("table2", "table3", "table4", "figure3")
    call = ("--models", "huign", "popularity", "--datasets", "toy", "--experiments", *names)
    assert bench.run(*call) == 0
    folder = bench.results / "toy"
    runs = bench.rows("toy")
    assert {row["status"] for row in runs} == {"ok"}
    assert len(runs) == 1 + 1 + 4 + 2 + 19  # popularity, HUIGN, and its other forms
    assert {row["variant"] for row in bench.rows("toy", "trials")} == {"HUIGN"}
    params = [json.loads(row["params"]) for row in runs if row["model"] == "huign"]
    assert len({each["learning_rate"] for each in params}) == 1
    overall = pd.read_csv(folder / "table2.csv", index_col="metric")
    assert set(overall) == {"HUIGN", "Popularity", "improvement_percent"}
    expected = overall["HUIGN"].to_dict()["recall@10"]
    for name, place in (
        ("table3", ["32-8-4"]),
        ("table4", ["multiple"]),
        ("figure3", ["HUIGN", 5]),
    ):
        rows = pd.read_csv(folder / f"{name}.csv").to_dict("records")
        [mine] = [row for row in rows if [*row.values()][: len(place)] == place]
        assert mine["recall@10"] == expected
    before = (folder / "runs.csv").read_bytes()
    assert bench.run(*call) == 0
    assert (folder / "runs.csv").read_bytes() == before


@pytest.mark.fault(
    "a lost data base of studies",
    how="`studies.db` deleted when all studies are complete",
    again="nothing",
    says="`stored already`",
)
def test_a_lost_data_base_of_studies_costs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("--models", "huign", "item_knn", "--datasets", "toy")
    assert bench.run(*call) == 0
    folder = bench.results / "toy"
    before = {name: (folder / name).read_bytes() for name in ("runs.csv", "trials.csv")}
    (folder / "studies.db").unlink()
    monkeypatch.delattr("benchmark.tuning.Tuner.fit")  # nothing may be trained
    assert bench.run(*call) == 0
    assert before == {name: (folder / name).read_bytes() for name in before}
    assert not (folder / "studies.db").exists()


def test_ctrl_c_before_the_first_cell_leaves_what_there_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("models.huign.HUIGN.batches", interrupted)
    names = ("table2", "table3", "table4", "figure3")
    call = ("--models", "vbpr", "huign", "--datasets", "toy", "--experiments", *names)
    assert bench.run(*call) == 130
    written = {path.name for path in (bench.results / "toy").iterdir()}
    assert {"runs.csv", "table2.csv", "manifest.json"} <= written
    assert not written & {"table3.csv", "table4.csv", "figure3.csv"}


def test_figure3_does_without_a_history_that_is_lost(tmp_path: Path) -> None:
    rows = [
        run("HUIGN", 0.4, run_id="a-0"),
        run("HUIGN >=4", 0.3, run_id="b-0"),
        run("HUIGN >=4", 0.5, seed=1, run_id="b-1"),
    ]
    record = small_record(tmp_path, rows, [figure3(HUIGN)])
    record.store.save_history("b-1", [{"epoch": 1, "edges": 7}])
    assert figures.edges_of(record, ["b-0", "b-1"]) == 7
    assert figures.edges_of(record, ["a-0"]) is None
    figures.write(record)
    assert (tmp_path / "figure3.png").exists()
    (tmp_path / "history" / "b-1.csv").unlink()
    figures.write(record)
    assert not (tmp_path / "figure3.png").exists()
