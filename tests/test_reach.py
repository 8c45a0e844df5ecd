"""No object that trains, tunes, keeps or loads a model leads to the test labels."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import ITEMS, Bench, small_bench

from benchmark import recommend, stored_models
from benchmark.datasets import Dataset, load
from benchmark.splits import TEST, TRAIN, Split
from benchmark.task import Settings, Task
from benchmark.tuning import Tuner
from models.interactions import Interactions
from models.registry import discover, model_class, registered

for folder in ("models", "baselines"):
    discover(Path(__file__).parents[1] / folder)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("benchmark.suite.write_outputs", lambda *_: None)
    return small_bench(tmp_path, monkeypatch)


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
        if isinstance(each, torch.Tensor) and each.layout == torch.sparse_csr:
            todo += [each.crow_indices(), each.col_indices(), each.values()]


def pairs_in(each: object) -> set[int]:
    """User-item pairs, as ``user * num_items + item``, that an object may hold."""
    if isinstance(each, Interactions):
        return set((each.users * each.num_items + each.items).tolist())
    if isinstance(each, torch.Tensor) and each.layout != torch.strided:
        return set()  # its parts are looked at on their own
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


def watch(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, look: Callable[..., None]
) -> None:
    """Have somebody look at what a method or function is called with."""
    original = getattr(owner, name)

    def watched(*arguments: Any, **named: Any) -> Any:
        look(*arguments, *named.values())
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, watched)


@pytest.mark.parametrize("name", sorted(registered()))
def test_no_test_pair_is_within_reach(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the model, of what it is given, of the tuner, of what keeps and loads a model."""
    dataset = load("toy", bench.data)
    assert dataset.labels is not None
    keys = dataset.users * ITEMS + dataset.items
    train, test = (set(keys[dataset.labels == part].tolist()) for part in (TRAIN, TEST))
    spied: list[str] = []

    def look(who: object, *more: object) -> None:
        if spied.count(type(who).__name__) == 2:  # of many trials, which are all alike
            return
        objects = list(reachable(who, *more))
        whole = (Task, Settings, Dataset, Split)
        assert not [each for each in objects if issubclass(type(each), whole)]
        holders = [pairs_in(each) for each in objects]
        assert any(train <= found for found in holders)  # this is how a leak would look
        # all numbers up to some limit, as a permutation holds them, tell nothing
        assert not [
            found
            for found in holders
            if len(found & test) > len(test) / 2 and len(found) < 0.9 * max(found)
        ]
        spied.append(type(who).__name__)

    cls = model_class(name)
    watch(monkeypatch, cls, "fit", look)
    watch(monkeypatch, Tuner, "tune", look)
    watch(monkeypatch, stored_models, "save", lambda _, *more: look(*more))
    watch(monkeypatch, stored_models, "load", lambda _, *more: look(*more))
    assert bench.run("--models", name, "--dataset", "toy", "--preset", "paper") == 0
    assert spied[0] == "Tuner"
    assert cls.__name__ in spied
    spied.clear()
    out = ("--out", str(bench.root / "out.csv"))
    call = bench.arguments("--dataset", "toy", "--model", name, "--users", "0", *out)
    assert recommend.main(call) == 0
    assert recommend.main(call) == 0
    assert spied[0] == cls.__name__
    assert {"str", "Interactions"} <= set(spied)  # what is saved and loaded begins with
