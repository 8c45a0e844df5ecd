"""What has to hold for HUIGN whatever its parameters are."""

from __future__ import annotations

import math

import pytest
import scipy.sparse as sp
import torch
from small_data import shuffled
from small_huign import (
    BATCH,
    STRUCTURES,
    all_scores,
    built,
    close,
    expected_graph,
    item_intents,
    sample,
)

from models.item_graph import co_interaction_graph
from models.propagation import SparseMatrix


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("levels", STRUCTURES, ids=str)
def test_distributions_and_mass(levels: tuple[int, ...]) -> None:
    train = sample(12, 20, 0.4)
    model = built(train, levels=levels)
    intents = model.intents()
    assert [gamma.shape[-1] for gamma in intents.assignments] == list(levels)
    for gamma in intents.assignments:
        torch.testing.assert_close(gamma.sum(2), torch.ones(gamma.shape[:2]))
    sums = torch.split(item_intents(model), list(levels), dim=1)
    for block in sums:  # every modality adds a distribution per level
        torch.testing.assert_close(block.sum(1), torch.full((20,), 3.0))

    graph = torch.from_numpy(expected_graph(train, 2))
    assert len(intents.graphs) == len(levels) - 1
    degrees = graph.sum(1).expand(3, -1)
    items = intents.assignments[0].transpose(0, 1)  # [num_modalities, M, K_1]
    gammas = [items, *intents.assignments[1:]]
    for gamma, pooled in zip(gammas, intents.graphs, strict=False):
        degrees = (gamma.mT @ degrees[:, :, None]).squeeze(2)
        torch.testing.assert_close(pooled.sum(2), degrees)
        torch.testing.assert_close(pooled.sum((1, 2)), graph.sum().expand(3))
        torch.testing.assert_close(pooled, pooled.mT)
        assert (pooled >= 0).all()


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("levels", STRUCTURES, ids=str)
def test_supernodes_of_zeros(levels: tuple[int, ...]) -> None:
    model = built(sample(6, 9, 0.5), levels=levels)
    for supernodes in model.supernodes:
        supernodes.data.zero_()
    intents = model.intents()
    for gamma in intents.assignments:
        torch.testing.assert_close(gamma, torch.full_like(gamma, 1 / gamma.shape[2]))
    per_modality = [math.log(size) / size for size in levels]
    close(model.entropies(intents), [3 * term for term in per_modality])
    close(model.dependences(intents), [3 / math.sqrt(size) for size in levels])


@pytest.mark.usefixtures("float64")
def test_orthonormal_supernodes_are_independent() -> None:
    model = built(sample(6, 9, 0.5), levels=(4, 3), modalities=("visual",), entropy_weight=0.0)
    model.supernodes[0].data = torch.cat([torch.eye(4), torch.eye(4)[:3]])
    intents = model.intents()
    assert torch.stack(model.dependences(intents)).tolist() == [0, 0]
    torch.stack(model.dependences(intents)).sum().backward()  # type: ignore[no-untyped-call]
    gradient = model.supernodes[0].grad
    assert gradient is not None
    assert gradient.eq(0).all()


@pytest.mark.usefixtures("float64")
def test_renumbering_users_and_items_renumbers_scores() -> None:
    train = sample(8, 11, 0.4)
    model = built(train)
    other, user_order, item_order = shuffled(train)
    renumbered = built(other)
    renumbered.load_state_dict(model.state_dict())
    renumbered.user_embedding.data = model.user_embedding.data[user_order]
    renumbered.item_embedding.data = model.item_embedding.data[item_order]
    for mine, theirs in zip(renumbered.preferences, model.preferences, strict=True):
        mine.data = theirs.data[user_order]
    torch.testing.assert_close(item_intents(renumbered), item_intents(model)[item_order])
    expected = model.score(user_order)[:, item_order]
    torch.testing.assert_close(renumbered.score(torch.arange(8)), expected)


@pytest.mark.usefixtures("float64")
def test_renumbering_intents_renumbers_columns() -> None:
    model = built(sample(8, 11, 0.4), modalities=("visual",))
    before = item_intents(model)
    order = torch.tensor([0, 1, 2, 3, 6, 4, 5, 7, 8])  # of the second level only
    model.supernodes[0].data = model.supernodes[0].data[order]
    torch.testing.assert_close(item_intents(model), before[:, order])


@pytest.mark.usefixtures("float64")
def test_scaling_the_graph_changes_nothing() -> None:
    train = sample(8, 11, 0.4)
    model = built(train)
    before = item_intents(model)
    model.graph = SparseMatrix(3 * co_interaction_graph(train, 2), "cpu", symmetric=True)
    model.aggregated = [model.aggregate(x.double()) for x in train.features.values()]
    torch.testing.assert_close(item_intents(model), before)


def test_one_intent_ranks_like_matrix_factorisation() -> None:
    train = sample(8, 11, 0.4)
    model = built(train, levels=(1,))
    ids = model.user_embedding @ model.item_embedding.T
    difference = all_scores(model, train) - ids
    torch.testing.assert_close(difference, difference[:, :1].expand(-1, 11))
    assert torch.equal(all_scores(model, train).argsort(1), ids.argsort(1))


def test_items_without_neighbours() -> None:
    train = sample(12, 9, 0.4)
    graph = expected_graph(train, 2)
    lonely = torch.from_numpy(graph.sum(1) == 0)
    assert 0 < lonely.sum() < 9

    uniform = built(train).intents().assignments[0]
    assert (uniform[lonely] == 0.25).all()
    assert (uniform[~lonely] != 0.25).any()
    for policy in ("self", "drop"):
        other = built(train, isolated=policy).intents().assignments[0]
        torch.testing.assert_close(other[~lonely], uniform[~lonely])
        assert (other[lonely] != 0.25).all()
    assert item_intents(built(train, isolated="drop"))[lonely].eq(0).all()
    assert built(train).diagnostics()["isolated_items"] == pytest.approx(lonely.float().mean())


def test_content_alone_tells_items_apart() -> None:
    train = sample(8, 11, 0.5)
    model = built(train)
    model.item_embedding.data.zero_()
    scores = all_scores(model, train)
    assert (scores.std(1) > 0).all()
    changed = {name: x.roll(1, 0) for name, x in train.features.items()}
    other = built(train.with_features(changed))
    other.load_state_dict(model.state_dict())
    assert not torch.allclose(all_scores(other, train), scores)


def test_sharper_with_a_lower_temperature() -> None:
    train = sample(8, 11, 0.5)
    peaks = [
        built(train, temperature=t).diagnostics()["visual/1/peak"] for t in (0.1, 1.0, 10.0, 1000.0)
    ]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[-1] == pytest.approx(0.25, abs=1e-3)


def test_weighted_graphs_pool_alike() -> None:
    """The stored form of the graph, with exchanged rows or with weights, does not matter."""
    train = sample(12, 9, 0.9)
    graph = co_interaction_graph(train, 2)
    model = built(train)
    expected = all_scores(model, train)
    model.graph = SparseMatrix(sp.csr_array(2 * graph), "cpu", symmetric=True)
    model.train(False)
    torch.testing.assert_close(all_scores(model, train), expected)


def test_tensors_are_made_on_the_device_of_the_data() -> None:
    train = sample(12, 20, 0.4)
    expected = built(train)
    with torch.device("meta"):  # where tensors go that are made without saying where
        model = built(train)
        found = [*model.parameters(), model.nodes, *model.forward(), model.loss(*BATCH)]
    wanted = [*expected.parameters(), expected.nodes, *expected.forward(), expected.loss(*BATCH)]
    torch.testing.assert_close(found, wanted)


@pytest.mark.usefixtures("float64")
def test_a_model_keeps_the_type_it_was_built_in() -> None:
    model = built(sample(12, 20, 0.4))
    expected = [*model.forward(), model.loss(*BATCH)]
    torch.set_default_dtype(torch.float32)
    torch.testing.assert_close([*model.forward(), model.loss(*BATCH)], expected, rtol=0, atol=0)
