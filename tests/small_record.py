"""A record of made-up runs, for tests of what is written from stored rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.datasets import Dataset
from benchmark.experiments import Experiment
from benchmark.record import Record
from benchmark.store import Store

KS = (5, 10)
METRICS = ("precision", "recall", "ndcg", "ndcg_hits")
IDENTITY = {
    "dataset": "toy",
    "data_fingerprint": "0123456789abcdef",
    "split_method": "per_user",
    "split_seed": "7",
    "modalities": "visual+textual",
    "feature_scaling": "l2_row",
    "preset": "quick",
    "evaluation_protocol": "corrected",
    "vary": "both",
    "matmul_precision": "highest",
    "ks": "5 10",
}


def run(
    variant: str, value: float, seed: int = 0, model: str | None = None, **others: Any
) -> dict[str, Any]:
    """A row of ``runs.csv``: of a tuned model, with one value for all metrics but ``others``."""
    row = {
        "run_id": f"{variant.replace('-', '')}-{seed}", "status": "ok", "reason": "",
        "variant": variant, "model": model or variant.lower(), "tuned_as": "", "seed": seed,
        "study": variant.lower(), "params": json.dumps({"epochs": 40, "patience": 10}),
        "epochs": 12,
    }  # fmt: skip
    metrics = {f"{metric}@{k}": value for metric in METRICS for k in KS}
    return {**IDENTITY, **row, **metrics, **others}


def closed(variant: str, status: str, reason: str) -> dict[str, Any]:
    """A row of a model that gave no result."""
    run_id = variant.replace("/", "")
    row = {"run_id": run_id, "variant": variant, "model": variant.lower(), "tuned_as": ""}
    return {**IDENTITY, **row, "status": status, "reason": reason, "study": "", "seed": None}


def small_record(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    experiments: Sequence[Experiment] = (),
    trials: Mapping[str, int] | None = None,
    dataset: Dataset | None = None,
) -> Record:
    """A record whose store holds these runs, and of every study so many trials."""
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(list(rows)).to_csv(folder / "runs.csv", index=False)
    if trials:
        ids = [f"{study}-{number}" for study in trials for number in range(trials[study])]
        table = pd.DataFrame({"run_id": ids, "variant": "any", "model": "any"})
        table.to_csv(folder / "trials.csv", index=False)
    data = dataset if dataset is not None else small_dataset()
    return Record(Store(folder), data, experiments, KS, IDENTITY)


def small_dataset(**given: Any) -> Dataset:
    """Four users, five items and eight pairs, of which one came twice."""
    visual = np.ones((5, 3), dtype=np.float32)
    visual[2] = 0  # lacks the modality
    visual[4] = np.nan
    about: dict[str, Any] = {
        "name": "toy",
        "source": "made up",
        "users": np.array([0, 0, 1, 1, 2, 2, 3, 3, 3]),
        "items": np.array([0, 1, 1, 2, 2, 3, 3, 4, 4]),
        "num_users": 4,
        "num_items": 5,
        "features": {"visual": visual, "textual": np.ones((5, 1200))},
    }
    return Dataset.from_pairs(**{**about, **given})


def table_lines(text: str, start: str) -> list[list[str]]:
    """Cells of the lines of Markdown or LaTeX tables whose first cell is ``start``."""
    found = []
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        else:
            cells = [cell.strip() for cell in line.removesuffix(r"\\").split(" & ")]
        if cells[0] == start and len(cells) > 1:
            found.append(cells[1:])
    return found
