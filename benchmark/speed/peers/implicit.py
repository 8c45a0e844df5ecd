"""The library ``implicit``: BPR in Cython and its ranking metrics, one thread."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmark.speed.timing import Form
from models.interactions import Interactions


def matrix(pairs: Interactions) -> Any:
    """Users by items, the class of matrices that the library takes."""
    ends = pairs.users.cpu().numpy(), pairs.items.cpu().numpy()
    ones = np.ones(len(pairs), dtype=np.float32)
    return sp.csr_matrix((ones, ends), shape=(pairs.num_users, pairs.num_items))


def fresh(embedding_dim: int) -> Any:
    """A model for one epoch."""
    return importlib.import_module("implicit.cpu.bpr").BayesianPersonalizedRanking(
        factors=embedding_dim, iterations=1, num_threads=1, random_state=0
    )


def bpr(train: Interactions, embedding_dim: int) -> Form:
    """An epoch of stochastic gradient descent, one triple at a time; another algorithm."""
    data = matrix(train)
    fresh(embedding_dim)

    def run(parts: int) -> None:
        fresh(embedding_dim).fit(data, show_progress=False)

    return Form("implicit (SGD)", run)


def evaluation(train: Interactions, held_out: Interactions, embedding_dim: int) -> Form:
    """The library's precision, MAP, NDCG and AUC at 10."""
    rank = importlib.import_module("implicit.evaluation").ranking_metrics_at_k
    known, wanted = matrix(train), matrix(held_out)
    model = fresh(embedding_dim)
    model.fit(known, show_progress=False)

    def run(parts: int) -> Any:
        return rank(model, known, wanted, K=10, show_progress=False, num_threads=1)

    return Form("implicit", run)
