"""Timings of the work that fills a study, on made data of MovieLens-100K's size.

``tox -e speed`` runs them; ordinary test runs execute each once, as a check that it works. Nothing
here asserts a time: compare two versions in one sitting, or with ``--benchmark-compare``.
"""

from __future__ import annotations

from typing import Any

import pytest
import scipy.sparse as sp
import torch

from baselines.bpr_mf import BPRMF
from baselines.disengcn import DisenGCN
from baselines.lightgcn import LightGCN
from baselines.macridvae import MacridVAE
from baselines.mmgcn import MMGCN
from baselines.ngcf import NGCF
from baselines.vbpr import VBPR
from benchmark.evaluation import Evaluator
from benchmark.speed.steps import epoch, prepared
from models.bipartite_graph import bipartite_graph, symmetric_normalisation
from models.huign import HUIGN
from models.interactions import Interactions
from models.item_graph import co_interaction_graph
from models.propagation import SparseMatrix
from models.sampling import NegativeSampler
from models.training import PairwiseRecommender, TrainedRecommender

NUM_USERS, NUM_ITEMS, NUM_INTERACTIONS = 943, 1682, 90_000


@pytest.fixture(scope="module")
def parts() -> tuple[Interactions, Interactions]:
    """Training and held-out interactions with a long tail of items, and two modalities."""
    generator = torch.Generator().manual_seed(0)
    popularity = 1 / torch.arange(10, NUM_ITEMS + 10).float()
    weights = popularity.expand(NUM_USERS, -1).flatten()
    keys = torch.multinomial(weights, NUM_INTERACTIONS, generator=generator)
    users, items = keys // NUM_ITEMS, keys % NUM_ITEMS
    order = torch.randperm(NUM_INTERACTIONS, generator=generator)
    held_out, train = order[:9_000], order[9_000:]
    features = {
        name: torch.nn.functional.normalize(torch.randn(NUM_ITEMS, dim, generator=generator))
        for name, dim in (("visual", 256), ("textual", 64))
    }
    return (
        Interactions(users[train], items[train], NUM_USERS, NUM_ITEMS, features),
        Interactions(users[held_out], items[held_out], NUM_USERS, NUM_ITEMS),
    )


@pytest.mark.parametrize("model", [BPRMF, VBPR, LightGCN, NGCF, HUIGN])
def test_epoch(
    benchmark: Any, parts: tuple[Interactions, Interactions], model: type[PairwiseRecommender]
) -> None:
    fitted = benchmark.pedantic(
        lambda: model(epochs=1).fit(parts[0]), rounds=3, warmup_rounds=1, iterations=1
    )
    assert len(fitted.history) == 1


@pytest.mark.parametrize("cls", [MMGCN, MacridVAE, DisenGCN])
def test_steps(
    benchmark: Any, parts: tuple[Interactions, Interactions], cls: type[TrainedRecommender]
) -> None:
    form = epoch(model := prepared(cls(), parts[0]), parts[0])
    before = [parameter.detach().clone() for parameter in model.parameters()]
    benchmark.pedantic(form.run, (2,), setup=form.start, rounds=5, warmup_rounds=1)
    assert all((old != new).any() for old, new in zip(before, model.parameters(), strict=True))


def test_negative_sampling(benchmark: Any, parts: tuple[Interactions, Interactions]) -> None:
    sampler, generator = NegativeSampler(parts[0]), torch.Generator().manual_seed(0)
    items = benchmark(sampler.sample, parts[0].users, generator)
    assert items.shape == parts[0].users.shape


def test_evaluation(benchmark: Any, parts: tuple[Interactions, Interactions]) -> None:
    train, held_out = parts
    model, evaluator = BPRMF(epochs=1).fit(train), Evaluator(held_out, train)
    assert 0 <= benchmark(evaluator, model).means["recall@10"] <= 1


def test_item_graph(benchmark: Any, parts: tuple[Interactions, Interactions]) -> None:
    assert benchmark(co_interaction_graph, parts[0]).nnz > 0


@pytest.mark.parametrize("form", ["ours", "torch_coo", "scipy"])
def test_propagation(benchmark: Any, parts: tuple[Interactions, Interactions], form: str) -> None:
    matrix = symmetric_normalisation(bipartite_graph(parts[0]))
    x = torch.randn(NUM_USERS + NUM_ITEMS, 64)
    if form == "ours":
        product = SparseMatrix(matrix, "cpu", symmetric=True)
        result = benchmark(lambda: product @ x)
    elif form == "torch_coo":
        coo = sp.coo_array(matrix)
        indices = torch.stack([torch.from_numpy(part).long() for part in (coo.row, coo.col)])
        values = torch.from_numpy(coo.data).float()
        product_coo = torch.sparse_coo_tensor(
            indices, values, coo.shape, is_coalesced=True, check_invariants=False
        )
        result = benchmark(lambda: torch.sparse.mm(product_coo, x))
    else:
        single = matrix.astype("float32")
        result = torch.from_numpy(benchmark(lambda: single @ x.numpy()))
    assert torch.allclose(result.double(), torch.from_numpy(matrix @ x.numpy()), atol=1e-4)
