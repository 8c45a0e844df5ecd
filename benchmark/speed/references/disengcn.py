"""DisenGCN by gathering and scattering a vector per edge and channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.speed.steps import Loss
from models.interactions import Interactions
from models.losses import bpr, l2_batch


def loss_on(train: Interactions) -> Loss:
    """The loss of a built ``disengcn`` of the form ``"paper"``."""
    users, items = train.users, train.items + train.num_users
    targets, sources = torch.cat([users, items]), torch.cat([items, users])

    def loss(model: Any, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        x = functional.dropout(model.embedding, model.dropout, model.training)
        for weight, bias in zip(model.weights, model.biases, strict=True):
            z = functional.leaky_relu(x @ weight + bias).view(len(x), model.num_channels, -1)
            z = functional.normalize(z, dim=2)  # [num_nodes, K, c]
            centres, neighbours = z, z[sources]  # [num_edges, K, c]
            for _ in range(model.num_iterations):
                shares = (centres[targets] * neighbours).sum(2, keepdim=True).softmax(1)
                centres = z.index_add(0, targets, shares * neighbours)
                centres = functional.normalize(centres, dim=2)
            x = centres.flatten(1)  # [num_nodes, embedding_dim]
        nodes = users, model.num_users + pos_items, model.num_users + neg_items
        user, pos, neg = (x[rows] for rows in nodes)
        penalty = l2_batch(*(model.embedding[rows] for rows in nodes))
        penalty = penalty + sum(w.square().sum() for w in model.weights) / (2 * len(users))
        ranking = bpr((user * pos).sum(1) - (user * neg).sum(1))
        total: Tensor = ranking + model.reg * penalty
        return total

    return loss
