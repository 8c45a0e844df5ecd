"""What a run is: the model of a variant and a seed, and what tells it from all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.code_version import code_version
from benchmark.experiments import Variant
from benchmark.store import digest
from benchmark.task import Task
from benchmark.tuning import Tuner
from models.recommender import Recommender
from models.registry import create, model_class


def seeds_of(variant: Variant, seeds: int) -> int:
    """How often a variant is trained; once where nothing about it is random."""
    return seeds if "seed" in model_class(variant.model).defaults() else 1


def seeded(model: type[Recommender], seed: int, vary: str) -> dict[str, int]:
    """The hyper-parameters that make a model random in the way that ``--vary`` says."""
    if "seed" not in model.defaults():
        return {}
    if vary == "both" or "sampling_seed" not in model.defaults():
        return {"seed": seed}
    return (
        {"seed": 0, "sampling_seed": seed}
        if vary == "sampling"
        else {"seed": seed, "sampling_seed": 0}
    )


def made(
    variant: Variant, seed: int, tuned: Mapping[str, Any], trainer: Tuner, task: Task
) -> Recommender:
    """The model of one run, with its final hyper-parameters, not yet trained."""
    random = seeded(model_class(variant.model), seed, task.settings.vary)
    return create(variant.model, **{**trainer.fixed(variant), **random, **tuned})


def common(variant: Variant, task: Task) -> dict[str, str]:
    """What the rows of all seeds of a variant have in common; the study is not known yet."""
    return {
        **task.row,
        "variant": variant.label,
        "model": variant.model,
        "switches": "+".join(task.switches(variant)),
        "damage": "" if variant.damage is None else str(variant.damage),
        "tuned_as": "" if variant.tuned_as is None else variant.tuned_as.label,
        "study": "",
    }


def told_apart(row: Mapping[str, str]) -> dict[str, str]:
    """The part of a row that ids depend on: how the hyper-parameters were found is none of it."""
    return {name: row[name] for name in row if name not in ("tuned_as", "study")}


def identified(variant: Variant, seed: int, model: Recommender, task: Task) -> str:
    """The id of one run: the same for all seeds, but for its end."""
    params = {name: value for name, value in model.params().items() if name != "seed"}
    if task.settings.vary == "sampling":
        params.pop("sampling_seed", None)
    row = told_apart(common(variant, task))
    return f"{digest(**row, params=params, code=code_version(type(model)))}-{seed}"


def closed(row: Mapping[str, str]) -> str:
    """The id of the one row of a variant without a result."""
    return digest(**told_apart(row))
