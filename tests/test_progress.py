"""Bars and lines, also those of trainings that go on at the same time."""

from __future__ import annotations

import inspect
import io
from typing import Any

from rich.console import Console

from benchmark.progress import Relay, Reporter


def shown(reporter: Reporter) -> list[tuple[str, float, float | None]]:
    """The visible bars."""
    tasks = reporter._progress.tasks
    return [(task.description, task.completed, task.total) for task in tasks if task.visible]


def test_every_training_has_a_bar_and_all_share_one() -> None:
    first = Reporter(5, Console(file=io.StringIO()))
    second = first.beside()
    assert shown(first) == [("all trainings", 0, 5)]
    first.start("A", 3)
    second.start("B", None)
    first.epoch(0.25, 0.5)
    bar = ("A  recall@10 0.2500 best 0.5000", 1, 3)
    assert shown(first) == shown(second) == [("all trainings", 0, 5), bar, ("B", 0, None)]
    second.finish()
    first.finish(0)
    assert shown(first) == [("all trainings", 1, 5)]


def test_a_relay_passes_everything_on() -> None:
    told: list[tuple[Any, ...]] = []
    relay = Relay(told.append)
    relay.line("done", style="red")
    relay.start("A", None)
    relay.epoch(0.25, 0.5)
    relay.finish()
    relay.finish(4)
    assert told == [
        ("line", "done", "red"),
        ("start", "A", None),
        ("epoch", 0.25, 0.5),
        ("finish", 1),
        ("finish", 4),
    ]
    for name, *arguments in told:  # the reporter at the other end takes them
        inspect.signature(getattr(Reporter, name)).bind(None, *arguments)


def test_lines_keep_their_brackets() -> None:
    text = io.StringIO()
    Reporter(1, Console(file=text)).line("De[man]ding failed: [/red]", style="red")
    assert text.getvalue() == "De[man]ding failed: [/red]\n"
