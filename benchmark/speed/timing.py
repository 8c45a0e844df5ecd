"""Times of several forms of the same work, taken in turns."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

import torch

from benchmark.machine import PeakMemory


def nothing() -> None:
    """What a form does at its start unless it says otherwise."""


@dataclass(frozen=True)
class Form:
    """One way to do a piece of work, in equal parts such as the steps of an epoch.

    Args:
        name: Who does it.
        run: Does this many parts.
        parts: How many parts the whole has (default: ``1``).
        start: What happens once before the first part and is timed as it is.
        cpu_known: Whether its processor time can be read: not that of processes that outlive it.
    """

    name: str
    run: Callable[[int], object]
    parts: int = 1
    start: Callable[[], object] = nothing
    cpu_known: bool = True


@dataclass
class Timing:
    """What was measured of a form; all seconds are those of the whole work.

    Args:
        parts: Parts done per repetition; the rest is extrapolated.
        wall: Seconds by the clock, per repetition.
        cpu: Seconds of the processor, per repetition; NaN where they are not known.
        peak_mib: Peak memory of the process in the warm-up.
    """

    parts: int = 1
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mib: float = math.nan

    @property
    def seconds(self) -> float:
        """Median by the clock."""
        return median(self.wall)


def measure(form: Form, parts: int, device: torch.device) -> tuple[float, float]:
    """Seconds of the whole work, by the clock and of the processor, from some of its parts."""
    stamps = [_now(device)]
    form.start()
    stamps.append(_now(device))
    form.run(parts)
    stamps.append(_now(device))
    begun, started, ended = stamps
    factor = form.parts / parts
    wall, cpu = (
        started[clock] - begun[clock] + factor * (ended[clock] - started[clock]) for clock in (0, 1)
    )
    return wall, cpu if form.cpu_known else math.nan


def alternate(
    forms: Sequence[Form], repetitions: int, seconds: float, device: torch.device
) -> list[Timing | Exception]:
    """Time forms in turns, so that a busy spell of the machine meets all of them.

    Every form is warmed up by two single parts; the second tells how many parts a repetition
    does. A form that fails in the warm-up yields what it raised and is left out.

    Args:
        forms: The forms.
        repetitions: How often each is timed.
        seconds: What a repetition should take at most; at least one part is done.
        device: Waited for before the clock is read.
    """
    found: list[Timing | Exception] = []
    for form in forms:
        try:
            memory = PeakMemory(device)
            measure(form, 1, device)
            whole, _ = measure(form, 1, device)
            parts = max(1, min(form.parts, int(seconds / max(whole / form.parts, 1e-9))))
            found.append(Timing(parts=parts, peak_mib=memory.read()))
        except Exception as error:  # another library's, of any kind
            found.append(error)
    for _ in range(repetitions):
        for form, timing in zip(forms, found, strict=True):
            if isinstance(timing, Timing):
                wall, cpu = measure(form, timing.parts, device)
                timing.wall.append(wall)
                timing.cpu.append(cpu)
    return found


def _now(device: torch.device) -> tuple[float, float]:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    spent = os.times()
    children = spent.children_user + spent.children_system  # of the work that starts processes
    return time.perf_counter(), time.process_time() + children
