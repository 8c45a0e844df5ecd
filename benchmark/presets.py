"""What the command line offers, apart from torch so that ``--help`` need not load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EXPERIMENTS = ("table2", "table3", "table4", "figure3", "figure4", "protocol")
"""The experiments of :mod:`benchmark.experiments` that ``--all`` runs."""

ON_REQUEST = ("ablation", "missing", "hierarchy")
"""Those that are run only where ``--experiments`` names them: they go beyond the paper, one takes
as long as all others, and one needs data with planted intents."""

VARY = ("both", "initialisation", "sampling")
"""What ``--seeds`` varies; the seed of the other stays 0."""

COLD_ITEMS = "cold_items"
"""The split whose validation and test items never occur in training."""

SPLIT_METHODS = ("interactions", "per_user", COLD_ITEMS)
"""What :func:`benchmark.splits.split` offers, the default first."""

EXACT = "highest"
"""Dense products in single precision."""

MATMUL_PRECISION = (EXACT, "high", "medium")
"""How exact dense products are, as torch's ``set_float32_matmul_precision`` takes it."""

NO_MODALITY = "none"
"""What stands for the modalities of data without any."""

FEATURE_SCALING = ("l2_row", "none", "zscore_col")
"""What :func:`benchmark.features.scale_features` offers."""


@dataclass(frozen=True)
class Preset:
    """A budget, the same for every model.

    Args:
        name: What ``--preset`` takes.
        epochs: Upper bound on passes over the data.
        patience: Epochs without a better validation recall@10 before training stops.
        seeds: Trainings of each tuned model, with seeds ``0..seeds-1``.
        grid: Candidate values that replace a model's own, by hyper-parameter.
        steps: Double or halve a model's batches until an epoch has about this many steps;
            ``None`` leaves them alone.
    """

    name: str
    epochs: int
    patience: int
    seeds: int
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    steps: int | None = None


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            epochs=40,
            patience=10,
            seeds=1,
            grid={"learning_rate": (3e-3, 1e-2), "reg": (1e-4, 1e-2)},
            steps=20,
        ),
        Preset(
            "standard",
            epochs=400,
            patience=40,  # in epochs of 20 steps; after 20 of them recall@10 may still rise by 4 %
            seeds=5,
            grid={"learning_rate": (1e-3, 1e-2)},
            steps=20,
        ),
        Preset("paper", epochs=1000, patience=20, seeds=5),
    )
}
