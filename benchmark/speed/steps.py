"""Training steps of a model of this suite, a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from benchmark.speed.timing import Form
from models.interactions import Interactions
from models.registry import create
from models.sampling import NegativeSampler
from models.stepping import stepper
from models.training import TrainedRecommender

Loss = Callable[..., Tensor]
"""From a model and the tensors of a batch to the scalar that a step minimises."""


def prepared(model: Any, train: Interactions) -> Any:
    """A model before its first step, on the device of its data."""
    with torch.random.fork_rng([train.device] if train.device.type == "cuda" else []):
        torch.manual_seed(0)
        model.build(train)
    model._sampler = NegativeSampler(train)
    return model.train()


def built(name: str, train: Interactions, **hyper_parameters: Any) -> Any:
    """A registered model, :func:`prepared`."""
    return prepared(create(name, **hyper_parameters), train)


def epoch(
    model: TrainedRecommender,
    train: Interactions,
    name: str = "ours",
    loss: Loss | None = None,
    parameters: Iterable[Tensor] | None = None,
) -> Form:
    """An epoch of a built model as :meth:`models.training.TrainedRecommender.fit` does it.

    Args:
        model: Of :func:`built`.
        train: What it was built for.
        name: Of the form.
        loss: Another form of the model's loss; it gets torch's default Adam, as other libraries
            do, where ours is the fused one.
        parameters: What is trained where the loss is that of another model.
    """
    if loss is None:
        _, step = model.descent(train.device)
    else:
        adam = torch.optim.Adam(model.parameters() if parameters is None else parameters, lr=1e-3)
        step = stepper(partial(loss, model), adam)
    generator = torch.Generator(train.device).manual_seed(0)
    batches: Iterator[tuple[Tensor, ...]] = iter(())

    def start() -> None:
        nonlocal batches
        drawn = model.batches(train, generator)
        batches = chain([next(drawn)], drawn)  # the first one shuffles and samples for all

    def run(parts: int) -> None:
        for batch in islice(batches, parts):
            step(*batch)

    rows = getattr(model, "active_users", train.users)  # MacridVAE's batches are of users
    return Form(name, run, -(-len(rows) // model.batch_size), start)
