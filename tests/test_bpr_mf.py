from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from baselines.bpr_mf import BPRMF
from models.interactions import Interactions

BATCH = (torch.tensor([0, 1, 3, 0]), torch.tensor([0, 2, 1, 0]), torch.tensor([3, 0, 4, 5]))


def built(**options: Any) -> BPRMF:
    users, items = torch.tensor([0, 0, 1, 1, 1, 3]), torch.tensor([0, 1, 1, 2, 3, 1])
    model = BPRMF(**{"embedding_dim": 3, **options})
    torch.manual_seed(1)
    model.build(Interactions(users, items, num_users=4, num_items=6))
    return model.eval()


@pytest.mark.usefixtures("float64")
def test_scores_and_loss_by_loops() -> None:
    model = built(reg=0.3)
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
def test_gradient() -> None:
    model = built(reg=0.3)
    assert torch.autograd.gradcheck(lambda *_: model.loss(*BATCH), tuple(model.parameters()))


def test_only_rows_of_the_batch_have_a_gradient() -> None:
    model = built(reg=0.3)
    model.loss(*BATCH).backward()  # type: ignore[no-untyped-call]
    gradients = [table.grad for table in (model.user_embedding, model.item_embedding)]
    moved = [gradient.any(1).tolist() for gradient in gradients if gradient is not None]
    assert moved == [[True, True, False, True], [True] * 6]


def test_overfits_and_repeats_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    users, items = torch.nonzero(torch.rand(20, 30, generator=generator) < 0.15).unbind(1)
    train = Interactions(users, items, 20, 30)
    everybody = torch.arange(20)
    options: dict[str, Any] = {"epochs": 150, "learning_rate": 0.05, "reg": 0.0}
    model = BPRMF(**options).fit(train)
    top = model.recommend(everybody, 10)
    found = train.by_user().contains(everybody[:, None], top).sum(1)
    counts = train.by_user().counts(everybody)
    assert (found / counts)[counts > 0].mean() > 0.9
    again = BPRMF(**options).fit(train)
    assert torch.equal(model.score(everybody), again.score(everybody))
    other = BPRMF(**options, seed=1).fit(train)
    assert not torch.equal(model.score(everybody), other.score(everybody))
