"""The same seeds give the same numbers, whatever is not meant to change them."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from planted import Bench, numbers
from small_data import from_matrix
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark import rerun, tune
from benchmark.determinism import REPRODUCIBLE, WORKSPACE, demand_determinism, is_refused
from benchmark.evaluation import Evaluator, validation_score
from benchmark.saved import ROUNDING
from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import create, discover, registered
from models.training import TrainedRecommender

for folder in ("models", "baselines"):
    discover(Path(__file__).parents[1] / folder)

MODELS = sorted(registered())
CUDA = torch.device("cuda")

REFUSED = """
import torch
from baselines.bpr_mf import BPRMF
from models.registry import register

@register("refused")
class Refused(BPRMF):
    def loss(self, users, pos_items, neg_items):
        with torch.no_grad():
            torch.zeros(2).put_(torch.tensor([0, 0]), torch.ones(2))  # which of the two stays?
        return super().loss(users, pos_items, neg_items)
"""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What ``--deterministic`` sets is put back."""
    variable = os.environ.pop(WORKSPACE, None)
    yield
    torch.use_deterministic_algorithms(False)
    os.environ.pop(WORKSPACE, None)
    if variable is not None:
        os.environ[WORKSPACE] = variable


@functools.cache
def data() -> tuple[Interactions, Interactions]:
    """Training and held-out likes of 150 users for 60 items: more users than fill one batch."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(150)[:, None] % 3 == torch.arange(60) % 3
    draw = torch.rand(150, 60, generator=generator) + 0.5 * ~kinds
    train, held_out = from_matrix(draw < 0.5), from_matrix((draw >= 0.5) & (draw < 0.7))
    features = {
        name: torch.eye(3)[torch.arange(60) % 3] + torch.randn(60, 3, generator=generator)
        for name in ("visual", "textual")
    }
    return train.with_features(features), held_out


def made(name: str, epochs: int = 2) -> Recommender:
    """A model with a small budget."""
    small = {"epochs": epochs, "batch_size": 256, "learning_rate": 0.01}
    known = registered()[name].defaults()
    return create(name, **{key: value for key, value in small.items() if key in known})


def fitted(name: str, device: torch.device | str = "cpu") -> Recommender:
    """A model trained and judged on :func:`data`."""
    train, held_out = (part.to(device) for part in data())
    return made(name).fit(train, validation_score(Evaluator(held_out, train, ks=(10,))))


def outcome(bench: Bench, *options: str) -> tuple[Any, Any]:
    """Rows and trials of all models without what may differ: times, memory, the device's name."""
    extra = ("--models", *MODELS, "--dataset", "toy", *options)
    assert bench.run(*extra) == 0
    rows = numbers(bench.rows("toy"))
    trials = bench.rows("toy", "trials")
    assert len(rows) == len(MODELS)
    assert {row["status"] for row in rows.values()} == {"ok"}
    for row in rows.values():
        assert row.pop("device").endswith(", deterministic") == ("--deterministic" in options)
    for trial in trials:
        del trial["seconds"]
    bench.results.rename(bench.root / f"results{'-'.join(options)}")
    return rows, {trial["run_id"]: trial for trial in trials}


def test_nothing_changes_the_numbers_of_any_model(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither another process (with another hash seed), nor --jobs, nor --deterministic."""
    monkeypatch.setattr("benchmark.suite.write_outputs", lambda *_: None)
    at_once = outcome(bench, "--jobs", "2", "--deterministic")
    torch.use_deterministic_algorithms(False)
    assert outcome(bench) == at_once


@pytest.mark.parametrize("name", MODELS)
def test_metrics_do_not_depend_on_the_batch_size(name: str) -> None:
    train, held_out = data()
    model = fitted(name)
    whole = Evaluator(held_out, train, batch_size=150)(model)
    for batch_size in (1, 7, 64, 100):
        found = Evaluator(held_out, train, batch_size=batch_size)(model)
        assert torch.equal(found.items, whole.items)
        assert found.means == whole.means


class Demanding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails on what torch refuses on a GPU in its deterministic mode, though this is none.

    As listed by ``torch.use_deterministic_algorithms``, with what recommenders may come to use.
    """

    REFUSED = (
        "put_", "histc", "median.dim", "median.dim_values", "nanmedian.dim", "kthvalue",
        "nll_loss2d_forward", "ctc_loss", "max_unpool2d",
    )  # fmt: skip

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = str(operation).removeprefix("aten.").removesuffix(".default")
        refused = (
            name in self.REFUSED
            or (name.startswith("cumsum") and args[0].is_floating_point())
            or (name == "bincount" and len(args) > 1 and args[1] is not None)
            or (name.startswith("scatter_reduce") and "prod" in args)
        )
        assert not refused, name
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", MODELS)
def test_models_need_nothing_that_is_refused_on_a_gpu(name: str) -> None:
    train, held_out = data()
    found: list[Tensor] = []

    def validate(model: Recommender) -> float:
        found.append(evaluator(model).hits)  # metrics are made on the processor
        return len(found)

    with Demanding():  # type: ignore[no-untyped-call]
        evaluator = Evaluator(held_out, train, ks=(10,))
        evaluator(made(name).fit(train, validate))
    assert bool(found) == ("epochs" in registered()[name].defaults())


def median(x: Tensor) -> object:
    return x.median(dim=0)


@pytest.mark.parametrize(
    "operation",
    [
        median,
        lambda x: x.cumsum(0),
        lambda x: torch.bincount(x.long(), x),
        lambda x: x.put_(torch.tensor([0]), torch.ones(1)),
        lambda x: x.scatter_reduce(0, torch.tensor([0]), torch.ones(1), "prod"),
    ],
)
def test_what_is_refused_is_noticed(operation: Callable[[Tensor], object]) -> None:
    with Demanding():  # type: ignore[no-untyped-call]
        torch.ones(3, dtype=torch.long).cumsum(0)
        torch.bincount(torch.ones(3, dtype=torch.long))
        with pytest.raises(AssertionError):
            operation(torch.ones(3))


def test_a_model_that_cannot_be_deterministic_is_a_row_that_says_so(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.plug_in("refused.py", REFUSED)
    call = ("--models", "refused", "popularity", "--dataset", "toy")
    assert bench.run(*call, "--deterministic") == 1
    refused, popularity = sorted(bench.rows("toy"), key=lambda row: row["status"])
    reason = (
        "--deterministic: put_ does not have a deterministic implementation; run the model "
        "without the option"
    )
    assert (refused["model"], refused["status"], refused["reason"]) == ("refused", "failed", reason)
    assert f"Refused failed: {reason}" in capsys.readouterr().err
    assert popularity["device"].endswith(" threads, deterministic")
    manifest = json.loads((bench.results / "toy" / "manifest.json").read_text())
    assert manifest["device"] == popularity["device"]
    torch.use_deterministic_algorithms(False)
    assert bench.run(*call) == 0
    assert {row["status"] for row in bench.rows("toy")} == {"ok"}
    manifest = json.loads((bench.results / "toy" / "manifest.json").read_text())
    assert manifest["device"].endswith(" threads")


def test_a_deterministic_run_is_repeated_as_it_was(bench: Bench) -> None:
    call = ("--models", "popularity", "--dataset", "toy")
    assert bench.run(*call, "--deterministic") == 0
    [deterministic] = bench.rows("toy")
    torch.use_deterministic_algorithms(False)
    assert bench.run(*call, "--preset", "standard") == 0
    usual = next(row for row in bench.rows("toy") if row["preset"] == "standard")
    for row, expected in ((usual, False), (deterministic, True)):
        assert rerun.main(bench.arguments(row["run_id"])) == 0
        assert torch.are_deterministic_algorithms_enabled() == expected


def test_a_worker_says_so_too(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.plug_in("refused.py", REFUSED)
    call = bench.arguments("--worker", "--models", "refused", "--dataset", "toy", "--deterministic")
    assert tune.main(call) == 1
    said = capsys.readouterr().err
    assert "Refused: --deterministic: put_ does not have a deterministic implementation" in said


def test_a_gpu_is_named_as_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.machine import explained

    demand_determinism()
    with pytest.raises(RuntimeError) as refused:
        torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))
    assert explained(refused.value, CUDA).endswith("without the option or with --device cpu")
    assert not is_refused(RuntimeError("deterministic"))
    assert not is_refused(ValueError(str(refused.value)))


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, REPRODUCIBLE[0]), (":0:0", REPRODUCIBLE[0]), (":16:8", ":16:8")],
)
def test_cublas_is_told(before: str | None, after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if before is not None:
        monkeypatch.setenv(WORKSPACE, before)
    demand_determinism()
    assert os.environ[WORKSPACE] == after
    assert torch.are_deterministic_algorithms_enabled()


needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@needs_a_gpu
@pytest.mark.parametrize("name", MODELS)
def test_on_a_gpu_with_the_option_a_seed_decides_everything(name: str) -> None:
    demand_determinism()
    users = torch.arange(150, device=CUDA)
    scores, again = (fitted(name, CUDA).score(users) for _ in range(2))
    assert torch.equal(scores, again)


def copied(name: str, device: torch.device | str) -> Recommender:
    """A model trained on the processor, with its weights on a device."""
    original, train = fitted(name), data()[0].to(device)
    if not isinstance(original, TrainedRecommender):
        return made(name).fit(train)
    copy = made(name, epochs=0).fit(train)
    assert isinstance(copy, TrainedRecommender)
    copy.load_state_dict(original.state_dict())
    return copy.eval()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_a_gpu)])
def test_the_same_weights_rank_alike_on_every_device(device: str, name: str) -> None:
    """Scores to 1e-4 of the largest, metrics to 0.01: near ties may change places.

    Trainings are not compared, as other random numbers are drawn on a GPU.
    """
    train, held_out = data()
    here, there = fitted(name), copied(name, device)
    users = torch.arange(150)
    expected, found = here.score(users), there.score(users.to(device)).cpu()
    limit = ROUNDING * float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=limit)
    means = Evaluator(held_out, train)(here).means
    elsewhere = Evaluator(held_out.to(device), train.to(device))(there).means
    assert elsewhere == pytest.approx(means, abs=0.01)
