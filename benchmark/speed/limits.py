"""What the hardware allows: the least time that bytes and multiplications take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch


@dataclass(frozen=True)
class Limit:
    """An estimate of the least work, and of the least time with it.

    The bandwidth is that of a copy as large as what is worked on, because small tables stay in
    the cache; one thread does not multiply and copy at the same time, so the two times add up.

    Args:
        formula: What was counted, in words.
        traffic: Pairs of the bytes read and written, and the size of the table that they belong
            to.
        flops: Of matrix products, two per multiplication.
        seconds: Taken instead of an estimate where the limit is itself a measurement.
    """

    formula: str
    traffic: Sequence[tuple[float, float]] = ()
    flops: float = 0
    seconds: float = 0

    def estimate(self, device: torch.device) -> float:
        """Seconds on this device with torch's present number of threads."""
        if self.seconds:
            return self.seconds
        found = self.flops / flop_rate(device) if self.flops else 0.0
        for count, table in self.traffic:
            # powers of two between 1 and 256 MiB, so that few bandwidths are measured
            exponent = min(max(int(table).bit_length(), 20), 28)
            found += count / bandwidth(exponent, device)
        return found


@cache
def bandwidth(exponent: int, device: torch.device) -> float:
    """Bytes read and written per second when a block of ``2 ** exponent`` bytes is copied."""
    source = torch.zeros(2**exponent // 4, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * len(source) / _seconds(lambda: target.copy_(source), device)


@cache
def flop_rate(device: torch.device) -> float:
    """Floating-point operations per second of a product of two ``1024 x 1024`` matrices."""
    a = torch.ones(1024, 1024, device=device)
    return 2 * 1024**3 / _seconds(lambda: a @ a, device)


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    times = []
    for _ in range(7):
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)
