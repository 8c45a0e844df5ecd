"""Nothing before the final numbers depends on the test labels."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from planted import ITEMS, USERS, Bench, numbers

from benchmark.datasets import Dataset, load
from benchmark.splits import TEST, TRAIN, Split
from benchmark.task import Settings, Task
from benchmark.tuning import Tuner
from models.interactions import Interactions
from models.registry import model_class

MODELS = ("bpr_mf", "vbpr", "huign", "popularity", "ease")
CALL = ("--models", *MODELS, "--dataset", "toy", "--seeds", "2")


def replace_test_labels(bench: Bench) -> int:
    """Give every test pair another item that its user has nothing to do with; how many."""
    path = bench.data / "toy" / "toy.inter"
    inter = pd.read_csv(path, sep="\t")
    known = set(zip(inter["userID"], inter["itemID"], strict=True))
    changed = 0
    for row in inter.index[inter["x_label"] == TEST]:
        user, item = int(inter.loc[row, "userID"]), int(inter.loc[row, "itemID"])
        new = next(
            i % ITEMS for i in range(item + 1, item + ITEMS) if (user, i % ITEMS) not in known
        )
        known.add((user, new))
        inter.loc[row, "itemID"] = new
        changed += 1
    inter.to_csv(path, sep="\t", index=False)
    return changed


def test_training_and_tuning_are_blind_to_the_test_labels(bench: Bench) -> None:
    assert bench.run(*CALL) == 0
    other = Bench(bench.root / "other")
    other.add("toy")
    assert replace_test_labels(other) > 50
    assert other.run(*CALL) == 0
    assert load("toy", bench.data).fingerprint != load("toy", other.data).fingerprint

    trials, others = (each.rows("toy", "trials") for each in (bench, other))
    assert len(trials) == len(others) > 0
    for one, two in zip(trials, others, strict=True):
        told = set(one) - {"run_id", "seconds"}
        assert {name: one[name] for name in told} == {name: two[name] for name in told}

    runs, other_runs = (numbers(each.rows("toy")) for each in (bench, other))
    assert runs.keys() == other_runs.keys()
    for key, row in runs.items():
        tested = {name for name in row if "@" in name and name != "validation_recall@10"}
        told = set(row) - tested - {"run_id", "study", "data_fingerprint"}
        assert {"params", "validation_recall@10", "epochs"} <= told
        assert {name: row[name] for name in told} == {name: other_runs[key][name] for name in told}
        assert any(row[name] != other_runs[key][name] for name in tested)
        histories = [
            each.results / "toy" / "history" / f"{each_row['run_id']}.csv"
            for each, each_row in ((bench, row), (other, other_runs[key]))
        ]
        assert histories[0].exists() == histories[1].exists()
        if histories[0].exists():
            frames = [pd.read_csv(path).drop(columns="seconds") for path in histories]
            pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)


def reachable(*start: object) -> Iterator[object]:
    """Everything that can be got at from these objects, but for modules and their globals."""
    namespaces = {id(vars(module)) for module in list(sys.modules.values())}
    todo, seen = list(start), set[int]()
    while todo:
        each = todo.pop()
        if id(each) in seen or id(each) in namespaces:
            continue
        if issubclass(type(each), (types.ModuleType, types.FrameType, type)):
            continue
        seen.add(id(each))
        yield each
        todo += gc.get_referents(each)
        if isinstance(each, torch.Tensor) and each._base is not None:
            todo.append(each._base)


def pairs_in(each: object) -> set[int]:
    """User-item pairs, as ``user * num_items + item``, that an object may hold."""
    if isinstance(each, Interactions):
        return set((each.users * each.num_items + each.items).tolist())
    if isinstance(each, (torch.Tensor, np.ndarray)):
        values = torch.as_tensor(each).flatten()
        if values.dtype == torch.bool and len(values) > 1:  # a table of all pairs
            return set(torch.nonzero(values).flatten().tolist())
        if not values.is_floating_point():
            return set(values.tolist())
    return set()


def test_the_walk_finds_what_is_hidden() -> None:
    """The canary of the canary: labels behind closures, attributes, and views."""
    keys = torch.arange(1000, 1010)

    class Holder:
        def __init__(self) -> None:
            self.inner = {"x": [keys]}

    holder = Holder()
    for start in (holder, lambda: holder.inner, keys[3:5], [types.SimpleNamespace(a=keys)]):
        found = set().union(*map(pairs_in, reachable(start)))
        assert set(range(1000, 1010)) <= found


def test_no_test_pair_is_within_reach(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load("toy", bench.data)
    assert dataset.labels is not None
    keys = dataset.users * ITEMS + dataset.items
    train, test = (set(keys[dataset.labels == part].tolist()) for part in (TRAIN, TEST))
    spied: list[str] = []

    def look(who: object, *more: object) -> None:
        objects = list(reachable(who, *more))
        whole = (Task, Settings, Dataset, Split)
        assert not [each for each in objects if issubclass(type(each), whole)]
        holders = [pairs_in(each) for each in objects]
        assert any(train <= found for found in holders)  # this is how a leak would look
        # ranges of small numbers hold every pair and so tell nothing
        assert not [
            found
            for found in holders
            if len(found & test) > len(test) / 2 and len(found) < USERS * ITEMS * 0.9
        ]
        spied.append(type(who).__name__)

    def spy(cls: type, method: str) -> None:
        original = getattr(cls, method)

        def watched(*arguments: Any, **named: Any) -> Any:
            look(*arguments, *named.values())
            return original(*arguments, **named)

        monkeypatch.setattr(cls, method, watched)

    spy(model_class("bpr_mf"), "fit")
    spy(model_class("popularity"), "fit")
    spy(Tuner, "tune")
    assert bench.run("--models", "bpr_mf", "popularity", "--dataset", "toy") == 0
    # each is tuned, two trials of the first
    assert spied == ["Tuner", "BPRMF", "BPRMF", "Tuner", "Popularity"]
