"""What is stored about one data set: all that tables, figures and the report are made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from benchmark import intents
from benchmark.datasets import Dataset
from benchmark.experiments import Experiment, paper_first
from benchmark.intents import Kept
from benchmark.planted_intents import of_features, planted
from benchmark.presets import NO_MODALITY
from benchmark.store import Store


@dataclass(frozen=True, eq=False)
class Record:
    """Stored rows that count, never a model, so that whatever is drawn can be drawn again.

    Args:
        store: The rows' home.
        dataset: The data; of use for its size and the items' titles, not for its labels.
        experiments: What was asked for, of which some cells may still be without a run.
        ks: Cut-offs of the metrics.
        identity: What all rows agree in, such as the data's fingerprint and the preset.
    """

    store: Store
    dataset: Dataset
    experiments: Sequence[Experiment]
    ks: Sequence[int]
    identity: dict[str, str]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """Rows of ``runs.csv``: of every variant the newest configuration, with all its seeds.

        In the order of the experiments, whatever the order in which they ended.
        """
        runs = self.store.current(self.identity)
        if runs.empty:
            return runs
        asked = dict.fromkeys(v.label for each in self.experiments for _, v in each.cells)
        labels = [*asked, *sorted(set(runs["variant"]) - asked.keys())]
        return runs.iloc[pd.Categorical(runs["variant"], labels).codes.argsort(kind="stable")]

    @cached_property
    def done(self) -> pd.DataFrame:
        """The runs that came to a result."""
        return self.runs[self.runs["status"] == "ok"] if len(self.runs) else self.runs

    @cached_property
    def overall(self) -> pd.DataFrame:
        """The runs of Table 2, failed ones included: every model as it is, no variant of it.

        The paper's models in its order, then the others by name, whoever was asked for.
        """
        if self.runs.empty:
            return self.runs
        runs = self.runs[self.runs["tuned_as"] == ""]
        order = paper_first(sorted(set(runs["model"])))
        return runs.iloc[pd.Categorical(runs["model"], order).codes.argsort(kind="stable")]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """Rows of ``trials.csv``: those of the studies that :attr:`overall` was tuned by."""
        trials = self.store.rows("trials")
        if trials.empty or self.overall.empty:
            return trials.iloc[:0]
        return trials[trials["run_id"].str.rpartition("-")[0].isin(set(self.overall["study"]))]

    @cached_property
    def kept(self) -> dict[str, Kept]:
        """What was kept of the intents of runs that came to a result, by the runs' ids."""
        return {
            run_id: intents.read(self.store, run_id, self.dataset.num_items)
            for run_id in self.done["run_id"]
            if intents.is_kept(self.store, run_id)
        }

    @cached_property
    def given(self) -> pd.DataFrame:
        """Rows of :func:`benchmark.planted_intents.of_features` about what these runs were given.

        If their item graphs differ, that of the model as it is counts.
        """
        runs = self.done[self.done["run_id"].isin(list(self.kept))]
        first = runs.sort_values("tuned_as", kind="stable").iloc[0]
        kept, least = self.kept[first["run_id"]], json.loads(first["params"])["min_co_users"]
        truth = planted(self.dataset)
        return pd.DataFrame(of_features(self.dataset, self.identity, kept, truth, least))

    @property
    def modalities(self) -> list[str]:
        """Names of the item features that models were given."""
        return [name for name in self.identity["modalities"].split("+") if name != NO_MODALITY]

    @property
    def folder(self) -> Path:
        """Where everything is written."""
        return self.store.folder

    @property
    def k(self) -> int:
        """The cut-off of tables with a single one: 10, as in the paper, if it is asked for."""
        return 10 if 10 in self.ks else max(self.ks)

    def experiment(self, name: str) -> Experiment | None:
        """The experiment of that name, if it was asked for."""
        return next((each for each in self.experiments if each.name == name), None)
