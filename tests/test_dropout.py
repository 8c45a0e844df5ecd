from __future__ import annotations

import pytest
import torch

from models.dropout import dropped_out


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_drops_the_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    x = torch.full((999, 1001), 2.0)
    y = dropped_out(x, share)
    dropped = (y == 0).float().mean().item()
    assert dropped == pytest.approx(share, abs=0.002)  # about 5 standard deviations
    assert set(y.flatten().tolist()) == {0.0, y.max().item()} - ({0.0} if share == 0 else set())
    assert y.mean().item() == pytest.approx(2.0, rel=0.01)


def test_entries_are_dropped_one_by_one() -> None:
    torch.manual_seed(0)
    kept = dropped_out(torch.ones(400_000), 0.5) != 0
    for distance in range(1, 9):  # eight would share their bits if a draw were used twice
        agreement = (kept[:-distance] == kept[distance:]).float().mean().item()
        assert agreement == pytest.approx(0.5, abs=0.005)


def test_follows_the_global_seed_and_carries_gradients() -> None:
    x = torch.ones(7, 3, requires_grad=True)
    torch.manual_seed(3)
    first = dropped_out(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropped_out(x, 0.5), first)
    (gradient,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(gradient, first.detach())  # of ones: what was kept, scaled up
