"""HUIGN that convolves the features over the whole item graph in every step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmark.speed.steps import Loss
from models.interactions import Interactions
from models.item_graph import co_interaction_graph
from models.losses import bpr, l2_batch

LARGEST = 20_000
"""Most items of a dense graph, which then takes 1.6 GB."""


def loss_on(train: Interactions, min_co_users: int) -> Loss:
    """The loss of a built ``huign`` with its default options, on a dense item graph.

    Equations 4 to 14 one after the other for every modality, with nothing kept between steps.

    Raises:
        ValueError: If the dense graph would not fit.
    """
    if train.num_items > LARGEST:
        raise ValueError(f"a dense graph of {train.num_items} items does not fit into memory")
    graph = torch.from_numpy(co_interaction_graph(train, min_co_users).toarray())
    graph = graph.to(train.device, torch.get_default_dtype())
    features = train.select_features(None)

    def loss(model: Any, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        user = model.user_embedding[users]
        pos, neg = model.item_embedding[pos_items], model.item_embedding[neg_items]
        preferences = [table[users] for table in model.preferences]
        others, summed = user.new_zeros(()), user.new_zeros(())
        for modality, x in enumerate(features.values()):
            nodes, adjacency = x, graph
            paths: list[Tensor] = []  # H of every level
            for supernodes in model.supernodes[modality].split(list(model.levels)):
                gamma = torch.softmax(convolved(adjacency, nodes) @ supernodes.T, dim=1)
                paths.append(paths[-1] @ gamma if paths else gamma)
                size = len(supernodes)
                entropy = -(gamma * gamma.clamp_min(1e-38).log()).sum(1).mean()
                excess = supernodes @ supernodes.T - torch.eye(size, device=x.device)
                others = others + (entropy + torch.linalg.matrix_norm(excess)) / size
                adjacency, nodes = gamma.T @ adjacency @ gamma, supernodes
            summed = summed + torch.cat(paths, dim=1)  # V, [num_items, sum K]
        intents = torch.stack(preferences).sum(0)  # [batch_size, sum K]
        pos_scores = (user * pos).sum(1) + (intents * summed[pos_items]).sum(1)
        neg_scores = (user * neg).sum(1) + (intents * summed[neg_items]).sum(1)
        norms = l2_batch(user, pos, neg, *preferences)
        found: Tensor = bpr(pos_scores - neg_scores) + model.reg * (norms + others)
        return found

    return loss


def convolved(adjacency: Tensor, nodes: Tensor) -> Tensor:
    """Equation 4, the symmetrically normalised graph times its nodes, ``[num_nodes, width]``."""
    degrees = adjacency.sum(1)
    scale = torch.where(degrees > 0, degrees, 1.0).rsqrt() * (degrees > 0)
    return (scale[:, None] * adjacency * scale) @ nodes
