"""Whether models fit into the memory that there is, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from benchmark.free_memory import free_memory
from benchmark.memory import Need, Sizes, estimate
from benchmark.presets import PRESETS, Preset
from benchmark.task import Task
from benchmark.tuning import budget
from models.interactions import Interactions
from models.registry import model_class

PROCESS = 250 * 2**20
"""What a further process holds before it trains: Python, torch, SciPy, Optuna."""


def needs(task: Task, models: Sequence[str]) -> dict[str, Need]:
    """What models take with the budget of a task, where something is known of them.

    Variants of a model take its tuned hyper-parameters, so they need the model to fit as well.
    """
    train = task.parts.train
    return needs_of(models, task.settings.preset, train, widths(train))


def needs_of(
    models: Sequence[str], preset: Preset, train: Interactions, features: Mapping[str, int]
) -> dict[str, Need]:
    """The same of any models and features, given by their widths."""
    sizes = Sizes.of(train, features)
    found = {
        name: estimate(name, budget(model_class(name), preset, train), sizes)
        for name in models
        if model_class(name).missing_modality(list(features)) is None
    }
    return {name: need for name, need in found.items() if need is not None}


def widths(train: Interactions) -> dict[str, int]:
    """Of the features of every modality."""
    return {name: matrix.shape[1] for name, matrix in train.features.items()}


def refusals(task: Task, wanted: Mapping[str, Need]) -> dict[str, str]:
    """Why models cannot be trained here, for those whose least need exceeds what is available."""
    device = task.settings.device
    free = free_memory(device)
    return {
        name: f"needs about {size(need.likely)} of memory, at the very least {size(need.least)}, "
        f"and {size(free)} are available on {device.type}: {remedy(name, task, free)}"
        for name, need in wanted.items()
        if need.least > free
    }


def remedy(name: str, task: Task, free: float) -> str:
    """What would fit into the memory there is, or what else can be done about a model."""
    train, preset, paper, found = task.parts.train, task.settings.preset, PRESETS["paper"], []

    def fits(preset: Preset, features: Mapping[str, int]) -> bool:
        need = needs_of([name], preset, train, features).get(name)
        return need is not None and need.likely <= free

    if fits(paper, widths(train)):
        found.append(f"use --preset {paper.name}, whose batches differ")
    several = model_class(name).requires and len(train.features) > 1
    each = [{modality: width} for modality, width in widths(train).items()] if several else []
    found += [f"use --modalities {' '.join(alone)}" for alone in each if fits(preset, alone)][:1]
    if task.settings.device.type == "cuda":
        found.append("use --device cpu")
    return ", or ".join([*found, f"leave out '{name}'", "take a machine with more"])


def affordable_jobs(jobs: int, wanted: Sequence[Need], device: torch.device) -> int:
    """How many of so many models can be trained at a time, whichever they are; at least one.

    All processes share the data; each holds the program and its model.
    """
    free = free_memory(device)
    largest = sorted((need.least for need in wanted), reverse=True)
    while jobs > 1 and sum(largest[:jobs]) + jobs * PROCESS > free:
        jobs -= 1
    return jobs


def size(count: float) -> str:
    """Bytes as people read them."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"
