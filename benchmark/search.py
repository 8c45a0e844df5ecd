"""What a study is to try: every cell of a grid, or what Optuna's sampler proposes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial
from sklearn.model_selection import ParameterGrid

from benchmark.presets import Preset
from benchmark.repair import NUMBERS
from models.errors import UsageError
from models.recommender import Recommender

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution

KINDS = ((int, float), str)  # True and False are whole numbers, too
"""Of candidates: what storages of studies keep, and what has an order."""

COLUMNS = (
    "run_id", "variant", "model", "state", "value", "epochs", "seconds", "reason",
    "sampler", "planned", "space",
)  # fmt: skip
"""Of ``trials.csv``, beside one for each hyper-parameter."""


def grid(model: type[Recommender], preset: Preset) -> dict[str, list[Any]]:
    """The candidates of a model's hyper-parameters, narrowed where the preset says so.

    Raises:
        UsageError: If they could not be told apart, or not from the rest of a row, once stored.
    """
    found = {name: list(preset.grid.get(name, own)) for name, own in model.search_space.items()}
    for name, candidates in found.items():
        where = f"'{name}' in the search space of '{model.__name__}'"
        if name in (*COLUMNS, *NUMBERS):
            raise UsageError(f"{where} is also a column of the results: call it something else")
        alike = any(all(isinstance(each, kind) for each in candidates) for kind in KINDS)
        if not candidates or not alike or len(set(map(str, candidates))) < len(candidates):
            raise UsageError(f"{where} needs numbers or texts, each once (got {candidates})")
    return found


def grid_size(model: type[Recommender], preset: Preset, trials: int | None = None) -> int:
    """Number of trials of a study, as asked for or as its grid has; 0 with nothing to tune."""
    space = grid(model, preset)
    return (trials or math.prod(map(len, space.values()))) if space else 0


@dataclass(frozen=True)
class Search:
    """The trials of a study, numbered.

    Args:
        study: The id of the study.
        space: What each hyper-parameter may be.
        cells: The hyper-parameters that are given to each trial; none if they are proposed.
    """

    study: str
    space: Mapping[str, Distribution]
    cells: Sequence[Mapping[str, Any]]

    @classmethod
    def grid(cls, study: str, candidates: Mapping[str, Sequence[Any]]) -> Search:
        """Every combination once, in a fixed order."""
        cells = list(ParameterGrid(dict(candidates)))
        space = {name: sorted({cell[name] for cell in cells}) for name in cells[0]}
        return cls(
            study, {name: CategoricalDistribution(each) for name, each in space.items()}, cells
        )

    @classmethod
    def tpe(cls, study: str, candidates: Mapping[str, Sequence[Any]], trials: int) -> Search:
        """So many proposals, between the smallest and the largest candidate."""
        space = {name: between(values) for name, values in sorted(candidates.items())}
        return cls(study, space, [{}] * trials)

    @property
    def sampler(self) -> str:
        """``grid`` or ``tpe``."""
        return "grid" if self.cells[0] else "tpe"

    def ranges(self) -> dict[str, list[Any]]:
        """The candidates of each hyper-parameter, or the ends of its range."""
        return {
            name: list(each.choices)
            if isinstance(each, CategoricalDistribution)
            else [each.low, each.high]
            for name, each in self.space.items()
        }

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """The hyper-parameters of a trial, as they were given to it or are proposed now."""
        return {name: suggested(trial, name, each) for name, each in self.space.items()}

    def cell_of(self, row: Mapping[Any, Any]) -> int | None:
        """The number of the trial that a row of ``trials.csv`` tells of, if it is one of these."""
        if self.sampler == "tpe":
            return int(row["run_id"].rpartition("-")[2])
        # not by the id, in which older versions also counted trials that were interrupted
        for number, cell in enumerate(self.cells):
            if all(row[name] == str(value) for name, value in cell.items()):
                return number
        return None

    def params_of(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        """The hyper-parameters that a row of ``trials.csv`` tells of."""
        return {name: read(row[name], each) for name, each in self.space.items()}


def between(candidates: Sequence[Any]) -> Distribution:
    """The logarithmic range of some candidates; a choice where they are not positive numbers."""
    if all(type(value) is int and value > 0 for value in candidates):
        return IntDistribution(min(candidates), max(candidates), log=True)
    if all(type(value) in (int, float) and value > 0 for value in candidates):
        return FloatDistribution(float(min(candidates)), float(max(candidates)), log=True)
    return CategoricalDistribution(list(candidates))


def suggested(trial: Trial, name: str, distribution: Distribution) -> Any:
    """One hyper-parameter of a trial."""
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    return trial.suggest_categorical(name, distribution.choices)


def read(text: str, distribution: Distribution) -> Any:
    """A hyper-parameter's value from what was stored of it."""
    if isinstance(distribution, CategoricalDistribution):
        return next(value for value in distribution.choices if str(value) == text)
    return float(text) if isinstance(distribution, FloatDistribution) else int(text)
