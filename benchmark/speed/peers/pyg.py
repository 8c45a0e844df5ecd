"""PyTorch Geometric: message passing, which gathers and scatters a vector per edge."""

from __future__ import annotations

from typing import Any

import torch
from torch_geometric.nn import LGConv
from torch_geometric.nn import LightGCN as PyGLightGCN
from torch_geometric.utils import from_scipy_sparse_matrix

from benchmark.speed.steps import epoch
from benchmark.speed.timing import Form
from models.interactions import Interactions


def propagation(matrix: Any, x: torch.Tensor, grad: torch.Tensor) -> Form:
    """``matrix @ x`` and its gradient by LightGCN's layer; both dense ones ``[num_nodes, d]``."""
    edges, weights = from_scipy_sparse_matrix(matrix)
    edges, weights = edges.to(x.device), weights.to(x)
    layer = LGConv(normalize=False)

    def run(parts: int) -> tuple[torch.Tensor, torch.Tensor]:
        source = x.clone().requires_grad_()
        result = layer(source, edges, weights)
        result.backward(grad)
        assert source.grad is not None
        return result.detach(), source.grad

    return Form("PyG gather/scatter", run)


def lightgcn(model: Any, train: Interactions) -> Form:
    """An epoch of PyG's LightGCN with its own loss, on the batches of ``model``."""
    users, items = train.users, train.items + train.num_users
    edges = torch.stack([torch.cat([users, items]), torch.cat([items, users])])
    dim = model.user_embedding.shape[1]
    network = PyGLightGCN(train.num_users + train.num_items, dim, model.num_layers)
    network = network.to(train.device)

    def loss(
        _: Any, users: torch.Tensor, pos_items: torch.Tensor, neg_items: torch.Tensor
    ) -> torch.Tensor:
        pos, neg = train.num_users + pos_items, train.num_users + neg_items
        pairs = torch.stack([torch.cat([users, users]), torch.cat([pos, neg])])
        pos_ranks, neg_ranks = network(edges, pairs).chunk(2)
        nodes = torch.cat([users, pos, neg])
        found: torch.Tensor = network.recommendation_loss(pos_ranks, neg_ranks, nodes)
        return found

    return epoch(model, train, "PyG", loss, network.parameters())
