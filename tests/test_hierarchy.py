from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from planted import Bench, contents, small_bench
from small_record import run, small_dataset, small_record, table_lines

from baselines.bpr_mf import BPRMF
from baselines.vbpr import VBPR
from benchmark.datasets import Dataset
from benchmark.datasets.synthetic import SIZES, Size, World, synthetic
from benchmark.evaluation import Evaluator
from benchmark.experiments import CONTROL, FORMS, Variant, experiments, hierarchy, table3
from benchmark.features import scale_features
from benchmark.outputs import hierarchy as outputs
from benchmark.outputs.hierarchy_figure import drawn
from benchmark.outputs.hierarchy_study import divergence, study
from benchmark.planted_intents import planted, sizes
from benchmark.presets import EXPERIMENTS, ON_REQUEST
from benchmark.record import Record
from benchmark.splits import split
from models.huign import HUIGN, Intents
from models.recommender import Recommender
from models.training import Training

CLEAR = World(noise=0.1, common=0, missing=0, dominance=0.95, visible=1)
DATA = synthetic("tiny", world=CLEAR)
BASE = Variant("HUIGN", "huign")
STUDY = hierarchy(BASE, (8, 4, 2))
BUDGET = Training(learning_rate=1e-2, epochs=25, batch_size=256, reg=1e-2)


def test_every_form_has_one_two_and_three_of_the_planted_levels() -> None:
    *cells, (place, none) = hierarchy(BASE, (32, 8, 4)).cells
    assert [*place.values()] == [CONTROL, "no intents"]
    assert HUIGN(**none.fixed).modalities == ()
    places = [tuple(place.values()) for place, _ in cells]
    assert places == [(form, name) for form in FORMS for name in ("32", "32-8", "32-8-4")]
    for (form, name), (_, variant) in zip(places, cells, strict=True):
        model = HUIGN(**variant.fixed)
        assert "-".join(map(str, model.levels)) == name
        assert (model.temperature == 1) == ("temperature" not in form)
        assert (model.entropy_weight == 0) == (model.independence_weight == 0) == ("-C-I" in form)


def test_what_table3_has_is_not_trained_again() -> None:
    cells = hierarchy(BASE, (32, 8, 4)).cells
    shared = [variant for place, variant in cells if place["variant"] == "HUIGN"]
    of_table3 = {place["structure"]: variant for place, variant in table3(BASE).cells}
    assert shared == [of_table3[name] for name in ("32", "32-8", "32-8-4")]


def test_only_data_that_know_the_truth_have_it() -> None:
    assert sizes(planted(DATA)) == [8, 4, 2]
    assert sizes(planted(small_dataset())) == []
    for names, modalities, levels, offered in (
        (["huign"], ["visual"], [8, 4, 2], True),
        (["huign"], ["visual"], [], False),
        (["vbpr"], ["visual"], [8, 4, 2], False),
        (["huign"], [], [8, 4, 2], False),
    ):
        found = [each.name for each in experiments(names, modalities, levels)]
        assert ("hierarchy" in found) == offered
    assert "hierarchy" in ON_REQUEST
    assert "hierarchy" not in EXPERIMENTS


def test_divergence_is_0_where_all_items_look_alike_and_1_where_intents_share_them() -> None:
    assert divergence(np.tile([0.7, 0.2, 0.1], (5, 1))) == 0
    assert divergence(np.repeat(np.eye(4), 3, axis=0)) == pytest.approx(1)
    # one intent for all items is a collapse, too
    assert divergence(np.tile([1.0, 0, 0], (5, 1))) == 0
    clear = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    assert divergence(np.array([[0.9, 0.1], [0.1, 0.9]])) == pytest.approx(1 - clear)


def gammas(sharpness: float, depth: int) -> list[np.ndarray[Any, Any]]:
    """Items assigned to their planted intents and these to theirs; 0: everything is alike."""
    tables = [np.eye(8)[planted(DATA)[0]], np.eye(4)[np.arange(8) // 2], np.eye(2)[[0, 0, 1, 1]]]
    weights = [np.exp(sharpness * each) for each in tables[:depth]]
    return [each / each.sum(1, keepdims=True) for each in weights]


def record(folder: Path, sharpness: Mapping[str, Sequence[float]], recall: float = 0.2) -> Record:
    """Runs of forms, a seed for each sharpness; further levels are worth a twentieth each."""
    rows = []
    (folder / "intents").mkdir(parents=True)
    for place, variant in STUDY.cells:
        form, structure = place["variant"], place["structure"]
        depth = structure.count("-") + 1
        for seed, each in enumerate(sharpness.get(form, ())):
            name, params = f"{variant.label}-{seed}".replace(" ", "_"), {"min_co_users": 5}
            value = recall * (1 + 0.05 * (depth - 1))
            about = {"tuned_as": "HUIGN", "params": json.dumps(params), "run_id": name}
            rows.append(run(variant.label, value, seed, model="huign", **about))
            if structure == "no intents":
                continue
            arrays: dict[str, Any] = {
                f"{modality}/{level}": gamma
                for modality in ("visual", "textual")
                for level, gamma in enumerate(gammas(each, depth), start=1)
            }
            np.savez(folder / "intents" / f"{name}.npz", items=np.arange(100), **arrays)
            (folder / "intents" / f"{name}.csv").write_text("any\n")
    return small_record(folder, rows, [STUDY], dataset=DATA)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """HUIGN has found everything, HUIGN-C-I nothing, and one form everything with one seed."""
    told = {
        "HUIGN": [9, 9],
        "HUIGN (temperature 0.1)": [9, 0],
        "HUIGN-C-I": [0, 0],
        CONTROL: [0, 0],
    }
    result = record(tmp_path_factory.mktemp("full") / DATA.name, told)
    outputs.write(result)
    return result


def written(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "hierarchy.csv").set_index(["variant", "structure"])


LEVELS = {"8": 1, "8-4": 2, "8-4-2": 3}


def test_a_perfect_assignment_scores_1_and_a_collapsed_one_0(full: Record) -> None:
    table = written(full.folder)
    for structure, depth in LEVELS.items():
        for level in range(1, 4):
            places = [f"nmi@{level}", f"purity@{level}", f"jsd@{level}"]
            perfect = table.loc[("HUIGN", structure), places].to_numpy(dtype=float)
            collapsed = table.loc[("HUIGN-C-I", structure), places].to_numpy(dtype=float)
            if level > depth:
                assert np.isnan([*perfect, *collapsed]).all()
                continue
            assert perfect[:2].tolist() == [1, 1]
            assert 0.97 < perfect[2] <= 1
            _, counts = np.unique(planted(DATA)[level - 1], return_counts=True)
            assert collapsed == pytest.approx([0, counts.max() / 100, 0])


def test_the_table_tells_what_there_was_to_be_found(full: Record) -> None:
    table = written(full.folder).loc[CONTROL]
    assert list(table.index) == [
        "no intents", "k-means of features", "k-means of features of neighbours", "chance",
    ]  # fmt: skip
    nmi = table[["nmi@1", "nmi@2", "nmi@3"]]
    assert (nmi.loc["k-means of features"] > 0.9).all()
    assert (nmi.loc["chance"] < 0.4).all()
    assert nmi.loc["no intents"].isna().all()
    assert table["recall@10"].notna().tolist() == [True, False, False, False]


def test_seeds_are_averaged(full: Record) -> None:
    rows = written(full.folder).loc["HUIGN (temperature 0.1)"]
    assert rows["nmi@2"].dropna().tolist() == [0.5, 0.5]
    assert rows["nmi@1_sd"].tolist() == pytest.approx([0.5**0.5] * 3)
    assert [len(runs.split()) for runs in rows["runs"]] == [2, 2, 2]


def test_the_page_says_what_was_found(full: Record) -> None:
    text = (full.folder / "hierarchy.md").read_text()
    assert "The highest Recall@10 is 0.2200, of HUIGN 8-4-2; without intents it is 0.2000" in text
    assert "8-4 instead of 8 changes Recall@10 by +5.00 % (HUIGN), +5.00 %" in text
    assert "Of level 3, HUIGN 8-4-2 finds most, with an NMI of 1.00 (k-means of features " in text
    assert "to a JSD below 0.01, in 1 of 3: HUIGN-C-I 8-4-2." in text
    first, *_ = table_lines(text, "HUIGN")
    assert first[:4] == ["8", "0.2000", "0.2000", "**1.0000**"]
    _, features, *_ = table_lines(text, CONTROL)
    assert features[:3] == ["k-means of features", "—", "—"]
    assert not any("nan" in cell or "*" in cell for cell in features)
    tex = (full.folder / "hierarchy.tex").read_text()
    assert r"HUIGN & 8-4-2 & \textbf{0.2200} & \textbf{0.2200} & \textbf{1.0000}" in tex
    assert "Not run yet: HUIGN (temperature 0.01) 8; " in text


def test_nothing_is_found_where_all_has_collapsed(tmp_path: Path) -> None:
    result = record(tmp_path / DATA.name, {"HUIGN": [0]})
    outputs.write(result)
    text = (result.folder / "hierarchy.md").read_text()
    for level, runs in ((1, 3), (2, 2), (3, 1)):
        assert f"Of level {level} nothing is found (k-means of features " in text
        assert f"to a JSD below 0.01, in {runs} of {runs}: HUIGN 8" in text


def test_the_figure_has_a_column_per_form_and_shows_the_table(full: Record) -> None:
    found = study(STUDY, full)
    figure = drawn(found, "recall@10")
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["HUIGN", "HUIGN (temperature 0.1)", "HUIGN-C-I"]
    assert len(figure.axes) == 3 * 3
    recall, nmi = figure.axes[0], figure.axes[3]
    heights = [float(np.asarray(line.get_ydata())[0]) for line in recall.lines]
    assert heights == pytest.approx([0.2, 0.2, 0.21, 0.22])  # no intents, then the structures
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in nmi.lines]
    expected = found.loc[found["variant"] == "HUIGN", ["nmi@1", "nmi@2", "nmi@3"]].to_numpy(float)
    np.testing.assert_array_equal(lines, expected)
    [legend] = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert set(words) == {*LEVELS, "no intents", *found.loc[found["runs"] == "", "structure"]}


def test_the_same_rows_give_the_same_bytes(full: Record) -> None:
    before = contents(full.folder)
    assert {f"hierarchy.{kind}" for kind in ("csv", "md", "tex", "png", "pdf")} <= set(before)
    outputs.write(full)
    assert contents(full.folder) == before


def test_without_a_run_with_intents_nothing_is_left(tmp_path: Path) -> None:
    result = record(tmp_path / DATA.name, {CONTROL: [0]})
    (result.folder / "hierarchy.md").write_text("old")
    outputs.write(result)
    assert not list(result.folder.glob("hierarchy.*"))
    outputs.write(replace(result, experiments=[]))


def test_runs_whose_intents_are_lost_keep_their_recall(tmp_path: Path) -> None:
    result = record(tmp_path / DATA.name, {"HUIGN": [9]})
    for path in (result.folder / "intents").glob("HUIGN_8-0.*"):
        path.unlink()
    outputs.write(result)
    table = written(result.folder).loc["HUIGN"]
    assert table.loc["8", "recall@10"] == 0.2
    assert table["nmi@1"].isna().tolist() == [True, False, False]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return small_bench(tmp_path, monkeypatch)


CALL = ("--models", "huign", "--experiments", "hierarchy", "--dataset")


def test_one_command_runs_the_study_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run(*CALL, "synthetic-tiny") == 0
    runs = bench.rows("synthetic-tiny")
    assert {row["status"] for row in runs} == {"ok"}
    assert {row["tuned_as"] for row in runs} == {"HUIGN"}
    assert len(runs) == len(STUDY.cells) == len({row["variant"] for row in runs})
    folder = bench.results / "synthetic-tiny"
    table = written(folder)
    assert len(table) == len(runs) + 3  # k-means of both, and chance
    mine = table[table.index.get_level_values("variant") != CONTROL]
    assert mine["nmi@1"].between(0, 1).all()
    assert mine["nmi@3"].notna().sum() == len(FORMS)
    report = (folder / "report.html").read_text()
    assert 'id="hierarchy"' in report
    assert f'href="#run-{runs[0]["run_id"]}"' in report
    before = (folder / "runs.csv").read_bytes()
    monkeypatch.delattr("benchmark.tuning.Tuner.fit")  # nothing may be trained
    assert bench.run(*CALL, "synthetic-tiny") == 0
    assert (folder / "runs.csv").read_bytes() == before


def test_real_data_have_no_planted_hierarchy(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run(*CALL, "toy") == 2
    assert "hierarchy, which needs huign among the models and data with planted intents" in (
        capsys.readouterr().err
    )
    assert bench.run("--models", "popularity", "--dataset", "toy") == 0
    assert 'id="hierarchy"' not in (bench.results / "toy" / "report.html").read_text()


def recall(model: Recommender, data: Dataset) -> float:
    """Test recall@10 of a model that is not yet trained."""
    parts = split(data, scale_features(data.features, "l2_row"), 0)
    test = Evaluator(parts.test, parts.train.union(parts.validation), ks=(10,))
    return test(model.fit(parts.train)).means["recall@10"]


def test_content_helps_where_items_have_few_interactions_and_hurts_where_it_is_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SIZES, "sparse", Size(300, 300, 2400, {"visual": 32}, (2, 2, 2)))
    clear, noise = (
        synthetic("sparse", world=replace(CLEAR, noise=each)) for each in (CLEAR.noise, 1e9)
    )
    by_ids = recall(BPRMF(**BUDGET), clear)
    assert recall(BPRMF(**BUDGET), noise) == by_ids  # the same interactions
    assert recall(VBPR(**BUDGET), clear) > 1.15 * by_ids
    assert recall(VBPR(**BUDGET), noise) < 0.85 * by_ids


class Informed(HUIGN):
    """HUIGN that is told the planted intents instead of finding its own."""

    def intents(self) -> Intents:
        """The planted assignments of all levels."""
        found = super().intents()
        first, *others = (torch.from_numpy(each).float() for each in gammas(50, len(self.levels)))
        copies = len(self.modality_names)
        given = [first[:, None].expand(-1, copies, -1), *(g.expand(copies, -1, -1) for g in others)]
        return Intents(given, found.log_assignments, found.graphs, found.gram)


def test_planted_intents_would_help_if_they_were_found() -> None:
    budget = Training(**{**BUDGET, "epochs": 15})
    without = recall(HUIGN(modalities=(), **budget), DATA)
    assert recall(Informed(levels=(8, 4, 2), **budget), DATA) > 1.05 * without


def test_further_levels_add_no_scores_that_one_level_could_not_give() -> None:
    """Distributions of level 2 are those of level 1 times a matrix, which users could contain."""
    parts = split(DATA, scale_features(DATA.features, "zscore_col"), 0)
    model = HUIGN(levels=(8, 4, 2), temperature=0.1, modalities=["visual"])
    model.build(parts.train)
    with torch.no_grad():
        intents, preference = model.intents(), model.preferences[0]
        scores = preference @ (intents.assignments[0].flatten(1) @ intents.mixing()).T
        alone = (preference @ intents.mixing().T) @ intents.assignments[0].flatten(1).T
    torch.testing.assert_close(scores, alone)
    fine, middle, _ = accumulate((each.squeeze() for each in intents.assignments), torch.matmul)
    assert middle.shape == (DATA.num_items, 4)
    assert fine.shape == (DATA.num_items, 8)
