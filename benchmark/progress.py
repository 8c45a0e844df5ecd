"""Progress on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from typing_extensions import Self


class Reporter:
    """Two bars, all runs and the current training, and lines above them for what is done.

    Args:
        total: Number of trainings, tuning included.
        console: Where to print (default: the standard error stream).
    """

    def __init__(self, total: int, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
        )
        self._all = self._progress.add_task("all trainings", total=total)
        self._current = self._new_bar()

    def _new_bar(self) -> TaskID:
        return self._progress.add_task("", total=None, visible=False)

    def beside(self) -> Reporter:
        """The same with another bar, for a training that goes on at the same time."""
        other = copy(self)
        other._current = self._new_bar()
        return other

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def line(self, text: str, style: str | None = None) -> None:
        """Print a line that stays; brackets in it are no markup."""
        self._progress.console.print(
            text, style=style, markup=False, highlight=False, soft_wrap=True
        )

    def start(self, what: str, epochs: int | None) -> None:
        """A training begins, of at most ``epochs`` epochs (``None``: not iterative)."""
        self._progress.reset(self._current, description=what, total=epochs, visible=True)

    def epoch(self, score: float, best: float) -> None:
        """An epoch is over, with this validation score and the best one so far."""
        description = self._progress.tasks[self._current].description.split("  ")[0]
        text = f"{description}  recall@10 {score:.4f} best {best:.4f}"
        self._progress.update(self._current, advance=1, description=text)

    def finish(self, trainings: int = 1) -> None:
        """This many of all trainings are over, or need not happen."""
        self._progress.update(self._all, advance=trainings)
        self._progress.update(self._current, visible=False)


class Relay(Reporter):
    """Stands for the reporter of another process, which has the terminal.

    Args:
        tell: Takes the name of a method and its arguments there.
    """

    def __init__(self, tell: Callable[[tuple[Any, ...]], None]) -> None:
        self._tell = tell

    def line(self, text: str, style: str | None = None) -> None:
        """As :meth:`Reporter.line`, over there; likewise all others."""
        self._tell(("line", text, style))

    def start(self, what: str, epochs: int | None) -> None:
        """A training begins."""
        self._tell(("start", what, epochs))

    def epoch(self, score: float, best: float) -> None:
        """An epoch is over."""
        self._tell(("epoch", score, best))

    def finish(self, trainings: int = 1) -> None:
        """This many of all trainings are over."""
        self._tell(("finish", trainings))
