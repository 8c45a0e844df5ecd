"""What tables hold, and experiments that are a list of cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_record import IDENTITY, KS, METRICS, closed, run, small_record, table_lines

import models.huign  # noqa: F401  # its label
from benchmark.experiments import Experiment, Variant
from benchmark.outputs import tables

BASE = Variant("HUIGN", "huign")
DEEP = Variant("HUIGN deep & wide", "huign", {"levels": (9, 9)}, BASE)
MADE_UP = Experiment(
    "table9", "A made-up study", [({"depth_of": 1}, BASE), ({"depth_of": 2}, DEEP)]
)


def test_columns_are_in_the_papers_order_with_anchors_after_them() -> None:
    names = ("Popularity", "HUIGN", "MMGCN", "Mine", "VBPR")
    mean, _ = tables.table2(pd.DataFrame([run(name, 0.5) for name in names]), KS)
    assert list(mean) == ["VBPR", "MMGCN", "HUIGN", "Popularity", "Mine", "improvement_percent"]
    assert list(mean.index) == [f"{metric}@{k}" for metric in METRICS for k in KS]


def test_means_and_deviations_over_seeds() -> None:
    rows = [run("VBPR", 0.1, 0), run("VBPR", 0.2, 1), run("HUIGN", 0.3)]
    mean, deviation = tables.table2(pd.DataFrame(rows), KS)
    assert mean.loc["recall@10", "VBPR"] == pytest.approx(0.15)
    assert deviation.loc["recall@10", "VBPR"] == pytest.approx(0.05 * 2**0.5)  # n - 1 below
    assert deviation.loc["recall@10", "HUIGN"] == 0
    assert mean.loc["recall@10", "improvement_percent"] == pytest.approx(100)


def test_improvement_is_over_the_strongest_of_the_papers_baselines_in_each_row() -> None:
    rows = [run("VBPR", 0.2), run("MMGCN", 0.1) | {"recall@5": 0.4}, run("Popularity", 0.9),
            run("HUIGN", 0.3)]  # fmt: skip
    mean, _ = tables.table2(pd.DataFrame(rows), KS)
    assert mean.loc["recall@10", "improvement_percent"] == pytest.approx(50)
    assert mean.loc["recall@5", "improvement_percent"] == pytest.approx(-25)


@pytest.mark.parametrize(
    "values",
    [
        {"VBPR": 0.2, "Popularity": 0.1},
        {"HUIGN": 0.2, "Popularity": 0.1},
        {"HUIGN": 0.2, "VBPR": 0.0},
    ],
    ids=("without HUIGN", "without a baseline", "over nothing"),
)
def test_no_improvement_where_there_is_nothing_to_compare(values: dict[str, float]) -> None:
    rows = pd.DataFrame([run(name, value) for name, value in values.items()])
    mean, _ = tables.table2(rows, KS)
    assert mean["improvement_percent"].isna().all()


def test_a_new_experiment_comes_out_in_three_forms_with_no_other_edit(tmp_path: Path) -> None:
    rows = [
        run("HUIGN", 0.12341), run("HUIGN", 0.12341, 1),
        run(DEEP.label, 0.1, 0, "huign", tuned_as="HUIGN"),
        run(DEEP.label, 0.3, 1, "huign", tuned_as="HUIGN"),
    ]  # fmt: skip
    tables.write(small_record(tmp_path, rows, [MADE_UP]))
    exact = pd.read_csv(tmp_path / "table9.csv")
    assert exact["depth_of"].tolist() == [1, 2]
    assert exact["recall@10"].tolist() == pytest.approx([0.12341, 0.2])
    assert exact["recall@10_sd"].tolist() == pytest.approx([0, 0.02**0.5])
    assert exact["runs"].tolist()[0] == "HUIGN-0 HUIGN-1"
    text, tex = ((tmp_path / f"table9.{kind}").read_text() for kind in ("md", "tex"))
    headings = ["Precision@10", "Recall@10", "NDCG@10", "NDCG@10 (hits)"]
    assert table_lines(text, "depth_of") == table_lines(tex, r"depth\_of") == [headings]
    assert table_lines(text, "1") == [["<u>0.1234</u>"] * 4]
    assert table_lines(text, "2") == [["**0.2000 ± 0.1414**"] * 4]
    assert table_lines(tex, "2") == [[r"\textbf{0.2000 $\pm$ 0.1414}"] * 4]
    for words in (MADE_UP.title, "2 seeds of initialisation", "as tuned for HUIGN"):
        assert words in text
        assert words in tex


def test_places_named_by_several_columns(tmp_path: Path) -> None:
    names = ("A", "B", "C", "D")
    places = [{"loss": loss, "of_all": part} for loss in ("l1", "l2") for part in ("50%", "100%")]
    cells = [(place, Variant(n, "huign")) for place, n in zip(places, names, strict=True)]
    rows = [run(name, 0.1 * place) for place, name in enumerate(names)]
    tables.write(small_record(tmp_path, rows, [Experiment("figure9", "Losses", cells)]))
    text, tex = ((tmp_path / f"figure9.{kind}").read_text() for kind in ("md", "tex"))
    assert [cells[:2] for cells in table_lines(text, "l2")] == [
        ["50%", "<u>0.2000</u>"], ["100%", "**0.3000**"],
    ]  # fmt: skip
    assert [cells[0] for cells in table_lines(tex, "l1")] == [r"50\%", r"100\%"]
    assert tex.count(r"\midrule") == 2  # below the heading, and where the loss changes


def test_only_cells_with_a_result_have_a_row_and_the_others_a_note(tmp_path: Path) -> None:
    lost = Variant("HUIGN lost", "huign", {}, BASE)
    experiment = Experiment("table9", "Study", [*MADE_UP.cells, ({"depth_of": 3}, lost)])
    rows = [run("HUIGN", 0.1), closed(DEEP.label, "failed", "DivergedError: loss is nan")]
    tables.write(small_record(tmp_path, rows, [experiment]))
    assert len(pd.read_csv(tmp_path / "table9.csv")) == 1
    text, tex = ((tmp_path / f"table9.{kind}").read_text() for kind in ("md", "tex"))
    reason = "failed, DivergedError: loss is nan."
    assert text.splitlines()[-2:] == [f"- {DEEP.label}: {reason}", "- Not run yet: HUIGN lost."]
    assert rf"HUIGN deep \& wide: {reason}" in tex


def test_the_legend_is_about_the_tables_own_runs(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.1), run("VBPR", 0.2, 1), run("HUIGN", 0.3)]  # of Table 2 two seeds
    tables.write(small_record(tmp_path, rows, [MADE_UP]))
    text = (tmp_path / "table9.md").read_text()
    assert "; 1 seed." in text
    assert "over 2 seeds" not in text


def test_variants_are_compared_by_the_seeds_that_all_of_them_have() -> None:
    own = [run("HUIGN", value, seed) for seed, value in enumerate((0.1, 0.3, 0.9))]
    deep = [run(DEEP.label, 0.2, seed, model="huign") for seed in (0, 1)]
    lost = {**closed(DEEP.label, "failed", "why"), "model": "huign"}
    cells = tables.by_cell(MADE_UP, pd.DataFrame([*own, *deep, lost]), 10).set_index("depth_of")
    assert cells.loc[1, "recall@10"] == pytest.approx(0.2)
    assert cells.loc[1, "runs"] == "HUIGN-0 HUIGN-1"
    alone = tables.by_cell(MADE_UP, pd.DataFrame(own), 10)
    assert alone["runs"].tolist() == ["HUIGN-0 HUIGN-1 HUIGN-2"]
    models = Experiment("table2", "", [({"model": n}, Variant(n, n.lower())) for n in "AB"])
    rows = pd.DataFrame([run("A", 0.1), run("A", 0.3, 1), run("B", 0.2)])
    assert tables.by_cell(models, rows, 10)["runs"].tolist() == ["A-0 A-1", "B-0"]


def test_many_cells_without_a_run_are_counted(tmp_path: Path) -> None:
    more = [({"depth_of": n}, Variant(f"HUIGN {n}", "huign", {}, BASE)) for n in range(3, 10)]
    experiment = Experiment("table9", "Study", [*MADE_UP.cells, *more])
    tables.write(small_record(tmp_path, [run("HUIGN", 0.1)], [experiment]))
    text = (tmp_path / "table9.md").read_text()
    assert text.splitlines()[-1] == "- Not run yet: 8 of 9 cells, of HUIGN."


def test_a_table_goes_with_its_rows(tmp_path: Path) -> None:
    tables.write(small_record(tmp_path, [run("HUIGN", 0.1)], [MADE_UP]))
    assert len(list(tmp_path.glob("table9.*"))) == 3
    tables.write(small_record(tmp_path, [closed("HUIGN", "failed", "why")], [MADE_UP]))
    assert not list(tmp_path.glob("table9.*"))


@pytest.mark.parametrize(("protocol", "data"), [("corrected", "validation"), ("official", "test")])
def test_what_models_are_chosen_on(protocol: str, data: str) -> None:
    assert tables.judged_on({**IDENTITY, "evaluation_protocol": protocol}) == data


def test_no_table_for_nothing(tmp_path: Path) -> None:
    record = small_record(tmp_path, [run("VBPR", 0.1)], [MADE_UP])
    before = set(tmp_path.iterdir())
    tables.write(record)
    assert set(tmp_path.iterdir()) == before


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    record = small_record(tmp_path, [run("HUIGN", 0.1), run(DEEP.label, 1 / 3)], [MADE_UP])
    files = [tmp_path / f"table9.{kind}" for kind in ("csv", "md", "tex")]
    tables.write(record)
    before = [file.read_bytes() for file in files]
    tables.write(record)
    assert [file.read_bytes() for file in files] == before


def test_the_caption_says_what_the_numbers_are() -> None:
    text = tables.caption(pd.DataFrame([run("VBPR", 0.2), closed("NGCF", "failed", "why")]))
    for name, value in IDENTITY.items():
        assert value in text or name in ("ks", "vary", "matmul_precision")
    assert text.endswith("; 1 seed.")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"vary": "sampling"}, "over 2 seeds of sampling."),
        ({"vary": "both"}, "over 2 seeds of initialisation and sampling."),
        ({"split_seed": "shipped"}, ", split as shipped;"),
        ({"matmul_precision": "medium"}, "protocol corrected, medium precision;"),
    ],
)
def test_the_caption_names_seeds_and_split(told: dict[str, str], expected: str) -> None:
    rows = [{**run("VBPR", 0.2, seed), **told} for seed in (0, 1)] + [run("EASE", 0.1)]
    assert expected in tables.caption(pd.DataFrame(rows))


def test_the_caption_says_where_models_have_fewer_seeds() -> None:
    def trained(variant: str, seed: int) -> dict[str, Any]:
        return run(variant, 0.1, seed, params=json.dumps({"seed": seed}))

    rows = [trained("VBPR", seed) for seed in range(5)] + [trained("NGCF", 0), run("EASE", 0.1)]
    assert "over 1 to 5 seeds of" in tables.caption(pd.DataFrame(rows))
    assert "over 5 seeds of" in tables.caption(pd.DataFrame(rows[:5] + rows[6:]))


def test_the_caption_of_rows_older_than_some_columns() -> None:
    since = ("split_method", "evaluation_protocol", "vary")
    rows = pd.DataFrame([run("VBPR", 0.2)]).drop(columns=[*since])
    assert "by interactions with seed 7" in tables.caption(rows)
    assert "protocol corrected" in tables.caption(rows)
