"""Trained recommenders on disk, as plain tensors and JSON: nothing in them can run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from benchmark.code_version import code_version
from benchmark.datasets.reading import readable
from benchmark.writing import write_atomic
from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender, Validate
from models.registry import create
from models.training import TrainedRecommender

WEIGHTS, DESCRIPTION, FORMAT = "model.safetensors", "model.json", 1

STATE, USERS, SCORES = "state.", "reference.users", "reference.scores"
"""Names of tensors: parameters and buffers begin with the first; the others are the model's scores
of all items for :data:`REFERENCE_USERS` users."""

REFERENCE_USERS = 8

ROUNDING = 1e-4
"""By how much of the largest score a loaded model's may differ, as they do on another processor."""


def save(
    folder: Path,
    name: str,
    model: Recommender,
    train: Interactions,
    data: Mapping[str, str],
    validate: Validate | None = None,
) -> None:
    """Write a fitted recommender, after a look at whether it can be loaded again::

        model.json           name, hyper-parameters, data, and digests of its code and its weights
        model.safetensors    parameters and buffers, and the scores of a few users

    What a model makes of the training data before its first step (graphs, aggregated features) is
    made again when it is loaded, and so are models without a training loop as a whole, such as
    ItemKNN and EASE: their ``fit`` is repeated, which costs less than it would to keep what it
    makes, whatever that is. The names of users and items stay with the data.

    Args:
        folder: Where to; files in it are replaced.
        name: What the model is registered as.
        model: Fitted on ``train``.
        train: Training interactions with item features.
        data: What determines ``train``, such as the fingerprint of the data and the split.
        validate: What ``model`` was fitted with.

    Raises:
        UsageError: If a copy would score otherwise, as what the model learned is not all in its
            parameters and buffers; or if the files cannot be written.
    """
    state = model.state_dict() if isinstance(model, TrainedRecommender) else {}
    users = torch.linspace(0, train.num_users - 1, REFERENCE_USERS, dtype=torch.float64).long()
    tensors = {USERS: users, SCORES: scores(model, users, train)}
    try:
        tensors |= {STATE + key: _plain(value) for key, value in state.items()}
        weights = safetensors.torch.save(tensors)
        params = json.loads(json.dumps(model.params()))
        copy = _restored(name, params, tensors, train, validate)
    except Exception as error:
        raise UsageError(f"'{name}' cannot be saved: {_words(error)}") from error
    if not _agree(copy, tensors, train):
        raise UsageError(
            f"'{name}' cannot be saved: a copy with its parameters and buffers scores otherwise; "
            "register what it learns as nn.Parameter or buffer, and let its seed decide the rest"
        )
    description = {
        "format": FORMAT,
        "model": name,
        "params": params,
        "data": dict(data),
        "code": code_version(type(model)),
        "weights": hashlib.sha256(weights).hexdigest(),
    }
    write_atomic(folder / WEIGHTS, weights)
    write_atomic(folder / DESCRIPTION, json.dumps(description, indent=2) + "\n")  # whole by now


def is_saved(folder: Path) -> bool:
    """Whether :func:`save` came to its end here."""
    return (folder / WEIGHTS).exists() and (folder / DESCRIPTION).exists()


def load(
    folder: Path,
    train: Interactions,
    data: Mapping[str, str],
    validate: Validate | None = None,
) -> Recommender:
    """A recommender that scores as the one that was saved.

    To the last bit on the same machine, if training twice gives the same bits there; elsewhere up
    to rounding. More than that is an error.

    Args:
        folder: Of :func:`save`.
        train: The same training interactions and item features, on the device to score on.
        data: What determines ``train``, as when it was saved.
        validate: As when it was saved; of use to models without a training loop only.

    Raises:
        UsageError: If a file is missing or damaged, or if the data or the code of the model are
            no longer those that it was trained with; the message names the file.
    """
    path, fix = folder / DESCRIPTION, f"delete '{folder}' to have the model trained again"
    try:
        with readable(path):
            found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r}, not {FORMAT}")
        name, params = str(found["model"]), dict(found["params"])
        known, code, digest = dict(found["data"]), found["code"], found["weights"]
    except UsageError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{path}: describes no saved model ({_words(error)}); {fix}") from error
    for what in sorted(known.keys() | data.keys()):
        if known.get(what) != data.get(what):
            raise UsageError(
                f"{path}: the model was trained on other data, where '{what}' is "
                f"'{known.get(what)}'; here it is '{data.get(what)}': load it with the data it was "
                f"trained on, or {fix}"
            )
    weights = folder / WEIGHTS
    with readable(weights):
        content = weights.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise UsageError(f"{weights}: is damaged, or another model's than {DESCRIPTION}; {fix}")
    try:
        current = code_version(type(create(name, **params)))
        if current != code:
            raise UsageError(f"the code of '{name}' is {current} now, and was {code} then")
        tensors = safetensors.torch.load(content)
        model = _restored(name, params, tensors, train, validate)
        if not _agree(model, tensors, train):
            raise UsageError(f"'{name}' no longer gives the scores that it gave then")
    except Exception as error:  # made by hand, a file may ask for anything
        raise UsageError(f"{folder}: cannot be loaded ({_words(error)}); {fix}") from error
    return model


@torch.no_grad()
def scores(model: Recommender, users: Tensor, train: Interactions) -> Tensor:
    """All items' scores for some users, ``[batch_size, num_items]``, in main memory."""
    return _plain(model.score(users.to(train.device)))


def _restored(
    name: str,
    params: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    train: Interactions,
    validate: Validate | None,
) -> Recommender:
    model = create(name, **params)
    if not isinstance(model, TrainedRecommender):
        return model.fit(train, validate)
    epochs, model.epochs = model.epochs, 0
    model.fit(train)  # no epoch: all that does not depend on training
    model.epochs = epochs
    state = {key[len(STATE) :]: value for key, value in tensors.items() if key.startswith(STATE)}
    model.load_state_dict(state)
    return model.eval()


def _agree(model: Recommender, tensors: Mapping[str, Tensor], train: Interactions) -> bool:
    """Whether a model gives the reference scores, up to rounding."""
    expected, found = tensors[SCORES], scores(model, tensors[USERS], train)
    limit = ROUNDING * float(expected.abs().max())
    return expected.shape == found.shape and torch.allclose(found, expected, rtol=0, atol=limit)


def _plain(tensor: Tensor) -> Tensor:
    """A copy in main memory that shares nothing, as the format demands."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _words(error: Exception) -> str:
    """What went wrong, in one line."""
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, UsageError) else f"{type(error).__name__}: {text}"
