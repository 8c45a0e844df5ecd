from __future__ import annotations

import numpy as np
import pytest
import torch

from models.bipartite_graph import bipartite_graph, row_normalisation, symmetric_normalisation
from models.interactions import Interactions


@pytest.fixture
def train() -> Interactions:
    """User 2 and item 3 have no interaction."""
    users, items = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 2, 0])
    return Interactions(users, items, num_users=3, num_items=4)


def test_edges_both_ways_users_first(train: Interactions) -> None:
    observed = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    graph = bipartite_graph(train).toarray()
    assert graph.shape == (7, 7)
    assert (graph[:3, 3:] == observed).all()
    assert (graph == graph.T).all()
    assert not graph[:3, :3].any()
    assert not graph[3:, 3:].any()


def test_symmetric_normalisation(train: Interactions) -> None:
    graph = bipartite_graph(train)
    found, dense = symmetric_normalisation(graph).toarray(), graph.toarray()
    degrees = dense.sum(1)
    for i, j in np.ndindex(7, 7):
        wanted = 1 / np.sqrt(degrees[i] * degrees[j]) if dense[i, j] else 0
        assert found[i, j] == pytest.approx(wanted)


def test_row_normalisation(train: Interactions) -> None:
    graph = bipartite_graph(train)
    found, dense = row_normalisation(graph).toarray(), graph.toarray()
    for i, row in enumerate(dense):
        assert found[i] == pytest.approx(row / max(1, row.sum()))
    sums = found.sum(1)
    assert sums[[2, 6]].tolist() == [0, 0]
    assert np.delete(sums, [2, 6]) == pytest.approx(1)
