from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmark.evaluation import Ranking
from benchmark.popularity_groups import COLUMNS, by_popularity, is_kept, read, save
from benchmark.splits import Split
from benchmark.store import Store
from benchmark.writing import StoreError
from models.interactions import Interactions

NUM_USERS = 40
KNOWN = [0, 0, 1, 2, 2, 3, 5, 8, 13, 30]
"""Training interactions of ten items."""


def drawn(seed: int = 0) -> tuple[Ranking, Split]:
    """Every user's list of four and test items, of which none was seen in training."""
    generator = torch.Generator().manual_seed(seed)
    num_items = len(KNOWN)
    train = torch.zeros(NUM_USERS, num_items, dtype=torch.bool)
    for item, count in enumerate(KNOWN):
        train[torch.randperm(NUM_USERS, generator=generator)[:count], item] = True
    draw = torch.rand(NUM_USERS, num_items, generator=generator)
    test = (draw < 0.3) & ~train
    test[:, 0] = False  # an item that is in no part
    items = torch.rand(NUM_USERS, num_items, generator=generator).argsort(1)[:, :4]
    items[::7, -1] = -1
    users = torch.nonzero(test.any(1)).flatten()
    hits = test.gather(1, items.clamp(min=0)) & (items >= 0)
    positives = test.sum(1)

    def part(present: torch.Tensor) -> Interactions:
        users, items = torch.nonzero(present).unbind(1)
        return Interactions(users, items, NUM_USERS, num_items)

    ranking = Ranking(users, hits[users], positives[users], (1, 4), items[users])
    return ranking, Split(part(train), part(test), part(test))


@pytest.mark.parametrize("seed", range(4))
def test_equals_slow_loops(seed: int) -> None:
    ranking, parts = drawn(seed)
    table = by_popularity(ranking, parts)
    wanted = list(zip(parts.test.users.tolist(), parts.test.items.tolist(), strict=True))
    lists = dict(zip(ranking.users.tolist(), ranking.items.tolist(), strict=True))
    for row in table.to_dict("records"):
        members = {i for i, count in enumerate(KNOWN) if row["least"] <= count <= row["most"]}
        mine = [(user, item) for user, item in wanted if item in members]
        assert (row["items"], row["positives"]) == (len(members), len(mine))
        for k in (1, 4):
            assert row[f"hits@{k}"] == sum(item in lists[user][:k] for user, item in mine)
    assert table["items"].sum() == len(KNOWN)
    assert table["positives"].sum() == len(wanted)
    assert table["hits@4"].sum() == int(ranking.hits.sum())


def test_unseen_items_are_for_themselves_and_the_rest_is_cut_evenly() -> None:
    known = [0, 0, *range(1, 26)]
    items = torch.tensor([item for item, count in enumerate(known) for _ in range(count)])
    train = Interactions(torch.arange(len(items)) % 100, items, 100, 27)
    test = Interactions(torch.zeros(27, dtype=torch.long), torch.arange(27), 100, 27)
    nothing = torch.zeros(1, 1, dtype=torch.bool)
    ranking = Ranking(torch.tensor([0]), nothing, torch.tensor([27]), (1,), torch.tensor([[-1]]))
    table = by_popularity(ranking, Split(train, test, test))
    assert table[["least", "most", "items", "positives", "hits@1"]].to_numpy().tolist() == [
        [0, 0, 2, 2, 0], [1, 5, 5, 5, 0], [6, 10, 5, 5, 0], [11, 15, 5, 5, 0],
        [16, 20, 5, 5, 0], [21, 25, 5, 5, 0],
    ]  # fmt: skip


def test_items_held_out_whole_are_one_group_with_test_interactions() -> None:
    train = Interactions(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2, 4)
    test = Interactions(torch.tensor([0, 1]), torch.tensor([3, 3]), 2, 4)
    lists = torch.tensor([[3], [2]])
    hits = torch.tensor([[True], [False]])
    ranking = Ranking(torch.tensor([0, 1]), hits, torch.tensor([1, 1]), (1,), lists)
    table = by_popularity(ranking, Split(train, test, test))
    assert table["positives"].tolist() == [2, 0]
    assert table["hits@1"].tolist() == [1, 0]


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    store, table = Store(tmp_path), by_popularity(*drawn())
    assert not is_kept(store, "a-0")
    save(store, "a-0", table)
    assert is_kept(store, "a-0")
    stored = [*COLUMNS, "hits@4"]
    pd.testing.assert_frame_equal(read(store, "a-0", 4), table[stored].reset_index(drop=True))


@pytest.mark.parametrize("text", ["", "least,most,items,positives\n0,0,1,2\n", "x"])
def test_what_is_damaged_is_told(text: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    save(store, "a-0", by_popularity(*drawn()))
    (tmp_path / "popularity" / "a-0.csv").write_text(text)
    with pytest.raises(StoreError, match=r"take the row 'a-0' out of runs.csv"):
        read(store, "a-0", 4)
