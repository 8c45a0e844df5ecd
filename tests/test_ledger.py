from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.ledger import Ledger, grown_peak


def work(users: int, width: int = 4) -> Ledger:
    """Three blocks one after the other, two of them at a time."""
    ledger = Ledger()
    with ledger:
        first = torch.zeros(users, width)
        second = first @ first.T
        del first
        third = second.sum(1)
        del second, third
    return ledger


def test_blocks_and_when_they_live() -> None:
    ledger = work(10)
    assert ledger.sizes == [160, 400, 40]
    assert ledger.events == [0, 1, ~0, 2, ~1, ~2]


def test_views_and_known_tensors_are_no_blocks_but_arrays_are() -> None:
    known, array = torch.zeros(5), torch.from_numpy(np.zeros(7, np.float32))
    with Ledger([known]) as ledger:
        known.view(5, 1).add_(1)
        array.add_(1)
    assert ledger.sizes == [28]


def test_gradients_are_seen() -> None:
    weight = torch.ones(6, requires_grad=True)
    with Ledger([weight]) as ledger:
        weight.square().sum().backward()  # type: ignore[no-untyped-call]
    assert ledger.sizes.count(24) >= 2  # the squares and the gradient


def test_the_peak_grows_with_powers_of_the_data() -> None:
    # 16 and 4 bytes per user and 4 per pair, of 1000 times as many users
    grown = grown_peak(work(10), work(20), {1: 1, 2: 1000, 4: 1000**2})
    assert grown == 16 * 10_000 + 4 * 10_000**2


def test_what_does_not_grow_stays() -> None:
    grown = grown_peak(work(10), work(10), {1: 1, 2: 1000, 4: 1000**2})
    assert grown == 160 + 400


def test_different_work_tells_nothing() -> None:
    with Ledger() as other:
        torch.zeros(3)
    assert grown_peak(work(10), other, {1: 1}) is None


@pytest.mark.parametrize("ratio", [1.7, 2.3])
def test_the_nearest_ratio_counts(ratio: float) -> None:
    small, large = work(100), work(round(100 * ratio))
    assert grown_peak(small, large, {1: 1, 2: 10, 4: 100}) == 16 * 1000 + 4 * 1000**2
