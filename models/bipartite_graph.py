"""The graph of users and items."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from models.interactions import Interactions


def bipartite_graph(train: Interactions) -> sp.csr_array[Any]:
    """Undirected graph with an edge per training interaction; users first, then items.

    Returns:
        A symmetric matrix of ones, ``[num_users + num_items, num_users + num_items]``.
    """
    users = train.users.cpu().numpy()
    items = train.items.cpu().numpy() + train.num_users
    ends = (np.concatenate([users, items]), np.concatenate([items, users]))
    size = train.num_users + train.num_items
    return sp.csr_array((np.ones(len(ends[0]), dtype=np.float64), ends), shape=(size, size))


def symmetric_normalisation(graph: sp.csr_array[Any]) -> sp.csr_array[Any]:
    r""":math:`D^{-1/2} A D^{-1/2}`, with rows of zeros for nodes without an edge."""
    degrees = graph.sum(axis=1)
    scale = np.divide(1, np.sqrt(degrees), out=np.zeros(len(degrees)), where=degrees > 0)
    diagonal = sp.diags_array(scale)
    return sp.csr_array(diagonal @ graph @ diagonal)


def row_normalisation(graph: sp.csr_array[Any]) -> sp.csr_array[Any]:
    r""":math:`D^{-1} A`, the mean over neighbours; zeros for nodes without an edge."""
    degrees = graph.sum(axis=1)
    scale = np.divide(1, degrees, out=np.zeros(len(degrees)), where=degrees > 0)
    return sp.csr_array(sp.diags_array(scale) @ graph)
