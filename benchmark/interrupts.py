"""Ctrl-C and SIGTERM: both end a command in the same way."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system, a container or a shutdown sends it: it ends things as Ctrl-C."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises :class:`Terminated` meanwhile; only the main thread can see to that.

    An error of cleaning up after it, or after Ctrl-C, does not hide it.
    """

    def terminate(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except Exception as error:
        raise_interrupt(error)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """What is started meanwhile feels neither Ctrl-C nor SIGTERM, not even while it loads torch.

    Both may reach all processes at once; it is the parent that ends the others. The parent feels
    them afterwards. What is started inherits that they are blocked, as it would no handler; one
    that ignores them would be inherited, too, but lose those that come meanwhile.
    """
    both = (signal.SIGINT, signal.SIGTERM)
    felt: list[int] = []
    before = {each: signal.signal(each, lambda number, _: felt.append(number)) for each in both}
    if inherited := sys.platform != "win32":
        resource_tracker.ensure_running()  # unblocks them, unless it runs already
        signal.pthread_sigmask(signal.SIG_BLOCK, both)
    try:
        yield
    finally:
        if inherited:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in felt[:1]:
            signal.raise_signal(number)


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
