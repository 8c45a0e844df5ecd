from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from models.interactions import Interactions
from models.sampling import NegativeSampler, triples


@pytest.fixture
def train() -> Interactions:
    """Half of all pairs of 20 users and 15 items, in random order."""
    generator = torch.Generator().manual_seed(0)
    users, items = torch.nonzero(torch.rand(20, 15, generator=generator) < 0.5).unbind(1)
    order = torch.randperm(len(users), generator=generator)
    return Interactions(users[order], items[order], 20, 15)


@pytest.fixture(params=["table", "sorted keys"])
def sampler(
    request: pytest.FixtureRequest, train: Interactions, monkeypatch: pytest.MonkeyPatch
) -> NegativeSampler:
    if request.param == "sorted keys":
        monkeypatch.setattr("models.sampling.DENSE_LIMIT", 0)
    return NegativeSampler(train)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_reaches_all_unobserved_items_and_no_other(
    train: Interactions, sampler: NegativeSampler
) -> None:
    # what is unobserved includes whatever is held out: sparing it would leak it
    observed = set(zip(train.users.tolist(), train.items.tolist(), strict=True))
    users = torch.arange(20).repeat(300)
    drawn = set(zip(users.tolist(), sampler.sample(users, generator()).tolist(), strict=True))
    assert drawn == {(u, i) for u in range(20) for i in range(15)} - observed


def test_uniform_over_unobserved_items() -> None:
    train = Interactions(torch.tensor([0, 0]), torch.tensor([1, 3]), 1, 10)
    drawn = NegativeSampler(train).sample(torch.zeros(8000, dtype=torch.long), generator())
    counts = torch.bincount(drawn, minlength=10)
    assert counts[[1, 3]].tolist() == [0, 0]
    assert chisquare(counts[[0, 2, 4, 5, 6, 7, 8, 9]].numpy()).pvalue > 0.01


def test_both_ways_of_looking_up_draw_the_same(
    train: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = torch.arange(20).repeat(50)
    by_table = NegativeSampler(train).sample(users, generator())
    monkeypatch.setattr("models.sampling.DENSE_LIMIT", 0)
    assert torch.equal(NegativeSampler(train).sample(users, generator()), by_table)


def test_a_table_is_kept_up_to_its_limit(
    train: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.sampling.DENSE_LIMIT", 20 * 15)
    assert NegativeSampler(train)._observed is not None
    monkeypatch.setattr("models.sampling.DENSE_LIMIT", 20 * 15 - 1)
    assert NegativeSampler(train)._observed is None


def test_stay_on_the_device_of_the_data(train: Interactions) -> None:
    with torch.device("meta"):  # where tensors go that are made without saying where
        sampler = NegativeSampler(train)
        (batch,) = triples(train, sampler, 1000, generator())
    assert sampler._observed is not None
    assert {tensor.device.type for tensor in (*batch, sampler._observed)} == {"cpu"}


def test_user_with_everything_raises() -> None:
    train = Interactions(torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 2]), 2, 3)
    with pytest.raises(ValueError, match="user 1 has every item"):
        NegativeSampler(train)


def keys(users: Tensor, items: Tensor) -> list[int]:
    return sorted((users * 15 + items).tolist())


@pytest.mark.parametrize("batch_size", [1, 32, 10_000])
def test_triples_hold_each_interaction_once(train: Interactions, batch_size: int) -> None:
    batches = list(triples(train, NegativeSampler(train), batch_size, generator()))
    assert all(len(users) == batch_size for users, _, _ in batches[:-1])
    users, pos_items, neg_items = (torch.cat(parts) for parts in zip(*batches, strict=True))
    # the same pairs as in train, so no positive is with another user
    assert keys(users, pos_items) == keys(train.users, train.items)
    assert not train.by_user().contains(users, neg_items).any()


def test_every_epoch_has_its_own_order_and_negatives(train: Interactions) -> None:
    stream, sampler = generator(), NegativeSampler(train)
    ((users, pos_items, neg_items),) = triples(train, sampler, 1000, stream)
    ((users2, pos_items2, neg_items2),) = triples(train, sampler, 1000, stream)
    assert not torch.equal(users * 15 + pos_items, users2 * 15 + pos_items2)
    assert keys(users, neg_items) != keys(users2, neg_items2)


def test_seed_decides_the_triples(train: Interactions) -> None:
    sampler = NegativeSampler(train)
    ((*first,),) = triples(train, sampler, 1000, generator(1))
    ((*again,),) = triples(train, sampler, 1000, generator(1))
    ((*other,),) = triples(train, sampler, 1000, generator(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
