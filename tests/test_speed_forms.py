from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.evaluation import Evaluator
from benchmark.speed.catalogue import SIZES, Settings
from benchmark.speed.peers import recbole
from benchmark.speed.peers.pyg import propagation as pyg_propagation
from benchmark.speed.peers.torch_sparse import (
    propagation,
    scipy_item_graph,
    scipy_propagation,
)
from benchmark.speed.references import disengcn, huign, mmgcn, vbpr
from benchmark.speed.sizes import make
from benchmark.speed.steps import Loss, built, epoch
from benchmark.speed.works import MAKERS
from benchmark.splits import Split
from models.bipartite_graph import bipartite_graph, symmetric_normalisation
from models.interactions import Interactions
from models.item_graph import co_interaction_graph
from models.registry import discover

ROOT = Path(__file__).parents[1]
BATCH = torch.tensor([0, 1, 3, 3]), torch.tensor([0, 2, 1, 5]), torch.tensor([3, 0, 4, 2])


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    for folder in ("models", "baselines"):
        discover(ROOT / folder)


@pytest.fixture(scope="module")
def data() -> Split:
    return make(SIZES["tiny"], None)[0]


def random_data() -> Interactions:
    generator = torch.Generator().manual_seed(0)
    observed = torch.rand(20, 12, generator=generator) < 0.4
    users, items = torch.nonzero(observed).unbind(1)
    features = {
        name: torch.randn(12, width, generator=generator, dtype=torch.float64)
        for name, width in (("visual", 9), ("acoustic", 4))
    }
    return Interactions(users, items, 20, 12, features)


REFERENCES: dict[str, tuple[Callable[[Interactions], Loss], dict[str, Any]]] = {
    "vbpr": (lambda train: vbpr.loss, {}),
    "mmgcn": (mmgcn.loss_on, {"projection_dim": 6}),
    "disengcn": (disengcn.loss_on, {"embedding_dim": 8}),
    "huign": (lambda train: huign.loss_on(train, 3), {"levels": (5, 3, 2), "min_co_users": 3}),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", REFERENCES)
def test_references_have_our_loss_and_gradients(name: str) -> None:
    train = random_data()
    maker, options = REFERENCES[name]
    model = built(name, train, reg=0.3, **options).eval()
    parameters = dict(model.named_parameters())
    found = []
    for loss in (model.loss(*BATCH), maker(train)(model, *BATCH)):
        found.append((loss, torch.autograd.grad(loss, list(parameters.values()))))
    (ours, our_grads), (theirs, their_grads) = found
    torch.testing.assert_close(theirs, ours)
    for parameter, mine, other in zip(parameters, our_grads, their_grads, strict=True):
        assert mine.abs().max() > 0, parameter
        torch.testing.assert_close(other, mine)


def test_a_dense_item_graph_that_does_not_fit_is_refused() -> None:
    ids = torch.tensor([0])
    with pytest.raises(ValueError, match="dense graph of 76085 items does not fit"):
        huign.loss_on(Interactions(ids, ids, 1, 76_085), 5)


def test_propagations_agree(data: Split) -> None:
    matrix = symmetric_normalisation(bipartite_graph(data.train))
    x, grad = torch.randn(2, matrix.shape[0], 8, generator=torch.Generator().manual_seed(0))
    dense = torch.from_numpy(matrix.toarray()).float()
    for form in (
        propagation(matrix, x, grad, "COO"),
        propagation(matrix, x, grad, "CSR"),
        scipy_propagation(matrix, x, grad),
        pyg_propagation(matrix, x, grad),
    ):
        found: Any = form.run(1)
        result, gradient = found
        torch.testing.assert_close(result, dense @ x, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(gradient, dense.T @ grad, rtol=1e-4, atol=1e-5)


def test_our_propagation_agrees_with_scipy(data: Split) -> None:
    work = MAKERS["propagation"](data, Settings(embedding_dim=8))
    ours: Any = work.ours.run(1)
    scipy: Any = work.peers["SciPy CSR"]().run(1)
    for mine, other in zip(ours, scipy, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_item_graphs_agree(data: Split) -> None:
    train = data.train
    shape = (train.num_users, train.num_items)
    theirs: Any = scipy_item_graph(train.users, train.items, shape, 3).run(1)
    assert theirs.nnz > 0
    assert abs(theirs - co_interaction_graph(train, 3)).nnz == 0


def test_recbole_ranks_as_we_do(data: Split) -> None:
    pytest.importorskip("recbole")
    seen = data.train.union(data.validation)
    model = built("bpr_mf", data.train, embedding_dim=8).eval()
    network = recbole.network_of("BPR", data.train, embedding_size=8)
    with torch.no_grad():
        network.user_embedding.weight[1:] = model.user_embedding
        network.item_embedding.weight[1:] = model.item_embedding
    expected = Evaluator(data.test, seen, ks=(10,))(model).means
    for batch_size in (300, 10**6):
        found: Any = recbole.evaluation(network, seen, data.test, batch_size, "").run(1)
        for metric in ("recall", "precision", "ndcg"):
            assert found[f"{metric}@10"] == pytest.approx(expected[f"{metric}@10"], abs=1e-4)


def test_recbole_samples_as_we_do(data: Split) -> None:
    pytest.importorskip("recbole")
    batches = recbole.Batches(recbole.loader(data.train, 512, by_user=False))
    batches.start()
    drawn = list(batches.take(len(batches.loader)))
    users, items, negatives = (
        torch.cat([batch[name] for batch in drawn]) - 1
        for name in (recbole.USER, recbole.ITEM, f"neg_{recbole.ITEM}")
    )
    pairs = data.train.by_user()
    assert torch.equal(torch.sort(users * data.train.num_items + items).values, pairs.keys)
    assert not pairs.contains(users, negatives).any()


def test_recbole_trains(data: Split) -> None:
    pytest.importorskip("recbole")
    for name, by_user in (("BPR", False), ("MacridVAE", True)):
        form = recbole.epoch(name, data.train, 1024, by_user, embedding_size=8)
        assert form.parts == (1 if by_user else -(-len(data.train) // 1024))
        form.start()
        form.run(form.parts)


def test_an_epoch_does_all_steps_once(data: Split) -> None:
    model = built("bpr_mf", data.train, embedding_dim=8, batch_size=512)
    seen: list[Tensor] = []

    def loss(model: Any, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        seen.append(users * data.train.num_items + pos_items)
        found: Tensor = model.loss(users, pos_items, neg_items)
        return found

    form = epoch(model, data.train, "counted", loss)
    before = model.user_embedding.detach().clone()
    form.start()
    form.run(2)
    form.run(form.parts)
    assert len(seen) == form.parts == -(-len(data.train) // 512)
    assert torch.equal(torch.sort(torch.cat(seen)).values, data.train.by_user().keys)
    assert (model.user_embedding != before).any()
