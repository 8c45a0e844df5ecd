"""VBPR that projects the features of all items in every step."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from models.losses import bpr, l2_batch


def loss(model: Any, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
    """The loss of a built ``vbpr`` for triples of three vectors ``[batch_size]``."""
    projected = model.features @ model.projection  # [num_items, embedding_dim]
    visual_bias = (model.features @ model.feature_bias).squeeze(1)
    user, content = model.user_embedding[users], model.user_content[users]

    def scores(items: Tensor) -> Tensor:
        matched = (user * model.item_embedding[items]).sum(1)
        liked = (content * projected[items]).sum(1)
        found: Tensor = matched + liked + visual_bias[items] + model.item_bias[items]
        return found

    rows = [model.item_embedding[items] for items in (pos_items, neg_items)]
    biases = [model.item_bias[items] for items in (pos_items, neg_items)]
    ranking = bpr(scores(pos_items) - scores(neg_items))
    total: Tensor = ranking + model.reg * l2_batch(user, content, *rows, *biases)
    return total
