"""Titles, labels and messages are shown as they are, and mean nothing to what shows them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_words import FORMULAS, WORDS
from markdown_it import MarkdownIt
from planted import ITEMS, Bench, small_bench
from small_report import Page

from benchmark.command import one_line
from benchmark.datasets import load
from models.errors import UsageError

ATTACK = " ".join(WORDS)
PLUGINS = f"""
from baselines.popularity import Popularity
from models.registry import register

@register("mine", label={ATTACK!r})
class Mine(Popularity):
    pass

@register("broken", label="Broken")
class Broken(Popularity):
    def fit(self, *_, **__):
        raise ValueError({ATTACK + chr(10) + chr(27) + "[2J"!r})
"""
TAGS = {
    "html", "head", "meta", "title", "link", "style", "body", "header", "nav", "main", "section",
    "p", "h1", "h2", "h3", "h4", "ol", "ul", "li", "a", "b", "span", "small", "div", "table",
    "thead", "tbody", "tr", "th", "td", "sup", "u", "strong", "em", "code", "pre", "dl", "dt", "dd",
    "details", "summary", "figure", "figcaption", "img",
}  # fmt: skip
COMMANDS = {
    "begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule",
    "cmidrule", "multicolumn", "linewidth", "textbf", "underline", "textsuperscript", "textdagger",
    "textless", "textgreater", "textbackslash", "pm", "item", "texttt", "textasciitilde",
    "textasciicircum", "usepackage",
}  # fmt: skip
EXACT = ("runs.csv", "trials.csv")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a whole run writes of data and models with such words."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        bench = small_bench(tmp_path_factory.mktemp("bench"), monkeypatch)
        titles = [f"{FORMULAS[item % 4]} {ATTACK}" for item in range(ITEMS)]
        rows = [[item, title, "a\nb"] for item, title in enumerate(titles)]
        with (bench.data / "toy" / "toy.item").open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerows([["itemID", "title", "genres"], *rows])
        bench.plug_in("plugins.py", PLUGINS)
        models = ("huign", "vbpr", "popularity", "mine", "broken")
        assert bench.run("--models", *models, "--dataset", "toy",
                         "--experiments", "table2", "table4", "figure4") == 1  # fmt: skip
        yield bench.results / "toy"


def test_the_report_has_no_elements_but_its_own(results: Path) -> None:
    page = Page((results / "report.html").read_text(encoding="utf-8"))
    assert set(page.tags) <= TAGS
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    sources = [value for name, value in page.attributes if name == "src"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(re.match(r"#|[\w.%-]+$", link) for link in page.links)
    for word in WORDS:
        assert word in page.prose, word
    assert "49" not in {text for row in page.cells for text, _ in row}


def test_markdown_has_no_html_links_or_pictures(results: Path) -> None:
    reader, seen = MarkdownIt("commonmark", {"html": True}).enable("table"), 0
    for path in results.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        seen += "alert" in text
        for token in reader.parse(text):
            for each in [token, *(token.children or ())]:
                if each.type.startswith("html"):
                    assert re.fullmatch(r"</?(u|sup)>", each.content), path.name
                target = str(each.attrs.get("href", each.attrs.get("src", "")))
                assert re.fullmatch(r"(\.\./)?[\w.%-]*", target), path.name
    assert seen >= 4


def test_rows_of_markdown_have_as_many_cells_as_their_headers(results: Path) -> None:
    tables = 0
    for path in results.glob("*.md"):
        width = 0
        for line in path.read_text(encoding="utf-8").splitlines():
            cells = len(re.split(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert width == 0 or cells in (0, width), f"{path.name}: {line}"
            tables += cells > 0 and width == 0
            width = cells
    assert tables > 10


def test_latex_has_no_commands_but_its_own(results: Path) -> None:
    seen = 0
    for path in results.glob("*.tex"):
        text = path.read_text(encoding="utf-8")
        seen += "alert" in text
        assert set(re.findall(r"\\([a-zA-Z]+)", text)) <= COMMANDS, path.name
        plain = re.sub(r"\\[^a-zA-Z]", "", text)
        assert plain.count("{") == plain.count("}")
        assert "\n\n" not in text
        for line in text.splitlines()[1:]:  # the first is a comment
            assert not re.search(r"(?<!\\)[%#]", line), path.name
    assert seen == 3  # Table 2 and those beyond accuracy, which name all models


def test_no_cell_is_a_formula(results: Path) -> None:
    seen = 0
    for path in (path for path in results.glob("*.csv") if path.name not in EXACT):
        with path.open(newline="", encoding="utf-8") as file:
            for cell in (cell for row in csv.reader(file) for cell in row):
                seen += cell.startswith(tuple(f"'{formula}" for formula in FORMULAS))
                if cell.startswith(("=", "+", "-", "@", "\t", "\r")):
                    assert re.fullmatch(r"-?[\d.]+(e-?\d+)?|-inf", cell), f"{path.name}: {cell}"
    assert seen > 10


def test_a_reason_is_one_line(results: Path) -> None:
    with (results / "runs.csv").open(newline="", encoding="utf-8") as file:
        [row] = [row for row in csv.DictReader(file) if row["status"] == "failed"]
    assert row["reason"].startswith(f"ValueError: {ATTACK}")
    assert row["reason"].isprintable()


def test_a_terminal_is_told_nothing_but_text() -> None:
    assert one_line(UsageError("a\n\x1b[2J\x07b\ud800")) == "a ?[2J?b?"


@pytest.mark.parametrize("name", ["<script>", "=cmd()", "a|b", "a\nb", "a\x1b[2J", "a\\b", "$(x)"])
def test_data_are_not_called_so(name: str, tmp_path: Path) -> None:
    Bench(tmp_path).add("toy").rename(tmp_path / "data" / name)
    with pytest.raises(UsageError, match="is no name for them; rename the folder"):
        load(name, tmp_path / "data")
