"""What the README says is true: its files exist and its commands parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmark import recommend, redraw, rerun, run, tune
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


def test_numbers_of_the_readme_are_those_of_the_runs_it_names() -> None:
    """A row: a model, recall@10 and NDCG@10 with their deviations over seeds, and the runs."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    number = r"(\.\d{4}(?: ± \.\d{4})?)"
    rows = re.findall(rf"^\| ([^|]+) \| {number} \| {number} \| `(\w{{12}})` \|$", text, re.M)
    assert len(rows) > 10
    runs = pd.read_csv(ROOT / "results" / "movielens-100k" / "runs.csv")
    for model, *told, configuration in rows:
        mine = runs[runs["run_id"].str.startswith(f"{configuration}-")]
        assert set(mine["variant"]) == {model}
        for metric, shown in zip(("recall@10", "ndcg@10"), told, strict=True):
            values = [mine[metric].mean(), *([mine[metric].std()] if len(mine) > 1 else [])]
            assert shown == " ± ".join(f"{value:.4f}".lstrip("0") for value in values)
