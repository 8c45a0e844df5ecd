"""What to know about a data set before anything is trained on it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.capacity import needs_of
from benchmark.datasets import Dataset
from benchmark.datasets.dataset import missing_rows
from benchmark.experiments import default_models
from benchmark.outputs.figures import BASELINE, OURS, STYLE
from benchmark.presets import PRESETS
from benchmark.splits import split
from benchmark.writing import write_atomic
from models.interactions import Interactions
from models.item_graph import co_interaction_graph

THRESHOLDS = (4, 5, 6, 7, 8)
"""Of the item graph, those of the paper's Figure 3."""

QUANTILES = {"min": 0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95,
             "max": 1}  # fmt: skip
DIM = 64
"""Width of embeddings, the paper's."""

SCORED = 1000
"""Users whose scores for all items are counted."""

WILD = 10
"""Ratio of lengths of features from which a word is said about it."""


def inspect(dataset: Dataset, split_seed: int = 0) -> dict[str, Any]:
    """Counts, quantiles, coverage, the item graph and memory, as JSON can hold them.

    Args:
        dataset: The data.
        split_seed: Of the split that is drawn where the data ship none.

    Returns:
        ``counts``; ``split``; ``per_user`` and ``per_item``, quantiles of the numbers of training
        interactions; ``modalities``; ``item_graph``, a row per threshold; ``memory_mib``, of
        arrays in float32; ``training_mib``, estimates of what each known model takes beside
        these, by preset; ``remarks``, what to look at.
    """
    parts = split(dataset, {}, split_seed)
    train = parts.train
    per_user, per_item = degrees(train)
    graph = [_graph(train, threshold) for threshold in THRESHOLDS]
    report: dict[str, Any] = {
        "name": dataset.name,
        "source": dataset.source,
        "fingerprint": dataset.fingerprint,
        "counts": {
            "users": dataset.num_users,
            "items": dataset.num_items,
            "interactions": len(dataset),
            "density": len(dataset) / (dataset.num_users * dataset.num_items),
            "duplicates_removed": dataset.duplicates,
        },
        "split": {
            "how": "drawn 8 : 1 : 1" if dataset.labels is None else "shipped",
            "seed": split_seed if dataset.labels is None else None,
            "train": len(train.users),
            "validation": len(parts.validation.users),
            "test": len(parts.test.users),
            "users_without_train": int((per_user == 0).sum()),
            "items_without_train": int((per_item == 0).sum()),
        },
        "per_user": _quantiles(per_user),
        "per_item": _quantiles(per_item),
        "modalities": {name: _modality(matrix) for name, matrix in dataset.features.items()},
        "item_graph": graph,
        "memory_mib": _memory(dataset, int(graph[1]["edges"])),
        "training_mib": _training(dataset, train),
    }
    return {**report, "remarks": _remarks(report)}


def degrees(train: Interactions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of interactions of every user and of every item."""
    return (
        np.bincount(train.users.numpy(), minlength=train.num_users),
        np.bincount(train.items.numpy(), minlength=train.num_items),
    )


def _quantiles(values: NDArray[Any]) -> dict[str, float]:
    found = np.quantile(values, list(QUANTILES.values()))
    return {name: round(float(value), 6) for name, value in zip(QUANTILES, found, strict=True)}


def _graph(train: Interactions, threshold: int) -> dict[str, float]:
    graph = co_interaction_graph(train, threshold)
    isolated = np.diff(graph.indptr) == 0
    return {
        "min_co_users": threshold,
        "edges": graph.nnz // 2,
        "isolated_share": float(isolated.mean()),
    }


def _modality(matrix: NDArray[Any]) -> dict[str, Any]:
    """Width, coverage, and lengths of the rows that are there."""
    present = ~missing_rows(matrix)
    rows = np.asarray(matrix[present], dtype=np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    norms = [float(value) for value in np.quantile(lengths, (0, 0.5, 1))] if len(lengths) else []
    return {
        "dim": matrix.shape[1],
        "type": str(matrix.dtype),
        "coverage": float(present.mean()),
        **dict(zip(("norm_min", "norm_median", "norm_max"), norms or [0.0] * 3, strict=True)),
    }


def _memory(dataset: Dataset, edges: int) -> dict[str, float]:
    """What training holds, at least."""
    nodes = dataset.num_users + dataset.num_items
    parts = {
        "interactions, as pairs": 16 * len(dataset),
        "features": sum(4 * matrix.size for matrix in dataset.features.values()),
        f"embeddings of width {DIM}, with Adam's state": 4 * 4 * DIM * nodes,
        f"item graph at {THRESHOLDS[1]} users": 16 * edges + 4 * dataset.num_items,
        f"scores of {SCORED} users": 4 * min(SCORED, dataset.num_users) * dataset.num_items,
    }
    return {name: round(size / 2**20, 3) for name, size in parts.items()}


def _training(dataset: Dataset, train: Interactions) -> dict[str, dict[str, float]]:
    """What training each model takes, by preset."""
    widths = {name: matrix.shape[1] for name, matrix in dataset.features.items()}
    found: dict[str, dict[str, float]] = {}
    for preset in PRESETS.values():
        for name, need in needs_of(default_models(), preset, train, widths).items():
            found.setdefault(name, {})[preset.name] = round(need.likely / 2**20, 3)
    return found


def _remarks(report: dict[str, Any]) -> list[str]:
    """What a reader should look at, in sentences."""
    found, modalities, parts = [], report["modalities"], report["split"]
    for kind in ("users", "items"):
        count = parts[f"{kind}_without_train"]
        if count:
            meant = "nothing is learnt about them but from features" if kind == "items" else (
                "their recommendations are arbitrary"
            )  # fmt: skip
            found.append(f"{count:,} {kind} have no training interaction: {meant}")
    if report["counts"]["duplicates_removed"]:
        found.append(f"{report['counts']['duplicates_removed']:,} repeated pairs were removed")
    if not modalities:
        found.append("there are no features: only models that need none can be run")
    for name, each in modalities.items():
        if each["coverage"] < 1:
            found.append(f"{1 - each['coverage']:.1%} of the items lack '{name}'")
        if each["norm_max"] > WILD * each["norm_min"] > 0:
            found.append(
                f"lengths of '{name}' differ wildly, from {each['norm_min']:.3g} to "
                f"{each['norm_max']:.3g}: keep --feature-scaling l2_row"
            )
    medians = {name: each["norm_median"] for name, each in modalities.items() if each["norm_max"]}
    if medians and max(medians.values()) > WILD * min(medians.values()):
        most, least = max(medians, key=medians.__getitem__), min(medians, key=medians.__getitem__)
        found.append(
            f"'{most}' is {medians[most] / medians[least]:.0f} times as long as '{least}': "
            f"keep --feature-scaling l2_row, or '{most}' drowns it"
        )
    isolated = report["item_graph"][1]
    if isolated["isolated_share"] > 0.5:
        found.append(
            f"{isolated['isolated_share']:.0%} of the items have no edge in HUIGN's item graph at "
            f"its default of {isolated['min_co_users']} users in common"
        )
    return found


def draw_degrees(dataset: Dataset, split_seed: int = 0) -> Figure:
    """The long tails: which share of users, and of items, has at least so many interactions."""
    train = split(dataset, {}, split_seed).train
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.5, 2.4), layout="constrained")
        axes = figure.add_subplot()
        names = ("users", "items")
        for name, counts, colour in zip(names, degrees(train), (BASELINE, OURS), strict=True):
            _draw_tail(axes, counts, f"{name} ({len(counts):,})", colour)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("training interactions, at least")
        axes.set_ylabel("share")
        axes.set_title(dataset.name)
        axes.legend()
        figure.draw_without_rendering()
    return figure


def _draw_tail(axes: Axes, counts: NDArray[np.int64], label: str, colour: str) -> None:
    degree, how_many = np.unique(counts[counts > 0], return_counts=True)
    at_least = np.cumsum(how_many[::-1])[::-1] / len(counts)
    axes.step(degree, at_least, where="pre", label=label, color=colour)
    axes.plot(degree[-1], at_least[-1], "o", color=colour, markersize=3)


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    content = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(content, format="png", dpi=200)
    write_atomic(path, content.getvalue())
