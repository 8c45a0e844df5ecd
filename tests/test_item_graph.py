from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from models import item_graph
from models.errors import UsageError
from models.interactions import Interactions
from models.item_graph import co_interaction_graph


def sample(num_users: int = 40, num_items: int = 12) -> Interactions:
    """Items of falling popularity; the last has no interaction, user 0 none either."""
    generator = torch.Generator().manual_seed(0)
    chance = torch.linspace(0.7, 0.05, num_items)
    observed = torch.rand(num_users, num_items, generator=generator) < chance
    observed[0] = observed[:, -1] = False
    users, items = torch.nonzero(observed).unbind(1)
    return Interactions(users, items, num_users, num_items)


def expected(train: Interactions, min_co_users: int) -> list[list[int]]:
    audience = [set(train.users[train.items == i].tolist()) for i in range(train.num_items)]
    graph = [[0] * train.num_items for _ in range(train.num_items)]
    for i, j in itertools.permutations(range(train.num_items), 2):
        graph[i][j] = int(len(audience[i] & audience[j]) >= min_co_users)
    return graph


@pytest.mark.parametrize("min_co_users", range(1, 9))
def test_edges_by_counting_common_users(min_co_users: int) -> None:
    train = sample()
    graph = co_interaction_graph(train, min_co_users)
    assert graph.toarray().tolist() == expected(train, min_co_users)


@pytest.mark.parametrize("min_co_users", [1, 5, 8])
def test_form(min_co_users: int) -> None:
    graph = co_interaction_graph(sample(), min_co_users)
    assert graph.shape == (12, 12)
    assert graph.nnz > 0
    assert (graph.data == 1).all()  # edges, not numbers of users
    assert (graph.toarray() == graph.toarray().T).all()
    assert (graph.diagonal() == 0).all()
    assert graph.indices.dtype == np.int32


def test_popular_items_get_no_loop() -> None:
    users = torch.arange(10)
    graph = co_interaction_graph(Interactions(users, torch.zeros_like(users), 10, 3), 1)
    assert graph.nnz == 0


def test_threshold_is_inclusive_and_five_by_default() -> None:
    users = torch.arange(5).repeat(2)
    items = torch.arange(2).repeat_interleave(5)
    train = Interactions(users, items, 5, 2)
    assert co_interaction_graph(train).nnz == 2
    assert co_interaction_graph(train, 5).nnz == 2
    assert co_interaction_graph(train, 6).nnz == 0


@pytest.mark.parametrize("entries", [1, 30, 10_000])
def test_blocks_do_not_matter(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_graph, "CHUNK_ENTRIES", entries)
    train = sample()
    assert co_interaction_graph(train, 3).toarray().tolist() == expected(train, 3)


def test_order_of_interactions_does_not_matter() -> None:
    train = sample()
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    shuffled = Interactions(train.users[order], train.items[order], 40, 12)
    found, wanted = (co_interaction_graph(data, 3).toarray() for data in (shuffled, train))
    assert (found == wanted).all()


def test_no_interactions() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    graph = co_interaction_graph(Interactions(nothing, nothing, 3, 4))
    assert graph.shape == (4, 4)
    assert graph.nnz == 0


@pytest.mark.parametrize("min_co_users", [0, -1])
def test_impossible_threshold(min_co_users: int) -> None:
    with pytest.raises(UsageError, match=f"'min_co_users' needs to be .* \\(got {min_co_users}\\)"):
        co_interaction_graph(sample(), min_co_users)
