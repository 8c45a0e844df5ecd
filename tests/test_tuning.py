from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from optuna import TrialPruned
from planted import do_not_wait_for_the_disk
from rich.console import Console
from torch import Tensor
from typing_extensions import Self

from baselines.bpr_mf import BPRMF
from baselines.macridvae import MacridVAE
from baselines.popularity import Popularity
from benchmark.code_version import code_version
from benchmark.evaluation import Evaluator
from benchmark.experiments import Variant
from benchmark.presets import PRESETS, Preset
from benchmark.progress import Reporter
from benchmark.search import COLUMNS, grid, grid_size
from benchmark.storages import opened
from benchmark.store import Store, digest
from benchmark.studies import Study
from benchmark.tuning import Tuner, budget, study_name
from models import registry
from models.errors import DivergedError
from models.interactions import Interactions
from models.recommender import Recommender, Validate
from models.registry import register, registered

SCORES = {(a, b): 0.1 * a + 0.01 * b for a in (1, 2) for b in (1, 2)}
PRESET = Preset("quick", epochs=7, patience=3, seeds=1)


class Scripted(Recommender):
    """Validation scores as planned; finds the one held-out item with the chance asked for."""

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {"a": (1, 2), "b": (1, 2)}
    curves: ClassVar[dict[tuple[int, int], list[float]]] = {}
    fitted: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, *, a: int = 0, b: int = 0) -> None:
        self.a = a
        self.b = b

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        self.fitted.append((self.a, self.b))
        assert validate is not None
        best = 0.0
        for score in self.curves[self.a, self.b]:
            self.now = score
            if self.now < 0:
                raise DivergedError(f"loss is nan at {self.a}")
            if self.now > 1:
                raise KeyboardInterrupt
            best = max(best, validate(self))
        self.now = best
        return self

    def score(self, users: Tensor) -> Tensor:
        """Right for the first ``100 now`` of 100 users."""
        right = (users < round(100 * self.now)).float()
        scores = torch.zeros(len(users), 20)
        scores[:, 0] = 2 * right - 1
        return scores


class Ranged(Recommender):
    """The larger the rate, the better; nothing else matters."""

    search_space: ClassVar[Mapping[str, Sequence[Any]]] = {
        "lr": (1e-3, 1e-2, 1e-1), "size": (4, 16, 64), "kind": ("x", "y"),
    }  # fmt: skip
    stop_at: ClassVar[int] = -1

    def __init__(self, *, lr: float = 0.1, size: int = 4, kind: str = "x") -> None:
        self.lr = lr
        self.size = size
        self.kind = kind

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        if type(self).stop_at == 0:
            raise KeyboardInterrupt
        type(self).stop_at -= 1
        assert validate is not None
        self.now = round(10 * self.lr, 2)
        validate(self)
        return self

    def score(self, users: Tensor) -> Tensor:
        right = (users < round(100 * self.now)).float()
        return torch.nn.functional.pad((2 * right - 1)[:, None], (0, 19))


@pytest.fixture
def tuner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tuner]:
    monkeypatch.setattr(registry, "_REGISTRY", registered())
    monkeypatch.setattr(registry, "_LABELS", dict(registry._LABELS))
    register("scripted")(Scripted)
    do_not_wait_for_the_disk(monkeypatch)
    Scripted.fitted.clear()
    users = torch.arange(100)
    train = Interactions(users, torch.full((100,), 19), 100, 20)
    held_out = Interactions(users, torch.zeros(100, dtype=torch.int64), 100, 20)
    with Reporter(6, Console(file=io.StringIO())) as reporter:
        yield Tuner(
            train, Evaluator(held_out, train, ks=(10,)), PRESET, {"data": "x"}, Store(tmp_path),
            reporter,
        )  # fmt: skip


def plan(curves: Mapping[tuple[int, int], list[float]]) -> None:
    Scripted.curves = {cell: curves.get(cell, [score]) for cell, score in SCORES.items()}


VARIANT = Variant("Scripted", "scripted")


def test_the_grid_is_covered_and_the_best_cell_wins(tuner: Tuner) -> None:
    plan({(2, 1): [0.1, 0.9, 0.3], (2, 2): [0.5, 0.85]})
    tuned = tuner.tune(VARIANT)
    assert tuned.params == {"a": 2, "b": 1}
    [fitted] = tuner.latest.values()
    assert isinstance(fitted.model, Scripted)
    assert (fitted.model.a, fitted.model.b) == (2, 1)
    assert (fitted.validation, fitted.epochs) == (0.9, 3)
    assert sorted(Scripted.fitted) == list(itertools.product((1, 2), (1, 2)))
    trials = tuner.store.rows("trials")
    assert set(trials) == {*COLUMNS, "a", "b"}
    assert len(trials) == 4
    assert set(trials["state"]) == {"complete"}
    assert set(trials["run_id"].str.rpartition("-")[0]) == {tuned.study}
    told = {(int(row["a"]), int(row["b"])): row for row in trials.to_dict("records")}
    assert max(told, key=lambda cell: float(told[cell]["value"])) == (2, 1)
    for cell, curve in Scripted.curves.items():
        assert told[cell]["value"] == pytest.approx(max(curve))
        assert told[cell]["epochs"] == len(curve)


def test_the_first_of_equals_wins(tuner: Tuner) -> None:
    plan({cell: [0.5] for cell in SCORES})
    params = tuner.tune(VARIANT).params
    assert (params["a"], params["b"]) == Scripted.fitted[0]
    assert len(tuner.latest) == 1


def test_a_finished_study_is_not_run_again(tuner: Tuner) -> None:
    plan({})
    tuned = tuner.tune(VARIANT)
    before = (tuner.store.folder / "trials.csv").read_bytes()
    tuner.latest.clear()
    assert tuner.tune(VARIANT) == tuned
    assert not tuner.latest
    assert len(Scripted.fitted) == 4
    assert (tuner.store.folder / "trials.csv").read_bytes() == before


def test_diverged_trials_are_recorded(tuner: Tuner) -> None:
    plan({(2, 1): [-1], (2, 2): [0.95, -1]})
    params = tuner.tune(VARIANT).params
    assert params == {"a": 1, "b": 2}
    trials = tuner.store.rows("trials")
    diverged = trials[trials["state"] == "diverged"]
    assert set(diverged["a"]) == {"2"}
    assert set(diverged["reason"]) == {"loss is nan at 2"}
    assert len(trials) == 4
    tuner.tune(VARIANT)
    assert len(Scripted.fitted) == 4  # it would only diverge again


def test_all_diverged(tuner: Tuner) -> None:
    plan({cell: [-1] for cell in SCORES})
    for _ in range(2):
        with pytest.raises(DivergedError, match="all 4 trials of 'Scripted' diverged"):
            tuner.tune(VARIANT)
    assert tuner.store.rows("trials")["state"].tolist() == ["diverged"] * 4


WIDE = replace(PRESET, grid={"b": (1, 2, 3, 4)})
PRUNING = {
    (a, b): [score] * 16 + [0.6] * 4
    for (a, b), score in zip(
        itertools.product((1, 2), (1, 2, 3, 4)),
        (0.5, 0.4, 0.51, 0.45, 0.48, 0.3, 0.55, 0.46),
        strict=True,
    )
}


def test_pruned_trials_are_recorded(tuner: Tuner) -> None:
    Scripted.curves = PRUNING
    params = replace(tuner, preset=WIDE).tune(VARIANT).params
    trials = tuner.store.rows("trials")
    states = dict(zip(trials["state"], trials["epochs"], strict=True))
    assert set(states) == {"complete", "pruned"}
    assert (states["complete"], states["pruned"]) == (20, 15)
    pruned = trials[trials["state"] == "pruned"]
    assert (pruned["value"] < 0.55).all()
    chosen = trials[(trials["a"] == str(params["a"])) & (trials["b"] == str(params["b"]))]
    assert chosen["state"].tolist() == ["complete"]


def test_five_trials_come_to_an_end_before_one_is_pruned(tuner: Tuner) -> None:
    Scripted.curves = PRUNING
    replace(tuner, preset=WIDE).tune(VARIANT)
    assert tuner.store.rows("trials")["state"].tolist()[:5] == ["complete"] * 5
    assert "pruned" in tuner.store.rows("trials")["state"].tolist()


@pytest.mark.parametrize("stopped_at", [1, 6])
def test_pruning_does_not_depend_on_interruptions(
    stopped_at: int, tuner: Tuner, tmp_path: Path
) -> None:
    Scripted.curves = PRUNING
    whole = replace(tuner, preset=WIDE).tune(VARIANT).params
    columns = ["a", "b", "state", "value", "epochs"]
    expected = tuner.store.rows("trials")[columns]
    other = Tuner(
        tuner.train, tuner.validation, WIDE, tuner.identity, Store(tmp_path / "2"), tuner.reporter
    )
    cell = Scripted.fitted[stopped_at]
    Scripted.curves = {**PRUNING, cell: [*PRUNING[cell][:5], 2]}
    with pytest.raises(KeyboardInterrupt):
        other.tune(VARIANT)
    Scripted.curves = PRUNING
    assert other.tune(VARIANT).params == whole
    assert other.store.rows("trials")[columns].equals(expected)


def test_a_crash_ends_the_study_and_is_tried_again(tuner: Tuner) -> None:
    plan({})
    good = Scripted.curves.pop((2, 2))
    for _ in range(2):
        with pytest.raises(KeyError):
            tuner.tune(VARIANT)
    trials = tuner.store.rows("trials")
    assert trials["state"].tolist() == ["complete"] * 3 + ["failed"]
    assert trials["reason"].tolist() == ["", "", "", "KeyError: (2, 2)"]
    Scripted.curves[2, 2] = good
    tuner.tune(VARIANT)
    trials = tuner.store.rows("trials")
    assert len(trials) == 4
    assert set(trials["state"]) == {"complete"}


def test_who_was_taken_for_dead_and_crashes_takes_no_result_away(
    tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan({})
    other, fit = replace(tuner, latest={}), Tuner.fit

    def slow(*_: object) -> None:
        monkeypatch.setattr(Tuner, "fit", fit)
        monkeypatch.setattr("benchmark.studies.has_ended", lambda _: True)
        other.tune(VARIANT)
        raise RuntimeError("too late")

    monkeypatch.setattr(Tuner, "fit", slow)
    with pytest.raises(RuntimeError, match="too late"):
        tuner.tune(VARIANT)
    assert tuner.store.rows("trials")["state"].tolist() == ["complete"] * 4


def test_the_id_of_a_grid_stays_what_it_was(tuner: Tuner) -> None:
    identity = {
        "data": "x", "model": "scripted", "fixed": {}, "space": {"a": [1, 2], "b": [1, 2]},
        "code": code_version(Scripted),
    }  # fmt: skip
    ids = []
    for sampler, trials in (("grid", None), ("tpe", None), ("tpe", 9)):
        search = replace(tuner, sampler=sampler, trials=trials).search(VARIANT)
        assert search is not None
        ids.append(search.study)
    assert ids == [
        digest(**identity),
        digest(**identity, sampler="tpe", trials=4),
        digest(**identity, sampler="tpe", trials=9),
    ]


def test_what_others_ran_is_recorded_and_not_repeated(tuner: Tuner, tmp_path: Path) -> None:
    plan({(2, 1): [-1], (2, 2): [0.95]})
    shared = f"journal:{tmp_path / 'studies.log'}"
    tuned = replace(tuner, storage=shared).tune(VARIANT)
    assert len(Scripted.fitted) == 4
    assert not (tuner.store.folder / "studies.db").exists()
    here = replace(tuner, storage=shared, store=Store(tmp_path / "2"), latest={})
    assert here.tune(VARIANT) == tuned
    assert len(Scripted.fitted) == 4
    assert not here.latest
    assert here.store.rows("trials").equals(tuner.store.rows("trials"))


def test_half_of_a_study_is_run_here_and_half_elsewhere(tuner: Tuner, tmp_path: Path) -> None:
    plan({})
    good = Scripted.curves.pop((2, 1))
    here = replace(tuner, storage=f"journal:{tmp_path / 'studies.log'}")
    with pytest.raises(KeyError):
        here.tune(VARIANT)
    Scripted.curves[2, 1] = good
    there = replace(here, store=Store(tmp_path / "2"), latest={})
    assert there.tune(VARIANT).params == {"a": 2, "b": 2}
    assert Scripted.fitted == [(1, 1), (1, 2), (2, 1), (2, 1), (2, 2)]
    assert here.tune(VARIANT).params == {"a": 2, "b": 2}
    assert len(Scripted.fitted) == 5
    assert here.store.rows("trials")["state"].tolist() == ["complete"] * 4


def test_who_has_nothing_left_to_run_waits_and_takes_over(
    tuner: Tuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan({})
    search = tuner.search(VARIANT)
    assert search is not None
    said: list[str] = []
    monkeypatch.setattr(tuner.reporter, "start", lambda what, _: said.append(what))
    with ExitStack() as stack:
        other = Study(
            stack.enter_context(opened(tuner.where)), study_name(VARIANT, search), search.cells
        )
        stack.enter_context(other)
        assert other.claim() is not None
        monkeypatch.setattr("benchmark.tuning.time.sleep", lambda _: other._lock.release())
        tuner.tune(VARIANT)
    assert Scripted.fitted == [(1, 2), (2, 1), (2, 2), (1, 1)]
    assert said[3] == "Scripted: waiting for 1 trials of other processes"
    assert len(tuner.store.rows("trials")) == 4


def proposed(tuner: Tuner) -> Any:
    return tuner.store.rows("trials")[["run_id", "lr", "kind", "state", "value"]]


@pytest.mark.parametrize("stopped_at", [0, 4])
def test_proposals_do_not_depend_on_interruptions(
    stopped_at: int, tuner: Tuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("ranged")(Ranged)
    variant = Variant("Ranged", "ranged")
    monkeypatch.setattr(Ranged, "stop_at", -1)
    whole = replace(tuner, sampler="tpe", trials=7)
    tuned = whole.tune(variant)
    trials = proposed(whole)
    assert len(trials) == trials["lr"].nunique() == 7
    assert trials["lr"].astype(float).between(1e-3, 1e-1).all()
    assert set(trials["kind"]) <= {"x", "y"}
    assert tuned.params["lr"] == float(trials["lr"][trials["value"].idxmax()])
    assert isinstance(tuned.params["size"], int)

    monkeypatch.setattr(Ranged, "stop_at", stopped_at)
    other = replace(whole, store=Store(tmp_path / "2"), latest={})
    with pytest.raises(KeyboardInterrupt):
        other.tune(variant)
    monkeypatch.setattr(Ranged, "stop_at", -1)
    assert other.tune(variant) == tuned
    assert proposed(other).equals(trials)


def test_a_study_that_is_lost_in_the_middle_is_restored(tuner: Tuner) -> None:
    """From the rows: nothing is fitted twice, and the rows stay as they are."""
    plan({})
    tuned = tuner.tune(VARIANT)
    rows = tuner.store.rows("trials")
    database = tuner.store.folder / "studies.db"
    database.unlink()
    tuner.store.remove("trials", rows["run_id"].iloc[-1])
    fitted = len(Scripted.fitted)
    assert tuner.tune(VARIANT) == tuned
    assert len(Scripted.fitted) == fitted + 1
    again = tuner.store.rows("trials")
    assert again.drop(columns="seconds").equals(rows.drop(columns="seconds"))
    assert again["seconds"][:-1].tolist() == rows["seconds"][:-1].tolist()
    # and the other way round: rows from the study
    (tuner.store.folder / "trials.csv").unlink()
    assert tuner.tune(VARIANT) == tuned
    assert len(Scripted.fitted) == fitted + 1
    assert tuner.store.rows("trials").equals(again)


def test_a_study_belongs_to_its_data_and_its_fixed_parameters(tuner: Tuner) -> None:
    plan({})
    tuner.tune(VARIANT)
    Tuner(
        tuner.train, tuner.validation, PRESET, {"data": "y"}, tuner.store, tuner.reporter
    ).tune(VARIANT)  # fmt: skip
    assert len(Scripted.fitted) == 8
    assert tuner.store.rows("trials")["run_id"].nunique() == 8


def test_fit_prunes_only_when_the_study_says_so(tuner: Tuner) -> None:
    class Stop:
        def report(self, score: float, step: int) -> None:
            self.step = step

        def should_prune(self) -> bool:
            return self.step == 2

    plan({(1, 1): [0.1, 0.2, 0.3]})
    with pytest.raises(TrialPruned):
        tuner.fit("x", Scripted(a=1, b=1), "x", Stop())  # type: ignore[arg-type]
    assert tuner.fit("x", Scripted(a=1, b=1), "x").epochs == 3


def pairs(count: int, users: int = 50) -> Interactions:
    ids = torch.arange(count)
    return Interactions(ids % users, ids // users, users, count // users + 1)


@pytest.mark.parametrize(
    ("rows", "batch_size"), [(20_480, 1024), (20_481, 2048), (80_000, 4096), (100, 16), (3000, 256)]
)
def test_batches_follow_the_number_of_steps(rows: int, batch_size: int) -> None:
    fixed = budget(BPRMF, Preset("q", 5, 2, 1, steps=20), pairs(rows))
    assert fixed == {"epochs": 5, "patience": 2, "batch_size": batch_size}


def test_batches_of_users_follow_the_number_of_users() -> None:
    default = MacridVAE.defaults()["batch_size"]
    preset = Preset("q", 5, 2, 1, steps=20)
    few, many = (budget(MacridVAE, preset, pairs(users, users)) for users in (60, 50_000))
    assert few["batch_size"] < default < many["batch_size"]


def test_budgets() -> None:
    train = pairs(1000)
    assert budget(BPRMF, PRESETS["paper"], train) == {"epochs": 1000, "patience": 20}
    assert budget(Popularity, PRESETS["quick"], train) == {}
    assert grid_size(BPRMF, PRESETS["paper"]) == 25
    assert grid_size(BPRMF, PRESETS["quick"]) == 4
    assert grid_size(BPRMF, PRESETS["standard"]) == 10
    assert grid_size(Popularity, PRESETS["paper"]) == 0
    assert grid(BPRMF, Preset("q", 1, 1, 1, grid={"reg": (0.5,), "other": (1,)})) == {
        "learning_rate": [1e-4, 1e-3, 1e-2, 1e-1, 1.0],
        "reg": [0.5],
    }
