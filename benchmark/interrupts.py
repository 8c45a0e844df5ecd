"""Ctrl-C and SIGTERM: both end a command in the same way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system, a container or a shutdown sends it: it ends things as Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises :class:`Terminated` meanwhile; only the main thread can see to that."""

    def terminate(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """What is started meanwhile feels neither Ctrl-C nor SIGTERM, not even while it loads torch.

    Both may reach all processes at once; it is the parent that ends the others.
    """
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def raise_interrupt(error: Exception) -> None:
    """Raise the Ctrl-C or SIGTERM that an error stands in front of, if there is one.

    Cleaning up after an interrupt may fail: a ZIP archive, for one, cannot be closed in the middle
    of a write. Its error would hide the interrupt, and be taken for a failure of the model.
    """
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, KeyboardInterrupt):
            raise behind
        behind = behind.__context__
