"""MMGCN by gathering and scattering a vector per edge, one modality after the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.nn import SimpleConv

from benchmark.speed.steps import Loss
from models.interactions import Interactions
from models.losses import bpr


def loss_on(train: Interactions) -> Loss:
    """The loss of a built ``mmgcn`` with ``combination="ele"``, on PyG's message passing."""
    users, items = train.users, train.items + train.num_users
    edges = torch.stack([torch.cat([users, items]), torch.cat([items, users])])
    mean_of_neighbours = SimpleConv(aggr="mean")

    def loss(model: Any, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        identity = torch.cat([model.user_embedding, model.item_embedding])
        total = torch.zeros_like(identity)
        for modality, features in enumerate(model.features):
            x = torch.cat([model.preferences[modality], model.projected(modality, features)])
            for layer in model.layers:
                h = mean_of_neighbours(x @ layer.neighbour[modality], edges)
                own = x @ layer.own[modality] + layer.own_bias[modality]
                own = functional.leaky_relu(own) + identity
                mixed = functional.leaky_relu(h) @ layer.combine[modality]
                x = functional.leaky_relu(mixed + layer.combine_bias[modality] + own)
            total = total + x
        user = total[users]
        pos, neg = total[train.num_users + pos_items], total[train.num_users + neg_items]
        ranking = bpr((user * pos).sum(1) - (user * neg).sum(1))
        found: Tensor = ranking + model.reg * model.penalty(users, pos_items, neg_items)
        return found

    return loss
