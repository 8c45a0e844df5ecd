from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.bpr_mf import BPRMF
from models.errors import UsageError
from models.huign import HUIGN
from models.interactions import Interactions
from models.item_graph import co_interaction_graph
from models.losses import bpr, l2_batch
from models.propagation import SparseMatrix

Array = NDArray[np.float64]
Fill = Callable[[tuple[int, ...], int], Tensor]
STRUCTURES: list[tuple[int, ...]] = [(32,), (32, 8), (32, 8, 4), (64, 16, 4), (64, 32, 8, 4)]
BATCH = (torch.tensor([0, 1, 3, 0]), torch.tensor([0, 2, 1, 0]), torch.tensor([3, 0, 4, 5]))


def sample(num_users: int, num_items: int, share: float, seed: int = 0) -> Interactions:
    """Random interactions with three modalities; the last item has none."""
    generator = torch.Generator().manual_seed(seed)
    observed = torch.rand(num_users, num_items, generator=generator) < share
    observed[:, -1] = False
    users, items = torch.nonzero(observed).unbind(1)
    widths = {"visual": 4, "acoustic": 3, "textual": 2}
    features = {
        name: torch.randn(num_items, width, generator=generator) for name, width in widths.items()
    }
    return Interactions(users, items, num_users, num_items, features)


def built(train: Interactions, **options: Any) -> HUIGN:
    defaults: dict[str, Any] = {"embedding_dim": 3, "levels": (4, 3, 2), "min_co_users": 2}
    model = HUIGN(**{**defaults, **options})
    torch.manual_seed(1)
    model.build(train)
    return model.eval()


def all_scores(model: HUIGN, train: Interactions) -> Tensor:
    return model.score(torch.arange(train.num_users))


def item_intents(model: HUIGN) -> Tensor:
    """V of all modalities together, ``[M, sum K]``."""
    _, items = model.forward()
    return items[:, model.embedding_dim :]


# the golden case ---------------------------------------------------------------------------


@pytest.fixture
def golden(fill: Fill, float64: None) -> HUIGN:
    """Five items with the edges 0-1, 1-2, 0-2 and 2-3; two levels of two intents."""
    users, items = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 1, 2, 2, 3])
    train = Interactions(users, items, 3, 5, {"visual": fill((5, 3), 1)})
    model = built(train, embedding_dim=2, levels=(2, 2), min_co_users=1, reg=0.1)
    model.supernodes[0].data = torch.cat([fill((2, 3), 3), fill((2, 3), 5)])
    model.user_embedding.data, model.item_embedding.data = fill((3, 2), 2), fill((5, 2), 4)
    model.preferences[0].data = fill((3, 4), 6)
    return model


def close(found: Tensor | list[Tensor], expected: Any) -> None:
    found = torch.stack(found) if isinstance(found, list) else found
    wanted = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found.detach(), wanted, rtol=0, atol=1e-6)


def test_golden_hierarchy(golden: HUIGN) -> None:
    intents = golden.intents()
    first = [
        [0.503476, 0.496524],
        [0.494826, 0.505174],
        [0.510301, 0.489699],
        [0.489014, 0.510986],
        [0.5, 0.5],
    ]
    close(intents.assignments[0][:, 0], first)
    close(intents.graphs[0][0], [[2.016223, 2.000297], [2.000297, 1.983182]])
    gamma = intents.assignments[1][0]
    close(gamma, [[0.522562, 0.477438], [0.522476, 0.477524]])
    top = [[2.184209, 1.995943], [1.995943, 1.823904]]
    close(gamma.T @ intents.graphs[0][0] @ gamma, top)
    close(golden.entropies(intents), [0.346520, 0.346066])
    close(golden.dependences(intents), [0.535375, 0.557687])


def test_golden_scores_and_loss(golden: HUIGN) -> None:
    scores = golden.score(torch.arange(3))
    expected = [
        [0.036009, 0.101855, -0.224587, -0.153537, -0.066366],
        [-0.391299, -0.439641, -0.056738, -0.099878, -0.303363],
        [-0.095463, -0.090171, 0.194018, 0.191878, -0.114809],
    ]
    close(scores, expected)
    users, pos, neg = torch.tensor([[0, 0, 3], [1, 2, 4], [2, 1, 0]]).T
    close(bpr(scores[users, pos], scores[users, neg]), 0.623594)
    rows = (
        golden.user_embedding[users],
        golden.item_embedding[pos],
        golden.item_embedding[neg],
        golden.preferences[0][users],
    )
    close(l2_batch(*rows), 0.414937)
    close(golden.loss(users, pos, neg), 0.843652)


# the formulas a second time, slowly --------------------------------------------------------


def softmax(x: Array) -> Array:
    weights = np.exp(x - x.max())
    return np.asarray(weights / weights.sum())


def normalised(graph: Array) -> Array:
    """Eq. 4's matrix entry by entry."""
    degrees = graph.sum(1)
    result = np.zeros_like(graph)
    for i, j in itertools.product(range(len(graph)), repeat=2):
        if degrees[i] > 0 and degrees[j] > 0:
            result[i, j] = graph[i, j] / math.sqrt(degrees[i] * degrees[j])
    return result


def expected_graph(train: Interactions, min_co_users: int) -> Array:
    audience = [set(train.users[train.items == i].tolist()) for i in range(train.num_items)]
    graph = np.zeros((train.num_items, train.num_items))
    for i, j in itertools.permutations(range(train.num_items), 2):
        graph[i, j] = len(audience[i] & audience[j]) >= min_co_users
    return graph


def expected_scores_and_loss(
    model: HUIGN, train: Interactions, weights: tuple[float, float]
) -> tuple[Array, float]:
    """All scores and the loss of ``BATCH``, from sections 3.1 to 3.3 of the paper."""
    first_graph = expected_graph(train, model.min_co_users)
    lonely = first_graph.sum(1) == 0
    if model.isolated == "self":
        first_graph[lonely, lonely] += 1
    nodes = [i for i in range(train.num_items) if model.isolated != "drop" or not lonely[i]]
    width = sum(model.levels)
    intents = np.zeros((train.num_items, width))
    entropy = dependence = 0.0
    for modality, supernodes in zip(model.modality_names, model.supernodes, strict=True):
        x: Array = train.features[modality].double().numpy()
        s = supernodes.detach().numpy()
        graph, distribution, start = first_graph, np.zeros((0, 0)), 0
        for level, size in enumerate(model.levels):
            block = s[start : start + size]
            z = normalised(graph) @ x
            gamma = np.zeros((len(graph), size))
            rows = nodes if level == 0 else range(len(graph))
            for i in rows:
                gamma[i] = softmax(np.array([z[i] @ c for c in block]) / model.temperature)
                entropy -= sum(g * math.log(g) for g in gamma[i]) / len(rows) / size
            excess = block @ block.T - np.eye(size)
            dependence += math.sqrt((excess**2).sum()) / size
            distribution = gamma if level == 0 else distribution @ gamma
            intents[:, start : start + size] += distribution
            graph, x, start = gamma.T @ graph @ gamma, block, start + size

    preferences = [table.detach().numpy() for table in model.preferences]
    user_ids, item_ids = (
        model.user_embedding.detach().numpy(),
        model.item_embedding.detach().numpy(),
    )
    scores = np.zeros((train.num_users, train.num_items))
    for u, i in itertools.product(range(train.num_users), range(train.num_items)):
        scores[u, i] = user_ids[u] @ item_ids[i] + sum(p[u] for p in preferences) @ intents[i]
    ranking = penalty = 0.0
    for u, p, n in zip(*(ids.tolist() for ids in BATCH), strict=True):
        ranking -= math.log(1 / (1 + math.exp(scores[u, n] - scores[u, p]))) / len(BATCH[0])
        touched = [user_ids[u], item_ids[p], item_ids[n], *(table[u] for table in preferences)]
        penalty += sum(row @ row for row in touched) / 2 / len(BATCH[0])
    loss = ranking + model.reg * penalty + weights[0] * entropy + weights[1] * dependence
    return scores, loss


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("share", [0.25, 0.9], ids=["sparse", "dense"])
@pytest.mark.parametrize("levels", [(4,), (4, 3), (2, 5, 3, 2)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"modalities": ("textual", "visual")},
        {"isolated": "self"},
        {"isolated": "drop"},
        {"user_intents": "shared"},
        {"temperature": 0.2},
    ],
    ids=str,
)
def test_scores_and_loss_by_loops(
    share: float, levels: tuple[int, ...], options: dict[str, Any]
) -> None:
    train = sample(7, 9, share)
    model = built(train, levels=levels, reg=0.3, **options)
    scores, loss = expected_scores_and_loss(model, train, (0.3, 0.3))
    torch.testing.assert_close(all_scores(model, train), torch.from_numpy(scores))
    assert model.loss(*BATCH).item() == pytest.approx(loss)


# invariants --------------------------------------------------------------------------------


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
    generator = torch.Generator().manual_seed(0)
    user_order = torch.randperm(8, generator=generator)  # new -> old
    item_order = torch.randperm(11, generator=generator)
    renumbered = built(
        Interactions(
            user_order.argsort()[train.users],
            item_order.argsort()[train.items],
            8,
            11,
            {name: x[item_order] for name, x in train.features.items()},
        )
    )
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


# training ----------------------------------------------------------------------------------


def test_without_modalities_it_is_bpr_mf_bit_for_bit() -> None:
    train = sample(15, 20, 0.3)
    settings: dict[str, Any] = {"epochs": 5, "batch_size": 16, "reg": 0.01, "embedding_dim": 8}
    scores = [[], []]  # type: list[list[Tensor]]

    def record(log: list[Tensor]) -> Callable[[Any], float]:
        def validate(model: Any) -> float:
            log.append(model.score(torch.arange(15)))
            return float(len(log))

        return validate

    ours = HUIGN(modalities=(), **settings).fit(train, record(scores[0]))
    theirs = BPRMF(**settings).fit(train, record(scores[1]))
    assert len(scores[0]) == 5
    assert all(torch.equal(a, b) for a, b in zip(*scores, strict=True))
    assert torch.equal(ours.user_embedding, theirs.user_embedding)
    assert torch.equal(ours.item_embedding, theirs.item_embedding)
    losses = [[row["loss"] for row in model.history] for model in (ours, theirs)]
    assert losses[0] == losses[1]
    assert ours.diagnostics() == {}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("isolated", ["uniform", "self", "drop"])
@pytest.mark.parametrize("share", [0.25, 0.9], ids=["sparse", "dense"])
def test_gradient(share: float, isolated: str) -> None:
    model = built(sample(5, 7, share), reg=0.3, isolated=isolated)
    parameters = tuple(model.parameters())
    assert len(parameters) == 8
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), parameters)


def gradients(model: HUIGN) -> dict[str, Tensor]:
    model.zero_grad()
    model.loss(*BATCH).backward()  # type: ignore[no-untyped-call]
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("dropped", [("entropy",), ("independence",), ("entropy", "independence")])
def test_ablations_drop_their_terms(dropped: Sequence[Literal["entropy", "independence"]]) -> None:
    train = sample(6, 9, 0.5)
    full = built(train, reg=0.3)
    ablated = built(train, reg=0.3, **{f"{term}_weight": 0.0 for term in dropped})
    intents = full.intents()
    terms = {"entropy": full.entropies(intents), "independence": full.dependences(intents)}
    removed = torch.stack([term for name in dropped for term in terms[name]]).sum()
    torch.testing.assert_close(full.loss(*BATCH) - 0.3 * removed, ablated.loss(*BATCH))
    with_terms, without = gradients(full), gradients(ablated)
    supernodes = list(full.supernodes)
    share = torch.autograd.grad(removed, supernodes)
    for index in range(len(supernodes)):
        name = f"supernodes.{index}"
        assert not torch.allclose(with_terms[name], without[name])
        torch.testing.assert_close(with_terms[name] - 0.3 * share[index], without[name])


@pytest.mark.usefixtures("float64")
def test_the_weights_of_the_terms_can_differ() -> None:
    train = sample(7, 9, 0.5)
    model = built(train, reg=0.3, entropy_weight=2.0, independence_weight=0.5)
    _, loss = expected_scores_and_loss(model, train, (2.0, 0.5))
    assert model.loss(*BATCH).item() == pytest.approx(loss)


@pytest.mark.parametrize("levels", STRUCTURES, ids=str)
@pytest.mark.parametrize("modalities", [None, ("visual",), ("textual", "acoustic")], ids=str)
@pytest.mark.parametrize("user_intents", ["per_modality", "shared"])
def test_one_step_moves_every_parameter(
    levels: tuple[int, ...], modalities: tuple[str, ...] | None, user_intents: str
) -> None:
    train = sample(8, 11, 0.5)
    model = built(train, levels=levels, modalities=modalities, user_intents=user_intents)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.loss(*BATCH).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    for name, value in model.state_dict().items():
        assert not torch.equal(value, before[name]), name
    for index, supernodes in enumerate(model.supernodes):
        assert (supernodes != before[f"supernodes.{index}"]).any(1).all()  # on every level
    count = len(modalities or train.features)
    assert len(model.preferences) == (count if user_intents == "per_modality" else 1)


def test_supernodes_of_every_level_learn_from_the_ranking_alone() -> None:
    found = gradients(built(sample(8, 11, 0.5), reg=0.0))
    for index in range(3):
        assert (found[f"supernodes.{index}"] != 0).any(1).all()


@pytest.mark.parametrize("isolated", ["uniform", "self", "drop"])
def test_a_graph_without_edges(isolated: str) -> None:
    train = sample(6, 9, 0.5)
    model = built(train, min_co_users=100, isolated=isolated)
    assert torch.isfinite(all_scores(model, train)).all()
    assert torch.isfinite(model.loss(*BATCH))
    found = gradients(model)
    assert len(found) == len(list(model.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in found.values())
    assert all(math.isfinite(value) for value in model.diagnostics().values())
    assert model.diagnostics()["isolated_items"] == 1


def test_overfits_and_repeats_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    users, items = torch.nonzero(torch.rand(20, 30, generator=generator) < 0.15).unbind(1)
    features = {"visual": torch.randn(30, 6, generator=generator)}
    train = Interactions(users, items, 20, 30, features)
    everybody = torch.arange(20)
    options: dict[str, Any] = {
        "epochs": 150,
        "learning_rate": 0.05,
        "reg": 1e-4,
        "levels": (8, 4),
        "min_co_users": 1,
    }

    model = HUIGN(**options).fit(train)
    top = model.recommend(everybody, 10)
    found = train.by_user().contains(everybody[:, None], top).sum(1)
    counts = train.by_user().counts(everybody)
    assert (found / counts)[counts > 0].mean() > 0.9

    again = HUIGN(**options).fit(train)
    assert torch.equal(model.score(everybody), again.score(everybody))
    losses = [[row["loss"] for row in fitted.history] for fitted in (model, again)]
    assert losses[0] == losses[1]
    other = HUIGN(**options, seed=1).fit(train)
    assert not torch.equal(model.score(everybody), other.score(everybody))


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


def test_held_out_interactions_do_not_reach_the_graph() -> None:
    everything = sample(12, 9, 0.5)
    generator = torch.Generator().manual_seed(0)
    keep = torch.rand(len(everything), generator=generator) < 0.8
    train = Interactions(everything.users[keep], everything.items[keep], 12, 9, everything.features)
    held_out = Interactions(everything.users[~keep], everything.items[~keep], 12, 9)
    expected = expected_graph(train, 2)
    assert not np.array_equal(expected_graph(everything, 2), expected)

    def validate(model: Any) -> float:
        return float(model.score(held_out.users).gather(1, held_out.items[:, None]).mean())

    options: dict[str, Any] = {"min_co_users": 2, "epochs": 1, "levels": (4, 2)}
    for fitted in HUIGN(**options).fit(train, validate), HUIGN(**options).fit(train):
        assert torch.equal(fitted.graph @ torch.eye(9), torch.from_numpy(expected).float())


# diagnostics and options -------------------------------------------------------------------


def test_every_epoch_is_diagnosed() -> None:
    model = HUIGN(levels=(4, 2), epochs=2, min_co_users=2).fit(sample(8, 11, 0.5))
    expected = {
        f"{modality}/{level}/{sign}"
        for modality in ("visual", "acoustic", "textual")
        for level in (1, 2)
        for sign in ("std", "peak", "norm")
    }
    for row in model.history:
        assert expected | {"epoch", "loss", "seconds", "edges", "isolated_items"} == row.keys()
    assert model.history[-1] == {**model.history[-1], **model.diagnostics()}


def test_diagnostics_by_hand(golden: HUIGN) -> None:
    found = golden.diagnostics()
    intents = golden.intents()
    gamma, upper = intents.assignments[0][:, 0], intents.assignments[1][0]
    assert found["isolated_items"] == 0.2
    assert found["edges"] == 4
    assert found["visual/1/std"] == pytest.approx(gamma[:, 0].std().item())  # columns mirror
    assert found["visual/2/std"] == pytest.approx((gamma @ upper)[:, 0].std().item())
    assert found["visual/1/peak"] == pytest.approx(
        (0.503476 + 0.505174 + 0.510301 + 0.510986 + 0.5) / 5, abs=1e-6
    )
    assert found["visual/2/peak"] == pytest.approx((0.522562 + 0.522476) / 2, abs=1e-6)
    first = golden.supernodes[0][:2].square().sum(1).sqrt().mean()
    assert found["visual/1/norm"] == pytest.approx(first.item())


def test_collapse_shows() -> None:
    train = sample(12, 9, 0.9)  # item 8 has no neighbours
    features = {"visual": torch.ones(8, 4) + 0.01 * train.features["visual"][:8]}
    model = built(Interactions(train.users, train.items, 12, 8, features))
    healthy = model.diagnostics()
    model.supernodes[0].data[0] += 1000  # draws every item
    collapsed = model.diagnostics()
    assert healthy["visual/1/peak"] < 0.7
    assert collapsed["visual/1/peak"] == 1
    assert collapsed["visual/1/norm"] > 100 * healthy["visual/1/norm"]
    for level in (1, 2, 3):
        assert collapsed[f"visual/{level}/std"] < 1e-7 < healthy[f"visual/{level}/std"]


def test_defaults_are_the_papers() -> None:
    model = HUIGN()
    assert (model.embedding_dim, model.levels, model.min_co_users) == (64, (32, 8, 4), 5)
    assert (model.user_intents, model.isolated, model.temperature) == ("per_modality", "uniform", 1)
    assert model.modalities is None
    assert model.entropy_weight is None
    assert model.independence_weight is None


def test_sharper_with_a_lower_temperature() -> None:
    train = sample(8, 11, 0.5)
    peaks = [
        built(train, temperature=t).diagnostics()["visual/1/peak"] for t in (0.1, 1.0, 10.0, 1000.0)
    ]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[-1] == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("levels", [(), (4, 0), (-1,)])
def test_impossible_levels(levels: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="'levels' needs one or more positive sizes"):
        built(sample(6, 9, 0.5), levels=levels)


def test_weighted_graphs_pool_alike() -> None:
    """The stored form of the graph, with exchanged rows or with weights, does not matter."""
    train = sample(12, 9, 0.9)
    graph = co_interaction_graph(train, 2)
    model = built(train)
    expected = all_scores(model, train)
    model.graph = SparseMatrix(sp.csr_array(2 * graph), "cpu", symmetric=True)
    model.train(False)
    torch.testing.assert_close(all_scores(model, train), expected)
