"""What the README says is true: its files exist and its commands parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmark import dissect, recommend, redraw, rerun, run, tune
from benchmark.options import Parser

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "results" / "README.md"]
LINKS = [
    (page, link)
    for page in PAGES
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    if not link.startswith("http")
]
COMMANDS = [
    (parser, command.partition("#")[0].replace("<your data>", "data"))
    for page in PAGES
    for name, parser in (
        ("run", run.parser),
        ("tune", tune.parser),
        ("recommend", recommend.parser),
        ("rerun", rerun.parser),
        ("dissect", dissect.parser),
        ("redraw", redraw.parser),
    )
    for command in re.findall(rf"-m benchmark\.{name} (.+)", page.read_text(encoding="utf-8"))
    if "`" not in command  # in a sentence, not in a block
]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=str)
def test_every_linked_file_exists(page: Path, link: str) -> None:
    assert (page.parent / link).exists()


@pytest.mark.parametrize(("parser", "command"), COMMANDS)
def test_every_command_parses(parser: Callable[[], Parser], command: str) -> None:
    arguments = parser().parse_args(shlex.split(command))
    if "all" in arguments:
        assert arguments.all or arguments.models


def test_the_pages_have_links_and_commands() -> None:
    assert len(LINKS) > 5
    assert len(COMMANDS) >= 5


def shown(values: pd.Series[float]) -> str:
    """A mean, and its deviation over seeds where there are several, as the pages print it."""
    told = [values.mean(), *([values.std()] if len(values) > 1 else [])]
    return " ± ".join(f"{value:.4f}".lstrip("0") for value in told)


def runs_of(folder: str, configuration: str) -> pd.DataFrame:
    runs = pd.read_csv(ROOT / "results" / folder / "runs.csv")
    return runs[runs["run_id"].str.startswith(f"{configuration}-")]


def test_numbers_of_the_readme_are_those_of_the_runs_it_names() -> None:
    """A row: a model, recall@10 and NDCG@10 with their deviations over seeds, and the runs."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    number = r"(\.\d{4}(?: ± \.\d{4})?)"
    rows = re.findall(rf"^\| ([^|]+) \| {number} \| {number} \| `(\w{{12}})` \|$", text, re.M)
    assert len(rows) > 10
    for model, recall, ndcg, configuration in rows:
        mine = runs_of("movielens-100k", configuration)
        assert set(mine["variant"]) == {model}
        assert [recall, ndcg] == [shown(mine["recall@10"]), shown(mine["ndcg@10"])]


def test_numbers_of_the_record_are_those_of_the_runs_it_names() -> None:
    """A row: a model, and for every data set recall@10 with its deviation, and the runs."""
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    header, _, *rows = text[text.index("| recall@10 |") :].partition("\n\n")[0].splitlines()
    folders = re.findall(r"\(([\w-]+)/table2\.md\)", header)
    cells = 0
    for row in rows:
        model, *told = row.strip("| ").split(" | ")
        for folder, cell in zip(folders, told, strict=True):
            if cell != "not run":
                number, configuration = cell.rstrip("`").split(" `")
                mine = runs_of(folder, configuration)
                assert set(mine["variant"]) == {model}
                assert number == shown(mine["recall@10"])
                cells += 1
    assert cells > 40
