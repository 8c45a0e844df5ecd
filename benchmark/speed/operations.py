"""Work beside the models: sampling, evaluation, graphs, products, start-up."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from statistics import median
from typing import Any

import torch

from benchmark.evaluation import Evaluator
from benchmark.speed.catalogue import Settings
from benchmark.speed.epochs import BATCH
from benchmark.speed.limits import Limit
from benchmark.speed.peers import cornac, implicit, recbole, torch_sparse
from benchmark.speed.steps import built
from benchmark.speed.timing import Form
from benchmark.speed.work import FLOAT, Work, gather_bytes
from benchmark.splits import Split
from models.bipartite_graph import bipartite_graph, symmetric_normalisation
from models.item_graph import co_interaction_graph
from models.propagation import SparseMatrix
from models.sampling import NegativeSampler, triples

TUNED = 4096
"""Users per batch of RecBole's tuned evaluation; its default batch holds one or two users."""


def sampling(data: Split, settings: Settings) -> Work:
    """An epoch of triples; RecBole's loader does the same with a Python loop per batch."""
    train = data.train
    sampler = NegativeSampler(train)
    generator = torch.Generator(train.device).manual_seed(0)

    def run(parts: int) -> None:
        for _ in triples(train, sampler, BATCH, generator):
            pass

    return Work(
        Form("ours", run),
        Limit(
            "per triple: order, user, item, negative written, two gathered, one byte looked up",
            [(len(train) * (4 * 8 + 2 * 8 + 1), 8 * len(train))],
        ),
        {"RecBole": partial(recbole.sampling, train, BATCH)},
    )


def evaluation(data: Split, settings: Settings) -> Work:
    """Full ranking with the same kind of scores, inner products, everywhere."""
    train, dim = data.train, settings.embedding_dim
    seen = train.union(data.validation)
    model = built("bpr_mf", train, embedding_dim=dim).eval()
    evaluator = Evaluator(data.test, seen, ks=(10,))
    users, items = len(torch.unique(data.test.users)), train.num_items

    def ranking(batch_size: int, name: str) -> Form:
        network = recbole.network_of("BPR", train, embedding_size=dim)
        return recbole.evaluation(network, seen, data.test, batch_size, name)

    return Work(
        Form("ours", lambda parts: evaluator(model).means),
        Limit(
            "a product [users, width] x [width, items], its scores written once and read once",
            [(2 * FLOAT * users * items, FLOAT * evaluator.batch_size * items)],
            2 * users * items * dim,
        ),
        {
            "RecBole, tuned batch": partial(ranking, TUNED * (items + 1), "RecBole, tuned batch"),
            "RecBole, default batch": partial(ranking, 4096, "RecBole, default batch"),
            "implicit": partial(implicit.evaluation, seen, data.test, dim),
            "Cornac": partial(cornac.evaluation, seen, data.test, dim),
        },
    )


def item_graph(data: Split, settings: Settings) -> Work:
    """Co-interaction graph; its product is SciPy's, made in blocks."""
    train, least = data.train, settings.min_co_users
    degrees = torch.bincount(train.users, minlength=train.num_users)
    shape = (train.num_users, train.num_items)
    return Work(
        Form("ours", lambda parts: co_interaction_graph(train, least)),
        Limit(
            "per pair of interactions of one user: item and count read, count added to",
            [(float(degrees.square().sum()) * (8 + 2 * 4), 12 * train.num_items)],
        ),
        {"SciPy": partial(torch_sparse.scipy_item_graph, train.users, train.items, shape, least)},
    )


def propagation(data: Split, settings: Settings) -> Work:
    """One product with the normalised user-item graph and its gradient."""
    train, dim = data.train, settings.embedding_dim
    matrix = symmetric_normalisation(bipartite_graph(train))
    graph = SparseMatrix(matrix, train.device, symmetric=True)
    generator = torch.Generator().manual_seed(0)
    x, grad = torch.randn(2, len(matrix.indptr) - 1, dim, generator=generator).to(train.device)

    def run(parts: int) -> tuple[torch.Tensor, torch.Tensor]:
        source = x.clone().requires_grad_()
        result = graph @ source
        result.backward(grad)
        assert source.grad is not None
        return result.detach(), source.grad

    def pyg() -> Form:
        from benchmark.speed.peers.pyg import propagation

        return propagation(matrix, x, grad)

    return Work(
        Form("ours", run),
        Limit(
            "2 x (a row, an index and a value read per edge; a row written per node)",
            [(2 * (gather_bytes(matrix.nnz, dim) + FLOAT * x.numel()), FLOAT * x.numel())],
        ),
        {
            "torch.sparse COO": partial(torch_sparse.propagation, matrix, x, grad, "COO"),
            "torch.sparse CSR": partial(torch_sparse.propagation, matrix, x, grad, "CSR"),
            "SciPy CSR": partial(torch_sparse.scipy_propagation, matrix, x, grad),
            "PyG gather/scatter": pyg,
        },
    )


def help_text(data: Split, settings: Settings) -> Work:
    """A process that prints the options; the peer is one that only imports torch."""

    def process(*arguments: str) -> Any:
        return subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    times = []
    for _ in range(3):
        started = time.perf_counter()
        process("-c", "pass")
        times.append(time.perf_counter() - started)
    return Work(
        Form("ours", lambda parts: process("-m", "benchmark.run", "--help")),
        Limit("a Python process that does nothing, measured", seconds=median(times)),
        {"import torch": lambda: Form("import torch", lambda parts: process("-c", "import torch"))},
    )
