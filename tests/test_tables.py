from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import models.huign  # noqa: F401  # its label
from benchmark import tables

KS = (5, 10)
IDENTITY = {
    "dataset": "toy",
    "data_fingerprint": "0123456789abcdef",
    "split_seed": "0",
    "modalities": "visual",
    "feature_scaling": "l2_row",
    "preset": "quick",
}


def run(variant: str, value: float, seed: int = 0, model: str | None = None) -> dict[str, Any]:
    metrics = {f"{metric}@{k}": value for metric in tables.METRICS for k in KS}
    model = model or variant.lower()
    shared = {"run_id": f"{variant}-{seed}", "status": "ok", "reason": "", "model": model}
    return {**IDENTITY, **shared, "variant": variant, "seed": seed, **metrics}


def closed(variant: str, status: str, reason: str) -> dict[str, Any]:
    row = {"run_id": variant, "status": status, "reason": reason, "model": variant.lower()}
    return {**IDENTITY, **row, "variant": variant, "seed": float("nan")}


def written(folder: Path, *rows: dict[str, Any]) -> tuple[str, str, str]:
    tables.write_table2(pd.DataFrame(rows), KS, folder)
    csv, markdown, latex = (
        (folder / f"table2.{kind}").read_text() for kind in ("csv", "md", "tex")
    )
    return csv, markdown, latex


def test_columns_are_in_the_papers_order_with_anchors_after_them() -> None:
    names = ("Popularity", "HUIGN", "MMGCN", "Mine", "VBPR")
    mean, _ = tables.table2(pd.DataFrame([run(name, 0.5) for name in names]), KS)
    assert list(mean) == ["VBPR", "MMGCN", "HUIGN", "Popularity", "Mine", "improvement_percent"]
    assert list(mean.index) == [f"{metric}@{k}" for metric in tables.METRICS for k in KS]


def test_means_and_deviations_over_seeds() -> None:
    rows = [run("VBPR", 0.1, 0), run("VBPR", 0.2, 1), run("HUIGN", 0.3)]
    mean, deviation = tables.table2(pd.DataFrame(rows), KS)
    assert mean.loc["recall@10", "VBPR"] == pytest.approx(0.15)
    assert deviation.loc["recall@10", "VBPR"] == pytest.approx(0.05 * 2**0.5)  # n - 1 below
    assert deviation.loc["recall@10", "HUIGN"] == 0
    assert mean.loc["recall@10", "improvement_percent"] == pytest.approx(100)


def test_improvement_is_over_the_strongest_of_the_papers_baselines_in_each_row() -> None:
    rows = [run("VBPR", 0.2), run("MMGCN", 0.1), run("Popularity", 0.9), run("HUIGN", 0.3)]
    rows[1]["recall@5"] = 0.4
    mean, _ = tables.table2(pd.DataFrame(rows), KS)
    assert mean.loc["recall@10", "improvement_percent"] == pytest.approx(50)
    assert mean.loc["recall@5", "improvement_percent"] == pytest.approx(-25)


@pytest.mark.parametrize(
    "rows",
    [
        [run("VBPR", 0.2), run("Popularity", 0.1)],
        [run("HUIGN", 0.2), run("Popularity", 0.1)],
        [run("HUIGN", 0.2), run("VBPR", 0.0)],
    ],
    ids=("without HUIGN", "without a baseline", "over nothing"),
)
def test_no_improvement_where_there_is_nothing_to_compare(rows: list[dict[str, Any]]) -> None:
    mean, deviation = tables.table2(pd.DataFrame(rows), KS)
    assert mean["improvement_percent"].isna().all()
    text = tables.marked(mean, deviation, "{}", "{}", " ± ")
    assert (text["improvement"] == "").all()


def test_best_and_second_go_by_exact_values(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.12341), run("MMGCN", 0.12342), run("HUIGN", 0.12340)]
    csv, markdown, latex = written(tmp_path, *rows)
    line = next(line for line in markdown.splitlines() if line.startswith("| recall@10"))
    assert [cell.strip() for cell in line.split("|")[2:5]] == [
        "<u>0.1234</u>", "**0.1234**", "0.1234",
    ]  # fmt: skip
    assert r"recall@10 & \underline{0.1234} & \textbf{0.1234} & 0.1234 &" in latex
    assert "0.12342" in csv


def test_equals_share_a_place(tmp_path: Path) -> None:
    _, markdown, _ = written(tmp_path, run("VBPR", 0.2), run("MMGCN", 0.2), run("HUIGN", 0.1))
    line = next(line for line in markdown.splitlines() if line.startswith("| recall@10"))
    assert line.count("**0.2000**") == 2
    assert "<u>" not in line


def test_deviations_are_shown_for_several_seeds_only(tmp_path: Path) -> None:
    _, markdown, _ = written(tmp_path, run("VBPR", 0.2), run("HUIGN", 0.1))
    assert "±" not in markdown
    assert "1 seed." in markdown
    _, markdown, latex = written(
        tmp_path, run("VBPR", 0.2, 0), run("VBPR", 0.4, 1), run("HUIGN", 0.1)
    )
    assert "**0.3000 ± 0.1414**" in markdown
    assert r"\textbf{0.3000 $\pm$ 0.1414}" in latex
    assert "<u>0.1000</u>" in markdown
    assert "2 seeds." in markdown


def test_models_without_a_result_are_notes(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.2), closed("MMGCN", "skipped", "needs any modality"),
            closed("DUIF", "failed", "DivergedError: loss is nan")]  # fmt: skip
    csv, markdown, _ = written(tmp_path, *rows)
    assert "MMGCN" not in csv
    assert "- MMGCN: skipped, needs any modality\n" in markdown
    assert "- DUIF: failed, DivergedError: loss is nan\n" in markdown


def test_no_model_has_a_result(tmp_path: Path) -> None:
    csv, markdown, latex = written(tmp_path, closed("DUIF", "failed", "why"))
    assert csv.splitlines()[0] == "metric,improvement_percent"
    assert "- DUIF: failed, why" in markdown
    assert r"\bottomrule" in latex


def test_the_caption_says_what_the_numbers_are(tmp_path: Path) -> None:
    _, markdown, _ = written(tmp_path, run("VBPR", 0.2))
    for value in IDENTITY.values():
        assert value in markdown


def test_latex_is_escaped_and_balanced(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.2), run("My_Model & 50%", 0.1, model="mine"), run("HUIGN", 0.3)]
    _, _, latex = written(tmp_path, *rows)
    assert r"My\_Model \& 50\%" in latex
    assert r"ndcg\_hits@10" in latex
    assert r"+50.00 \%" in latex
    body = [line for line in latex.splitlines() if "@" in line]
    assert len(body) == len(tables.METRICS) * len(KS)
    for line in body:
        assert line.replace(r"\&", "").count("&") == 4
        assert line.endswith(r"\\")
        bare = line.replace(r"\_", "").replace(r"\%", "").replace(r"\&", "")
        assert not set("_%#~^") & set(bare)
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\begin") == latex.count(r"\end") == 1
    assert "booktabs" in latex.splitlines()[0]
