from __future__ import annotations

import pytest

from benchmark.report.markdown import html


def test_tables_have_frames_headings_and_aligned_numbers() -> None:
    page = html("| model | value |\n|:--|--:|\n| 32-8 | **0.25** ± 0.01 |\n| 32 | none |\n", 3)
    assert '<th scope="col">model</th>' in page
    assert '<th scope="row">32-8</th>' in page
    assert '<td class="number"><strong>0.25</strong> ± 0.01</td>' in page
    assert "<td>none</td>" in page
    assert page.count('<div class="scroll"') == page.count("</table></div>") == 1


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("0.25", True), ("-3.1 %", True), ("\u22123.1 %", True), ("\u2014", True),
        ("+1.2e-05", True), ("<u>0.2</u><sup>**</sup>", True),
        ("0.24 [0.23, 0.25]", True), ("0.5115 (+86.58 %)", True), ("1,682", True),
        ("< 0.001", True), ("&lt; 0.001", True), (r"+0.01 \[-0.02, +0.03\]", True),
        ("EASE", False), ("", False), ("\u2013", False), ("7 of 9", False),
    ],
)  # fmt: skip
def test_what_counts_as_a_number(cell: str, number: bool) -> None:
    page = html(f"| a | b |\n|---|---|\n| x | {cell} |\n", 3)
    assert ('class="number"' in page) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\n\n## Part\n\n### Detail\n", ["<h3>Part</h3>", "<h4>Detail</h4>"]),
        ("Words\n\n### Part\n", ["<p>Words</p>", "<h3>Part</h3>"]),
        ("Words\n", ["<p>Words</p>"]),
        ("", []),
    ],
)
def test_headings_go_below_those_of_the_page(text: str, expected: list[str]) -> None:
    assert html(text, 3).splitlines() == expected


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<u onclick=alert(1)>x</u>",
        "![x](http://example.org/x.png)",
        "[x](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
    ],
)
def test_no_html_and_no_pictures(attack: str) -> None:
    page = str(html(f"{attack}\n\n| a |\n|---|\n| {attack} |\n", 3))
    for part in ("<script", "<img", "<u onclick", 'href="javascript', "src="):
        assert part not in page.replace("&lt;img src=", "")


def test_underlines_and_raised_signs_are_kept() -> None:
    assert "<u>0.1</u><sup>*</sup>" in html("<u>0.1</u><sup>*</sup>", 3)
