"""Recorded steps on a GPU, and their bookkeeping anywhere, with a graph that recomputes."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.bpr_mf import BPRMF
from models.interactions import Interactions
from models.registry import discover, registered
from models.stepping import WARM_UP, RecordedStep, stepper
from models.training import TrainedRecommender

for folder in ("models", "baselines"):
    discover(Path(__file__).parents[1] / folder)

RECORDED = [
    name
    for name, cls in registered().items()
    if issubclass(cls, TrainedRecommender) and cls.static_shapes
]
needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def problem() -> tuple[torch.nn.Linear, Any, torch.optim.Adam]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = (model(x).squeeze(1) - y).square().mean()
        return value

    return model, loss, torch.optim.Adam(model.parameters(), lr=0.1)


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[RecordedStep]:
    """A graph that recomputes on the tensors it was recorded with; returns who was replayed."""
    seen = list[RecordedStep]()
    now = list[RecordedStep]()

    class Graph:
        def replay(self) -> None:
            (step,) = now
            seen.append(step)
            assert step._value is not None
            step._value.copy_(step._as_usual(*step._batch))

    @contextlib.contextmanager
    def capture(graph: Graph) -> Iterator[None]:
        (step,) = now
        parameters = [each for group in step.optimizer.param_groups for each in group["params"]]
        before = [each.detach().clone() for each in parameters]
        state = copy.deepcopy(step.optimizer.state_dict())
        yield
        with torch.no_grad():  # as if nothing had been computed
            for each, value in zip(parameters, before, strict=True):
                each.copy_(value)
        step.optimizer.load_state_dict(state)

    class Stream:
        def wait_stream(self, other: Stream) -> None:
            pass

    record = RecordedStep._record

    def recording(self: RecordedStep, batch: tuple[torch.Tensor, ...]) -> None:
        now.append(self)
        record(self, batch)

    monkeypatch.setattr(RecordedStep, "_record", recording)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    return seen


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    sizes = [8, 8, 8, 8, 8, 5, 8, 8]  # the sixth is an epoch's last
    return [
        (torch.randn(n, 3, generator=generator), torch.randn(n, generator=generator)) for n in sizes
    ]


def test_recorded_steps_are_those_done_as_usual(replays: list[RecordedStep]) -> None:
    usual, usual_loss, optimizer = problem()
    step = stepper(usual_loss, optimizer)
    expected = [step(*batch) for batch in batches()]
    model, loss, optimizer = problem()
    recorded = RecordedStep(loss, optimizer)
    found = [recorded(*batch) for batch in batches()]
    torch.testing.assert_close(found, expected)  # also: no value is overwritten by a later step
    torch.testing.assert_close(model.state_dict(), usual.state_dict())
    assert replays == [recorded] * (len(batches()) - WARM_UP - 1)


def test_a_step_that_cannot_be_recorded_is_done_as_usual(
    replays: list[RecordedStep], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(graph: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    _, usual_loss, optimizer = problem()
    step = stepper(usual_loss, optimizer)
    expected = [step(*batch) for batch in batches()]
    _, loss, optimizer = problem()
    recorded = RecordedStep(loss, optimizer)
    with pytest.warns(UserWarning, match="not permitted when stream is capturing$") as told:
        found = [recorded(*batch) for batch in batches()]
    assert len(told) == 1
    torch.testing.assert_close(found, expected)
    assert replays == []


def test_which_models_are_recorded() -> None:
    assert {"bpr_mf", "vbpr", "huign"} <= set(RECORDED)
    assert not {"macridvae", "duif", "cb2cf"} & set(RECORDED)  # sizes depend on values


def test_a_training_with_recorded_steps_is_the_same(
    replays: list[RecordedStep], checkerboard: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 20, "learning_rate": 0.05}
    usual = BPRMF(**settings).fit(checkerboard)
    monkeypatch.setattr("models.training.stepper", RecordedStep)
    recorded = BPRMF(**settings).fit(checkerboard)
    assert len(replays) > WARM_UP
    torch.testing.assert_close(recorded.state_dict(), usual.state_dict())


@needs_a_gpu
@pytest.mark.parametrize("name", RECORDED)
def test_on_a_gpu_recorded_steps_train_as_others_do(
    name: str, checkerboard: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = checkerboard.to(torch.device("cuda"))
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 20, "learning_rate": 0.01}
    recorded = registered()[name](**settings).fit(train)
    monkeypatch.setattr(registered()[name], "static_shapes", False)
    usual = registered()[name](**settings).fit(train)
    assert isinstance(recorded, TrainedRecommender)
    assert isinstance(usual, TrainedRecommender)
    torch.testing.assert_close(recorded.state_dict(), usual.state_dict(), atol=1e-4, rtol=1e-3)
