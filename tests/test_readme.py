"""What the README says is true: its files exist and its commands parse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import recommend, run, tune
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
    )
    for command in re.findall(rf"-m benchmark\.{name} (--.+)", page.read_text(encoding="utf-8"))
    if "`" not in command  # in a sentence, not in a block
]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=str)
def test_every_linked_file_exists(page: Path, link: str) -> None:
    assert (page.parent / link).exists()


@pytest.mark.parametrize(("parser", "command"), COMMANDS)
def test_every_command_parses(parser: Callable[[], Parser], command: str) -> None:
    arguments = parser().parse_args(shlex.split(command))
    assert "users" in arguments or arguments.all or arguments.models


def test_the_pages_have_links_and_commands() -> None:
    assert len(LINKS) > 5
    assert len(COMMANDS) >= 5
