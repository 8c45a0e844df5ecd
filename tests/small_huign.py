"""Small HUIGN models, and the item graph a second time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.huign import HUIGN
from models.interactions import Interactions

STRUCTURES: list[tuple[int, ...]] = [(32,), (32, 8), (32, 8, 4), (64, 16, 4), (64, 32, 8, 4)]
BATCH = (torch.tensor([0, 1, 3, 0]), torch.tensor([0, 2, 1, 0]), torch.tensor([3, 0, 4, 5]))


def sample(num_users: int, num_items: int, share: float) -> Interactions:
    """Random interactions with three modalities; the last item has none."""
    generator = torch.Generator().manual_seed(0)
    observed = torch.rand(num_users, num_items, generator=generator) < share
    observed[:, -1] = False
    users, items = torch.nonzero(observed).unbind(1)
    widths = {"visual": 4, "acoustic": 3, "textual": 2}
    features = {
        name: torch.randn(num_items, width, generator=generator) for name, width in widths.items()
    }
    return Interactions(users, items, num_users, num_items, features)


def built(train: Interactions, cls: type[HUIGN] = HUIGN, /, **options: Any) -> HUIGN:
    defaults: dict[str, Any] = {"embedding_dim": 3, "levels": (4, 3, 2), "min_co_users": 2}
    model = cls(**{**defaults, **options})
    torch.manual_seed(1)
    model.build(train)
    return model.eval()


def all_scores(model: HUIGN, train: Interactions) -> Tensor:
    return model.score(torch.arange(train.num_users))


def item_intents(model: HUIGN) -> Tensor:
    """V of all modalities together, ``[M, sum K]``."""
    _, items = model.forward()
    return items[:, model.embedding_dim :]


def expected_graph(train: Interactions, min_co_users: int) -> NDArray[np.float64]:
    audience = [set(train.users[train.items == i].tolist()) for i in range(train.num_items)]
    graph = np.zeros((train.num_items, train.num_items))
    for i, j in itertools.permutations(range(train.num_items), 2):
        graph[i, j] = len(audience[i] & audience[j]) >= min_co_users
    return graph


def close(found: Tensor | list[Tensor], expected: Any) -> None:
    found = torch.stack(found) if isinstance(found, list) else found
    wanted = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found.detach(), wanted, rtol=0, atol=1e-6)
