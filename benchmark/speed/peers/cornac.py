"""Cornac: BPR in Cython and VBPR, one thread."""

from __future__ import annotations

import contextlib
import importlib
import io
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.speed.timing import Form
from models.interactions import Interactions

TENTHS = 10
"""Parts of an epoch that cannot be stopped midway."""


def data_set(pairs: Interactions) -> Any:
    """The pairs as Cornac's data set, all ids known."""
    users, items = pairs.users.cpu().numpy(), pairs.items.cpu().numpy()
    user_ids = {user: user for user in range(pairs.num_users)}
    item_ids = {item: item for item in range(pairs.num_items)}
    triple = (users, items, np.ones(len(users), dtype=np.float32))
    return importlib.import_module("cornac.data").Dataset(
        pairs.num_users, pairs.num_items, user_ids, item_ids, triple, seed=0
    )


def bpr(train: Interactions, embedding_dim: int) -> Form:
    """An epoch of stochastic gradient descent, one triple at a time; another algorithm."""
    models, data = importlib.import_module("cornac.models"), data_set(train)

    def run(parts: int) -> None:
        model = models.BPR(k=embedding_dim, max_iter=1, num_threads=1, use_bias=False, seed=0)
        model.fit(data)

    return Form("Cornac (SGD)", run)


def vbpr(train: Interactions, embedding_dim: int, batch_size: int) -> Form:
    """An epoch of Cornac's VBPR on the fused features, its set-up included.

    A part is a training on a tenth of the interactions.
    """
    models, data = importlib.import_module("cornac.models"), importlib.import_module("cornac.data")
    features = train.fused_features().cpu().numpy()
    images = data.ImageModality(features=features, ids=list(range(train.num_items)))
    images.build(id_map={item: item for item in range(train.num_items)})

    def run(parts: int) -> None:
        step = slice(None, len(train) * parts // TENTHS)
        some = data_set(replace(train, users=train.users[step], items=train.items[step]))
        some.add_modalities(item_image=images)
        model = models.VBPR(
            k=embedding_dim,
            k2=embedding_dim,
            n_epochs=1,
            batch_size=batch_size,
            verbose=False,
            seed=0,
        )
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            model.fit(some)  # prints and draws a bar, whatever 'verbose' says

    return Form("Cornac", run, TENTHS)


def evaluation(train: Interactions, held_out: Interactions, embedding_dim: int) -> Form:
    """Cornac's ranking of all items for all users, three metrics at 10."""
    models = importlib.import_module("cornac.models")
    metrics = importlib.import_module("cornac.metrics")
    rank = importlib.import_module("cornac.eval_methods.base_method").ranking_eval
    known, wanted = data_set(train), data_set(held_out)
    model = models.BPR(k=embedding_dim, max_iter=1, num_threads=1, seed=0).fit(known)
    asked = [metrics.Recall(10), metrics.Precision(10), metrics.NDCG(10)]

    def run(parts: int) -> Any:
        return rank(model, asked, known, wanted, rating_threshold=0.5)

    return Form("Cornac", run)
