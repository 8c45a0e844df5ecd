from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from baselines.bpr_mf import BPRMF
from models.interactions import Interactions

BATCH = (torch.tensor([0, 1, 3, 0]), torch.tensor([0, 2, 1, 0]), torch.tensor([3, 0, 4, 5]))


def built(train: Interactions, **options: Any) -> BPRMF:
    model = BPRMF(**{"embedding_dim": 3, **options})
    torch.manual_seed(1)
    model.build(train)
    return model.eval()


@pytest.mark.usefixtures("float64")
def test_scores_and_loss_by_loops(train: Interactions) -> None:
    model = built(train, reg=0.3)
    users, items = model.user_embedding.tolist(), model.item_embedding.tolist()

    def dot(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    scores = [[dot(user, item) for item in items] for user in users]
    torch.testing.assert_close(model.score(torch.arange(4)), torch.tensor(scores))
    ranking = penalty = 0.0
    for u, p, n in zip(*(ids.tolist() for ids in BATCH), strict=True):
        ranking -= math.log(1 / (1 + math.exp(scores[u][n] - scores[u][p]))) / 4
        penalty += sum(dot(row, row) for row in (users[u], items[p], items[n])) / 2 / 4
    assert model.loss(*BATCH).item() == pytest.approx(ranking + 0.3 * penalty)


@pytest.mark.usefixtures("float64")
def test_gradient(train: Interactions) -> None:
    model = built(train, reg=0.3)
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), tuple(model.parameters()))


def test_only_rows_of_the_batch_have_a_gradient(train: Interactions) -> None:
    model = built(train, reg=0.3)
    model.loss(*BATCH).backward()  # type: ignore[no-untyped-call]
    gradients = [table.grad for table in (model.user_embedding, model.item_embedding)]
    moved = [gradient.any(1).tolist() for gradient in gradients if gradient is not None]
    assert moved == [[True, True, False, True], [True] * 6]
