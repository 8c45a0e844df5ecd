from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState
from planted import do_not_wait_for_the_disk

from benchmark import studies
from benchmark.storages import opened
from benchmark.studies import Study, lock_file, tell

CELLS = [{"a": 0}, {"a": 1}, {"a": 2}]


class Workers:
    """Workers as of several processes: each opens the storage for itself."""

    def __init__(self, storage: str, stack: ExitStack) -> None:
        self.storage = storage
        self.stack = stack

    def new(self) -> Study:
        storage = self.stack.enter_context(opened(self.storage))
        return self.stack.enter_context(Study(storage, "x", CELLS))


@pytest.fixture(params=["sqlite:///{}/studies.db", "journal:{}/studies.log"])
def workers(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workers]:
    do_not_wait_for_the_disk(monkeypatch)
    with ExitStack() as stack:
        yield Workers(request.param.format(tmp_path), stack)


def claimed(study: Study) -> tuple[int, optuna.trial.Trial]:
    claim = study.claim()
    assert claim is not None
    return claim


def complete(study: Study) -> int:
    """Claim a cell, and say that its value is its number."""
    cell, trial = claimed(study)
    trial.suggest_categorical("a", [0, 1, 2])
    tell(trial, TrialState.COMPLETE, cell)
    return cell


def states(study: Study) -> list[tuple[int, str]]:
    every = study.storage.get_all_trials(study._id)
    return [(trial.user_attrs["cell"], trial.state.name) for trial in every]


def die(study: Study) -> None:
    """As a killed process leaves things: the lock is free, nothing is said."""
    study._lock.release()


def test_one_worker_takes_the_cells_in_order(workers: Workers) -> None:
    study = workers.new()
    assert [complete(study) for _ in CELLS] == [0, 1, 2]
    assert study.claim() is None
    assert {cell: trial.number for cell, trial in study.results().items()} == {0: 0, 1: 1, 2: 2}
    assert [trial.params for trial in study.results().values()] == CELLS


def test_a_cell_is_given_to_one_worker_only(workers: Workers) -> None:
    one, two = workers.new(), workers.new()
    assert [claimed(one)[0], claimed(two)[0], claimed(one)[0]] == [0, 1, 2]
    assert two.claim() is None
    assert two.results() == {}


def test_of_two_that_take_a_cell_at_once_the_second_drops_it(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = workers.new(), workers.new()
    stale = [two.trials(), two.trials()]  # from before the other one took the first cell
    claimed(one)
    monkeypatch.setattr(two, "trials", lambda: stale.pop() if stale else Study.trials(two))
    assert claimed(two)[0] == 1
    assert states(one) == [(0, "RUNNING"), (0, "FAIL"), (1, "RUNNING")]


def test_the_cell_of_a_dead_process_is_free_at_once(workers: Workers) -> None:
    one, two = workers.new(), workers.new()
    assert [complete(one), claimed(one)[0], claimed(two)[0]] == [0, 1, 2]
    die(one)
    assert claimed(two)[0] == 1
    assert states(two) == [(0, "COMPLETE"), (1, "FAIL"), (2, "RUNNING"), (1, "RUNNING")]


def test_a_worker_that_leaves_frees_its_cell(workers: Workers) -> None:
    one = workers.new()
    with opened(workers.storage) as storage, Study(storage, "x", CELLS) as two:
        assert claimed(two)[0] == 0
        assert claimed(one)[0] == 1
        path = lock_file(two._worker)
        assert path.exists()
    assert not path.exists()
    assert claimed(one)[0] == 0


def test_far_away_only_silence_tells_the_dead(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = workers.new(), workers.new()
    _, far = claimed(one)
    lock_file(one._worker).unlink()  # so it might as well be another machine's
    clock = 1000.0
    monkeypatch.setattr(studies, "time", SimpleNamespace(monotonic=lambda: clock))
    assert [complete(two), complete(two)] == [1, 2]
    clock += 0.9 * studies.GRACE
    assert two.claim() is None
    far.set_user_attr("beats", 1)
    clock += 0.9 * studies.GRACE
    assert two.claim() is None
    clock += 0.9 * studies.GRACE
    assert two.claim() is None
    clock += 0.2 * studies.GRACE
    assert claimed(two)[0] == 0


def test_who_was_taken_for_dead_does_not_count(workers: Workers) -> None:
    one, two = workers.new(), workers.new()
    _, slow = claimed(one)
    die(one)
    cell, again = claimed(two)
    assert cell == 0
    tell(slow, TrialState.COMPLETE, 0.5, epochs=1)
    assert two.results() == {}
    tell(again, TrialState.COMPLETE, 0.25)
    tell(slow, TrialState.FAIL, reason="late")
    assert {cell: trial.value for cell, trial in one.results().items()} == {0: 0.25}


def test_a_running_trial_gives_signs_of_life(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "BEAT", 0.005)
    one, two = workers.new(), workers.new()
    _, trial = claimed(one)
    with one.running(trial):
        deadline = time.monotonic() + 20
        while two.trials()[0].user_attrs.get("beats", 0) < 2:
            assert time.monotonic() < deadline


def test_diverged_and_pruned_trials_are_results_and_crashes_are_not(workers: Workers) -> None:
    study = workers.new()
    assert tell(claimed(study)[1], TrialState.FAIL, reason="infinite").number == 0
    assert tell(claimed(study)[1], TrialState.FAIL, crash="KeyError").number == 1
    assert tell(claimed(study)[1], TrialState.PRUNED).user_attrs["cell"] == 1
    assert sorted(study.results()) == [0, 1]
    assert claimed(study)[0] == 2


def test_studies_begun_by_an_older_version_go_on(workers: Workers) -> None:
    with opened(workers.storage) as storage:
        old = optuna.create_study(storage=storage, study_name="x", direction="maximize")
        for cell, state in ((0, TrialState.FAIL), (0, TrialState.COMPLETE), (1, None)):
            old.enqueue_trial(CELLS[cell])
            trial = old.ask({"a": optuna.distributions.CategoricalDistribution([0, 1, 2])})
            if state is not None:
                old.tell(trial, 0.5 if state == TrialState.COMPLETE else None, state)
    study = workers.new()
    assert {cell: trial.number for cell, trial in study.results().items()} == {0: 1}
    assert [complete(study), complete(study)] == [1, 2]


def test_looking_begins_nothing(workers: Workers) -> None:
    with opened(workers.storage) as storage:
        assert Study(storage, "x", CELLS).trials() == {}
        assert storage.get_all_studies() == []
