from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_record import KS, METRICS, closed, run, small_record, table_lines

import models.huign  # noqa: F401  # its label
from benchmark.experiments import Experiment, Variant
from benchmark.outputs import significance
from benchmark.outputs.table2 import budgets, write, write_table2

NO_MARKS = pd.DataFrame()
MODELS = ("VBPR", "MMGCN", "HUIGN", "Popularity")
ASKED = Experiment("table2", "", [({}, Variant(name, name.lower())) for name in MODELS])


def written(
    folder: Path,
    *rows: dict[str, Any],
    marks: pd.DataFrame = NO_MARKS,
    trials: Mapping[str, int] | None = None,
) -> tuple[str, str, str]:
    write_table2(small_record(folder, rows, [ASKED], trials), marks)
    csv, text, tex = ((folder / f"table2.{kind}").read_text() for kind in ("csv", "md", "tex"))
    return csv, text, tex


def all_four() -> list[dict[str, Any]]:
    values = (0.2, 0.3, 0.36, 0.4)
    return [run(name, value) for name, value in zip(MODELS, values, strict=True)]


def test_anchors_stand_apart(tmp_path: Path) -> None:
    _, text, tex = written(tmp_path, *all_four())
    own, anchors = text.split("Anchors, which the paper lacks:\n")
    assert table_lines(own, "HUIGN") == [["<u>0.3600</u>"] * 4]
    assert table_lines(own, "improvement") == [["+20.00 %"] * 4]
    assert not table_lines(own, "Popularity")
    assert table_lines(anchors, "Popularity") == [["**0.4000**"] * 4]
    line = r" & \multicolumn{4}{c}{The paper's models} & \multicolumn{1}{c}{Anchors, which"
    assert line in tex
    assert r"\cmidrule(lr){2-5}\cmidrule(lr){6-6}" in tex
    heading = ["VBPR", "MMGCN", "HUIGN", "improvement", "Popularity"]
    assert table_lines(tex, "metric") == [heading]


def test_the_order_is_the_same_whoever_was_asked_for(tmp_path: Path) -> None:
    rows = [run(name, 0.1) for name in ("Popularity", "HUIGN", "EASE", "VBPR")]
    for number, asked in enumerate(([], ["Popularity"], ["EASE", "HUIGN"])):
        experiments = [Experiment("table2", "", [({}, Variant(n, n.lower())) for n in asked])]
        record = small_record(tmp_path / str(number), rows, experiments)
        assert list(record.overall["variant"]) == ["VBPR", "HUIGN", "EASE", "Popularity"]


def test_all_cut_offs_in_the_papers_layout(tmp_path: Path) -> None:
    _, text, tex = written(tmp_path, *all_four())
    expected = ["0.2000", "0.3000", "<u>0.3600</u>", "+20.00 %"]
    rows = [f"{name}@{k}" for name in ("Precision", "Recall", "NDCG") for k in KS]
    for metric in [*rows, *(f"NDCG@{k} (hits)" for k in KS)]:
        assert table_lines(text, metric) == [expected, ["**0.4000**"]]
        assert table_lines(tex, metric) == [
            ["0.2000", "0.3000", r"\underline{0.3600}", r"+20.00 \%", r"\textbf{0.4000}"]
        ]
    assert tex.count(r"\midrule") == len(METRICS)


def test_exact_values_in_the_csv(tmp_path: Path) -> None:
    csv, *_ = written(tmp_path, run("VBPR", 1 / 3), run("HUIGN", 2 / 3))
    [line] = [line for line in csv.splitlines() if line.startswith("recall@10,")]
    assert line == f"recall@10,{1 / 3},{2 / 3},100.0"


def test_deviations_are_shown_for_several_seeds_only(tmp_path: Path) -> None:
    _, text, tex = written(tmp_path, run("VBPR", 0.2, 0), run("VBPR", 0.4, 1), run("HUIGN", 0.1))
    assert table_lines(text, "VBPR") == [["**0.3000 ± 0.1414**"] * 4]
    assert r"\textbf{0.3000 $\pm$ 0.1414}" in tex
    assert table_lines(text, "HUIGN") == [["<u>0.1000</u>"] * 4]


def test_marks_of_significance_are_shown_and_explained(tmp_path: Path) -> None:
    marks = pd.DataFrame({"HUIGN": ["**"], "VBPR": ["†"]}, index=["recall@10"])
    _, text, tex = written(tmp_path, *all_four(), marks=marks)
    assert table_lines(text, "HUIGN")[0][1] == r"<u>0.3600</u><sup>\*\*</sup>"
    assert table_lines(text, "HUIGN")[0][0] == "<u>0.3600</u>"
    assert r"0.2000\textsuperscript{\textdagger{}}" in tex
    assert "significantly worse than the best of the paper's baselines in this metric" in text
    assert "HUIGN against the strongest of the paper's other models" in text
    assert "p &lt; 0.05" in text
    assert r"p \textless{} 0.05" in tex
    _, text, _ = written(tmp_path, *all_four())
    assert "significantly" not in text


def test_the_legend_knows_whom_models_are_compared_with(tmp_path: Path) -> None:
    marks = pd.DataFrame({"HUIGN": ["**"]}, index=["recall@10"])
    _, text, _ = written(tmp_path, run("HUIGN", 0.3), run("Popularity", 0.2), marks=marks)
    assert "significantly worse than the best of all models but HUIGN in this metric" in text
    assert "improvement" not in text


def test_marks_come_from_the_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = small_record(tmp_path, all_four(), [ASKED])
    assert significance.statistics(record).empty  # no lists are stored
    write(record)
    assert "<sup>" not in (tmp_path / "table2.md").read_text()
    row = {"metric": "recall@5", "variant": "VBPR", "difference": -1.0, "p_holm": 0.02}
    monkeypatch.setattr(significance, "statistics", lambda _: pd.DataFrame([row]))
    write(record)
    line = ["0.2000<sup>†</sup>", "0.3000", "<u>0.3600</u>", "+20.00 %"]
    assert table_lines((tmp_path / "table2.md").read_text(), "Recall@5")[0] == line


def test_nothing_is_written_unless_asked_for(tmp_path: Path) -> None:
    write(small_record(tmp_path, all_four()))
    assert not (tmp_path / "table2.csv").exists()


def test_models_without_a_result_are_notes(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.2), closed("MMGCN", "skipped", "needs any modality"),
            closed("DUIF", "failed", "DivergedError: loss is nan")]  # fmt: skip
    csv, text, tex = written(tmp_path, *rows)
    assert "MMGCN" not in csv
    for note in (
        "MMGCN: skipped, needs any modality.", "DUIF: failed, DivergedError: loss is nan.",
        "Not run yet: HUIGN; Popularity.",
    ):  # fmt: skip
        assert f"- {note}\n" in text
        assert note in tex


def test_no_model_has_a_result(tmp_path: Path) -> None:
    csv, text, tex = written(tmp_path, closed("DUIF", "failed", "why"))
    assert csv.splitlines()[0] == "metric,improvement_percent"
    assert "- DUIF: failed, why" in text
    assert r"\bottomrule" in tex


def test_latex_is_escaped_and_balanced(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.2), run("My_Model & 50%", 0.1, model="mine"), run("HUIGN", 0.3)]
    _, _, tex = written(tmp_path, *rows)
    assert r"My\_Model \& 50\%" in tex
    body = [line for line in tex.splitlines() if "@" in line]
    assert len(body) == len(METRICS) * len(KS)
    for line in body:
        assert line.replace(r"\&", "").count("&") == 4
        assert line.endswith(r"\\")
        assert not set("_%#~^") & set(line.replace(r"\%", ""))
    assert tex.count("{") == tex.count("}")
    assert tex.count(r"\begin") == tex.count(r"\end") == 3


def params(**given: int) -> str:
    return json.dumps({"learning_rate": 0.1, **given})


EQUAL = "Budget of each tuned model: 4 trials of at most 40 epochs, patience 10"


def test_an_equal_budget_is_told_once(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.1), run("HUIGN", 0.2), run("HUIGN", 0.3, 1)]
    record = small_record(tmp_path, rows, trials={"vbpr": 4, "huign": 4, "other": 9})
    assert budgets(record.overall, record.trials) == f"{EQUAL}."


def test_unequal_budgets_are_named(tmp_path: Path) -> None:
    rows = [
        run("EASE", 0.1, params=params()), run("VBPR", 0.1), run("HUIGN", 0.2),
        run("CB2CF", 0.2, epochs=55), run("Popularity", 0.1, params="{}", study=""),
        run("NGCF", 0.1, params=params(epochs=80, patience=5)),
    ]  # fmt: skip
    trials = {"ease": 1, "vbpr": 4, "huign": 4, "cb2cf": 4, "ngcf": 4}
    record = small_record(tmp_path, rows, trials=trials)
    assert budgets(record.overall, record.trials) == (
        f"{EQUAL}, except 4 trials of at most 40 epochs a stage, patience 10 for CB2CF; "
        "4 trials of at most 80 epochs, patience 5 for NGCF; 1 trial for EASE; "
        "nothing to tune for Popularity."
    )
    write_table2(record, NO_MARKS)
    assert EQUAL in (tmp_path / "table2.md").read_text()
    assert EQUAL in (tmp_path / "table2.tex").read_text()
