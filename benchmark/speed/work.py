"""A piece of work: our form of it, others' forms, and the least time it can take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmark.speed.limits import Limit
from benchmark.speed.timing import Form

FLOAT = 4
"""Bytes of a number in single precision."""


@dataclass(frozen=True)
class Work:
    """What is compared.

    Args:
        ours: This suite's form.
        limit: An estimate of the least time.
        peers: By name what makes another form; it is made when it is its turn, and may raise.
    """

    ours: Form
    limit: Limit
    peers: Mapping[str, Callable[[], Form]] = field(default_factory=dict)


def adam_bytes(parameters: int) -> int:
    """Traffic of a dense Adam step and of clearing the gradients.

    Parameters, both moments and gradients are read, all but the gradients are written, and the
    gradients are set to zero.
    """
    return 8 * FLOAT * parameters


def gather_bytes(edges: int, width: int) -> int:
    """Traffic of a sparse product: a row of the dense matrix, an index and a value per edge."""
    return edges * (FLOAT * width + 8)
