"""Our form of every piece of work against the others', at every size."""

from __future__ import annotations

import contextlib
import gc
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch

from benchmark.machine import commit, device_name, versions
from benchmark.speed.catalogue import Settings
from benchmark.speed.timing import Form, Timing, alternate
from benchmark.speed.work import Work

INSTALL = {"cornac": "cornac", "implicit": "implicit", "recbole": "--no-deps recbole"}
"""What pip installs where a peer cannot be imported."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Args:
        repetitions: How often every form is timed.
        seconds: What a repetition takes at most; the rest of an epoch is extrapolated.
    """

    repetitions: int
    seconds: float


def peer_versions() -> dict[str, str]:
    """Versions of the peers that are installed, beside the packages that the suite needs."""
    found = {}
    for package in INSTALL:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def reason(error: Exception) -> str:
    """Why a form has no time, in one line."""
    missing = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ImportError) and missing in INSTALL:
        return f"not installed: pip install {INSTALL[missing]}"
    return " ".join(f"failed: {type(error).__name__}: {error}".split())[:200]


def made(make: Callable[[], Form], name: str) -> Form:
    """The form, or one that raises what its maker raised."""
    try:
        return make()
    except Exception as error:  # another library's, of any kind
        raised = error

        def run(parts: int) -> None:
            raise raised

        return Form(name, run)


def rows(work: Work, effort: Effort, device: torch.device) -> Iterator[dict[str, Any]]:
    """A row per peer, or one without a peer; see :func:`compare` for the columns."""
    names = list(work.peers)
    peers = [made(work.peers[name], name) for name in names]
    ours, *others = alternate([work.ours, *peers], effort.repetitions, effort.seconds, device)
    if isinstance(ours, Exception):
        yield {"peer": "", "status": reason(ours)}
        return
    limit = work.limit.estimate(device)
    mine = {
        "seconds": ours.seconds,
        "cpu_seconds": min(ours.cpu),
        "timed_parts": ours.parts,
        "parts": work.ours.parts,
        "peak_mib": ours.peak_mib,
        "limit_seconds": limit,
        "limit_share": limit / ours.seconds,
        "limit_formula": work.limit.formula,
    }
    if not names:
        yield {"peer": "", **mine, "status": "ok"}
    for name, peer, other in zip(names, peers, others, strict=True):
        if isinstance(other, Timing):
            theirs = {
                "peer_seconds": other.seconds,
                "peer_cpu_seconds": min(other.cpu),
                "ratio": other.seconds / ours.seconds,
                "cpu_ratio": min(other.cpu) / min(ours.cpu) if min(ours.cpu) else math.nan,
                "peer_timed_parts": other.parts,
                "peer_parts": peer.parts,
                "peer_peak_mib": other.peak_mib,
                "status": "ok",
            }
        else:
            theirs = {"status": reason(other)}
        yield {"peer": name, **mine, **theirs}


def compare(
    make: Callable[[], Work], place: dict[str, Any], effort: Effort, settings: Settings
) -> list[dict[str, Any]]:
    """Rows of the result for one piece of work at one size.

    Args:
        make: Makes the work.
        place: First columns: work, size and what the data are.
        effort: How much to measure.
        settings: Shared by all forms.

    Returns:
        A row per peer: medians by the clock (``seconds``, ``peer_seconds``), least processor
        times, ``ratio`` (how many times longer the peer takes), how many parts were timed of how
        many, peak memory, the limit, ``status`` (``ok`` or why there is no time), the machine.
    """
    device = torch.device(settings.device)
    machine = {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "repetitions": effort.repetitions,
        "versions": json.dumps({**versions(), **peer_versions()}),
        "commit": commit(),
    }
    try:
        found = list(rows(make(), effort, device))
    except Exception as error:  # ours cannot be made at this size
        found = [{"peer": "", "status": reason(error)}]
    gc.collect()
    return [{**place, **row, **machine} for row in found]
