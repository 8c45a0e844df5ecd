"""What the paper's tables consist of, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.registry import label


@dataclass(frozen=True)
class Variant:
    """One row of results: a model with some hyper-parameters fixed.

    Args:
        label: What tables print.
        model: Registered name.
        fixed: Hyper-parameters that are not tuned.
    """

    label: str
    model: str
    fixed: Mapping[str, Any] = field(default_factory=dict)


PAPER_MODELS = ("vbpr", "duif", "cb2cf", "ngcf", "mmgcn", "disengcn", "macridvae", "huign")
"""The columns of Table 2, in the paper's order; every other model is an anchor beside them."""


def table2(models: Sequence[str]) -> list[Variant]:
    """One variant per model, the paper's first and in its order."""
    paper = [name for name in PAPER_MODELS if name in models]
    anchors = [name for name in models if name not in PAPER_MODELS]
    return [Variant(label(name), name) for name in (*paper, *anchors)]
