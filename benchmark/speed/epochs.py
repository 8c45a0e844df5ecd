"""Epochs of the models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmark.speed.catalogue import Settings
from benchmark.speed.limits import Limit
from benchmark.speed.peers import cornac, implicit, recbole
from benchmark.speed.steps import built, epoch
from benchmark.speed.work import FLOAT, Work, adam_bytes, gather_bytes
from benchmark.splits import Split
from models.interactions import Interactions

BATCH = 2048
"""Triples, or users, per step: RecBole's default."""

LAYERS = {"ngcf": 3, "lightgcn": 2}
"""RecBole's defaults."""


def limit(
    model: Any,
    train: Interactions,
    formula: str,
    traffic: Sequence[tuple[float, float]],
    flops: float = 0,
) -> Limit:
    """Of an epoch whose steps move bytes, multiply, and update all parameters by Adam.

    Args:
        model: A built model.
        train: Its data.
        formula: What ``traffic`` and ``flops`` count.
        traffic: Of a step, beside Adam's, see :class:`benchmark.speed.limits.Limit`.
        flops: Of the matrix products of a step.
    """
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    steps = epoch(model, train).parts
    adam = adam_bytes(parameters), FLOAT * parameters
    return Limit(
        f"steps x (Adam: 32 B per parameter + {formula})",
        [(steps * count, table) for count, table in (adam, *traffic)],
        steps * flops,
    )


def bpr(data: Split, settings: Settings) -> Work:
    """BPR-MF, the same mathematics as RecBole's."""
    train, dim = data.train, settings.embedding_dim
    model = built("bpr_mf", train, embedding_dim=dim, batch_size=BATCH)
    rows, table = 3 * BATCH * dim * FLOAT, (train.num_users + train.num_items) * dim * FLOAT
    return Work(
        epoch(model, train),
        limit(model, train, "3 rows per triple read, 3 added to", [(3 * rows, table)]),
        {
            "RecBole": partial(recbole.epoch, "BPR", train, BATCH, embedding_size=dim),
            "Cornac (SGD)": partial(cornac.bpr, train, dim),
            "implicit (SGD)": partial(implicit.bpr, train, dim),
        },
    )


def vbpr(data: Split, settings: Settings) -> Work:
    """VBPR; the reference projects all items, as most implementations do."""
    from benchmark.speed.references.vbpr import loss

    train, dim = data.train, settings.embedding_dim
    model = built("vbpr", train, embedding_dim=dim, batch_size=BATCH)
    rows, width = min(BATCH, train.num_items), model.features.shape[1]
    return Work(
        epoch(model, train),
        limit(
            model, train, "2 products [min(batch, items), features] x [features, width + 1], "
            "features of 2 items per triple read",
            [(2 * BATCH * width * FLOAT, model.features.numel() * FLOAT)],
            2 * 2 * rows * width * (dim + 1),
        ),
        {
            "full projection": lambda: epoch(model, train, "full projection", loss),
            "Cornac": partial(cornac.vbpr, train, dim, BATCH),
        },
    )  # fmt: skip


def ngcf(data: Split, settings: Settings) -> Work:
    """NGCF in RecBole's form."""
    train, dim, layers = data.train, settings.embedding_dim, LAYERS["ngcf"]
    model = built(
        "ngcf", train, embedding_dim=dim, num_layers=layers, form="recbole", batch_size=BATCH
    )
    nodes = train.num_users + train.num_items
    return Work(
        epoch(model, train),
        limit(
            model, train, "per layer 2 sparse products and 3 dense ones [nodes, 2 width] x "
            "[2 width, width]",
            [(2 * layers * gather_bytes(2 * len(train), dim), FLOAT * nodes * dim)],
            layers * 3 * 2 * nodes * 2 * dim * dim,
        ),
        {
            "RecBole": partial(
                recbole.epoch, "NGCF", train, BATCH,
                embedding_size=dim, hidden_size_list=[dim] * layers,
            )
        },
    )  # fmt: skip


def lightgcn(data: Split, settings: Settings) -> Work:
    """LightGCN; RecBole multiplies by torch's COO matrices, PyG gathers and scatters."""
    train, dim, layers = data.train, settings.embedding_dim, LAYERS["lightgcn"]
    model = built("lightgcn", train, embedding_dim=dim, num_layers=layers, batch_size=BATCH)
    gathered = 2 * layers * gather_bytes(2 * len(train), dim)
    table = FLOAT * (train.num_users + train.num_items) * dim

    def pyg() -> Any:
        from benchmark.speed.peers.pyg import lightgcn

        return lightgcn(model, train)

    return Work(
        epoch(model, train),
        limit(model, train, "2 sparse products per layer", [(gathered, table)]),
        {
            "RecBole": partial(
                recbole.epoch, "LightGCN", train, BATCH, embedding_size=dim, n_layers=layers
            ),
            "PyG": pyg,
        },
    )  # fmt: skip


def mmgcn(data: Split, settings: Settings) -> Work:
    """MMGCN; the reference is its mathematics on PyG's message passing."""
    train, dim = data.train, settings.embedding_dim
    model = built("mmgcn", train, embedding_dim=dim, batch_size=BATCH)
    nodes, traffic, flops = train.num_users + train.num_items, [], 0
    for depth, layer in enumerate(model.layers):
        for modality, weight in enumerate(layer.own):
            width = len(weight)
            # to items and back, to users and back; the mean of constant features is known
            constant = depth == 0 and str(modality) not in model.projections
            products = 2 if constant else 4
            largest = FLOAT * width * train.num_users
            traffic.append((products * gather_bytes(len(train), width), largest))
            flops += 3 * 2 * nodes * (width * width + 2 * width * dim)

    def gather_scatter() -> Any:
        from benchmark.speed.references.mmgcn import loss_on

        return epoch(model, train, "gather/scatter", loss_on(train))

    return Work(
        epoch(model, train),
        limit(
            model, train, "per layer and modality 2 sparse products, fewer for constant inputs, "
            "and 3 dense ones for each weight", traffic, flops,
        ),
        {"gather/scatter": gather_scatter},
    )  # fmt: skip


def macridvae(data: Split, settings: Settings) -> Work:
    """MacridVAE in RecBole's form and size."""
    train, dim, hidden, concepts = data.train, settings.embedding_dim, 600, 10
    model = built(
        "macridvae", train, embedding_dim=dim, hidden_dim=hidden, num_concepts=concepts,
        form="recbole", batch_size=BATCH,
    )  # fmt: skip
    users = min(BATCH, train.num_users)
    per_step = len(train) * users // train.num_users
    decoder = 3 * 2 * users * train.num_items * dim
    encoder = 3 * 2 * users * hidden * 2 * dim
    return Work(
        epoch(model, train),
        limit(
            model, train, "per concept 3 products [users, width] x [width, items] and 3 "
            "[users, hidden] x [hidden, 2 width], 2 sparse products [users, items] x [items, "
            "hidden]",
            [(2 * concepts * gather_bytes(per_step, hidden), FLOAT * train.num_items * hidden)],
            concepts * (decoder + encoder),
        ),
        {
            "RecBole": partial(
                recbole.epoch, "MacridVAE", train, BATCH, by_user=True,
                embedding_size=dim, encoder_hidden_size=[hidden], kfac=concepts,
            )
        },
    )  # fmt: skip


def disengcn(data: Split, settings: Settings) -> Work:
    """DisenGCN; the reference keeps a vector per edge and channel."""
    from benchmark.speed.references.disengcn import loss_on

    train, dim = data.train, settings.embedding_dim
    model = built("disengcn", train, embedding_dim=dim, batch_size=BATCH)
    nodes, iterations = train.num_users + train.num_items, model.num_layers * model.num_iterations
    gathered = 6 * iterations * gather_bytes(2 * len(train), dim)
    return Work(
        epoch(model, train),
        limit(
            model, train, "per layer 3 dense products [nodes, width] x [width, width] and per "
            "iteration 6 sparse ones", [(gathered, FLOAT * nodes * dim)],
            model.num_layers * 3 * 2 * nodes * dim * dim,
        ),
        {"gather/scatter": lambda: epoch(model, train, "gather/scatter", loss_on(train))},
    )  # fmt: skip


def huign(data: Split, settings: Settings) -> Work:
    """HUIGN; the reference convolves the features over a dense item graph in every step."""
    from benchmark.speed.references.huign import loss_on

    train, dim, least = data.train, settings.embedding_dim, settings.min_co_users
    model = built("huign", train, embedding_dim=dim, min_co_users=least, batch_size=1024)
    first = model.levels[0] * len(train.features)
    width = sum(x.shape[1] for x in train.features.values())
    # rows more than half full are summed by what they lack, see SparseMatrix
    edges = len(model.graph._product.columns)
    return Work(
        epoch(model, train),
        limit(
            model, train, "a sparse product [items, items] x [items, modalities x 32], 2 dense "
            "ones [items, features] x [features, 32]",
            [(gather_bytes(edges, first), FLOAT * train.num_items * first)],
            2 * 2 * train.num_items * width * model.levels[0],
        ),
        {"features convolved every step": lambda: epoch(
            model, train, "features convolved every step", loss_on(train, least)
        )},
    )  # fmt: skip
