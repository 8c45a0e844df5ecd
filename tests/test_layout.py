from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from small_record import table_lines

from benchmark.outputs.layout import (
    LATEX,
    MARKDOWN,
    latex,
    listed,
    markdown,
    numbers,
    p_text,
    page,
    percent,
    save,
    two_digits,
)

MEAN = pd.DataFrame(
    {"recall": [0.12341, 0.12342, 0.12340], "ndcg": [0.2, 0.2, float("nan")]},
    index=pd.Index(["VBPR", "MMGCN", "HUIGN"], name="model"),
)
NO_SPREAD = MEAN * 0


def test_places_are_those_of_exact_values() -> None:
    text = numbers(MEAN, NO_SPREAD, MARKDOWN)
    assert text["recall"].tolist() == ["<u>0.1234</u>", "**0.1234**", "0.1234"]
    text = numbers(MEAN, NO_SPREAD, LATEX)
    assert text["recall"].tolist() == [r"\underline{0.1234}", r"\textbf{0.1234}", "0.1234"]


def test_equals_share_a_place_and_a_gap_has_none() -> None:
    assert numbers(MEAN, NO_SPREAD, MARKDOWN)["ndcg"].tolist() == ["**0.2000**"] * 2 + ["—"]


def test_a_spread_is_shown_where_there_is_one() -> None:
    spread = NO_SPREAD.copy()
    spread.loc["VBPR", "recall"] = 0.00129
    assert numbers(MEAN, spread, MARKDOWN)["recall"].iloc[0] == "<u>0.1234 ± 0.0013</u>"
    assert numbers(MEAN, spread, LATEX)["recall"].iloc[0] == r"\underline{0.1234 $\pm$ 0.0013}"


def test_marks_stand_where_they_belong_whatever_their_order() -> None:
    marks = pd.DataFrame({"ndcg": ["††", ""], "recall": ["", "*"]}, index=["VBPR", "MMGCN"])
    text = numbers(MEAN, NO_SPREAD, MARKDOWN, marks)
    assert text["ndcg"].tolist() == ["**0.2000**<sup>††</sup>", "**0.2000**", "—"]
    assert text["recall"].tolist() == ["<u>0.1234</u>", r"**0.1234**<sup>\*</sup>", "0.1234"]
    text = numbers(MEAN, NO_SPREAD, LATEX, marks)
    dagger = r"\textdagger{}"
    assert text["ndcg"].iloc[0] == rf"\textbf{{0.2000}}\textsuperscript{{{dagger}{dagger}}}"


@pytest.mark.parametrize(
    ("words", "latex_words", "markdown_words"),
    [
        ("A_b & 50%", r"A\_b \& 50\%", "A_b & 50%"),
        (r"a\b{c}", r"a\textbackslash{}b\{c\}", r"a\b{c}"),
        ("HUIGN >=4 | *x*", r"HUIGN \textgreater{}=4 | *x*", r"HUIGN &gt;=4 \| \*x\*"),
        ("~^#$ ±", r"\textasciitilde{}\textasciicircum{}\#\$ $\pm$", "~^#$ ±"),
    ],
)
def test_words_that_would_mean_something_else(
    words: str, latex_words: str, markdown_words: str
) -> None:
    assert LATEX.text(words) == latex_words
    assert MARKDOWN.text(words) == markdown_words


def test_changes_have_a_sign() -> None:
    assert [percent(x) for x in (1.234, -1.235, 0, float("nan"))] == [
        "+1.23 %", "\N{MINUS SIGN}1.24 %", "+0.00 %", "—",
    ]  # fmt: skip
    assert LATEX.text(percent(-2)) == r"$-$2.00 \%"


def test_p_values_are_never_zero() -> None:
    assert [p_text(p, "= ") for p in (0.0304, 0.001, 0.0007, 0.0, float("nan"))] == [
        "= 0.030", "= 0.001", "< 0.001", "< 0.001", "",
    ]  # fmt: skip
    assert p_text(0.5) == "0.500"


def test_a_latex_table_has_as_many_cells_in_every_row() -> None:
    rows = pd.DataFrame([["1", "2"], ["3", "4"]], ["a_b", "c"], ["x", "y%"]).rename_axis("it")
    lines = latex([rows, rows.iloc[:1]], "50 % of it", "mine", {"One": 1, "Two": 1}).splitlines()
    assert lines == [
        r"\begin{table}", r"\centering", r"\caption{50 \% of it}", r"\label{tab:mine}",
        r"\begin{adjustbox}{max width=\linewidth}", r"\begin{tabular}{lrr}", r"\toprule",
        r" & \multicolumn{1}{c}{One} & \multicolumn{1}{c}{Two} \\",
        r"\cmidrule(lr){2-2}\cmidrule(lr){3-3}",
        r"it & x & y\% \\", r"\midrule", r"a\_b & 1 & 2 \\", r"c & 3 & 4 \\",
        r"\midrule", r"a\_b & 1 & 2 \\", r"\bottomrule",
        r"\end{tabular}", r"\end{adjustbox}", r"\end{table}",
    ]  # fmt: skip


def test_wide_tables_span_both_columns_of_a_page() -> None:
    wide = pd.DataFrame([["1"] * 6], ["a"], list("uvwxyz"))
    assert latex([wide], "", "w").startswith(r"\begin{table*}")
    assert latex([wide.iloc[:, :5]], "", "w").startswith("\\begin{table}\n")


def test_a_markdown_table_survives_its_names() -> None:
    rows = pd.DataFrame([["1"], ["2"]], ["a|b", "a|b"], ["x*"]).rename_axis("it")
    text = markdown(rows)
    assert table_lines(text, r"a\|b") == [["1"], ["2"]]
    assert table_lines(text, "it") == [[r"x\*"]]
    assert re.fullmatch(r"\|:-+\|-+:\|", text.splitlines()[1])


@pytest.mark.parametrize(
    ("value", "text"), [(130.9, "130"), (42.4, "42"), (2.74, "2.7"), (2.1e-5, "0.000021"), (0, "0")]
)
def test_two_digits(value: float, text: str) -> None:
    assert two_digits(value) == text


def test_pages_leave_out_what_is_empty() -> None:
    assert page("a", listed([]), listed(["x", "y"])) == "a\n\n- x\n- y\n"


def test_three_forms_are_saved_under_one_name(tmp_path: Path) -> None:
    save(tmp_path / "table2.5", MEAN, "text", "tex")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "table2.5.csv", "table2.5.md", "table2.5.tex",
    ]  # fmt: skip
    found = pd.read_csv(tmp_path / "table2.5.csv", index_col="model")
    pd.testing.assert_frame_equal(found, MEAN)
    lines = (tmp_path / "table2.5.tex").read_text().splitlines()
    assert lines == [r"% needs \usepackage{booktabs,adjustbox}", "tex"]
