from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from baselines.popularity import Popularity
from benchmark.presets import PRESETS
from benchmark.search import Search, between, grid
from models.errors import UsageError

GRID = Search.grid("id", {"b": [2, 1], "a": [0.1, 10.0, 1.0]})
TPE = Search.tpe("id", {"lr": [1e-3, 1e-1], "size": [8, 32], "kind": ["x", "y"]}, 5)


def test_a_grid_is_every_combination_in_a_fixed_order() -> None:
    assert [(cell["a"], cell["b"]) for cell in GRID.cells] == [
        (0.1, 2), (0.1, 1), (10.0, 2), (10.0, 1), (1.0, 2), (1.0, 1),
    ]  # fmt: skip
    assert GRID.space["a"] == CategoricalDistribution([0.1, 1.0, 10.0])
    assert GRID.ranges() == {"a": [0.1, 1.0, 10.0], "b": [1, 2]}
    assert (GRID.sampler, TPE.sampler) == ("grid", "tpe")
    assert len(TPE.cells) == 5


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([1e-2, 1e-4, 1e-3], FloatDistribution(1e-4, 1e-2, log=True)),
        ([1, 0.5], FloatDistribution(0.5, 1.0, log=True)),
        ([200, 10], IntDistribution(10, 200, log=True)),
        ([0, 10, 50], CategoricalDistribution([0, 10, 50])),
        ([-1.0, 1.0], CategoricalDistribution([-1.0, 1.0])),
        ([True, False], CategoricalDistribution([True, False])),
        (["x", "y"], CategoricalDistribution(["x", "y"])),
    ],
)
def test_a_sampler_proposes_between_the_candidates(candidates: list[Any], expected: object) -> None:
    assert between(candidates) == expected


@pytest.mark.parametrize("search", [GRID, TPE])
def test_hyper_parameters_survive_being_stored(search: Search) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for number, cell in enumerate(search.cells):
        study.enqueue_trial(dict(cell))
        trial = study.ask()
        params = search.suggest(trial)
        assert cell.items() <= params.items()
        row = {"run_id": f"id-{number}", **{name: str(value) for name, value in params.items()}}
        assert search.params_of(row) == params
        assert [type(value) for value in search.params_of(row).values()] == [
            type(value) for value in params.values()
        ]
        assert search.cell_of(row) == number


def test_rows_of_a_grid_are_known_by_their_hyper_parameters() -> None:
    assert GRID.cell_of({"run_id": "id-9", "a": "10.0", "b": "1"}) == 3
    assert GRID.cell_of({"run_id": "id-3", "a": "7.0", "b": "1"}) is None


@pytest.mark.parametrize(
    ("name", "candidates", "message"),
    [
        ("epochs", (1, 2), "'epochs' in the search space of 'Mine' is also a column"),
        ("seed", (0, 1), "'seed' .* call it something else"),
        ("a", (), r"'a' .* needs numbers or texts, each once \(got \[\]\)"),
        ("a", (1, 1), "each once"),
        ("a", (None, 1), "needs numbers or texts"),
        ("a", (1, "x"), "needs numbers or texts"),
        ("a", ((1, 2), (3,)), "needs numbers or texts"),
    ],
)
def test_candidates_that_a_row_could_not_tell_apart(
    name: str, candidates: tuple[Any, ...], message: str
) -> None:
    model = type("Mine", (Popularity,), {"search_space": {name: candidates}})
    with pytest.raises(UsageError, match=message):
        grid(model, PRESETS["quick"])
