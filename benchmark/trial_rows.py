"""Trials as rows of ``trials.csv``, and back where the study has lost them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmark.experiments import Variant
from benchmark.search import Search


def trial_row(variant: Variant, search: Search, cell: int, trial: FrozenTrial) -> dict[str, Any]:
    """One row of ``trials.csv``; ``value`` is the best validation recall@10 before the end."""
    scores, told = trial.intermediate_values, trial.user_attrs
    complete = trial.state == TrialState.COMPLETE
    states = {TrialState.FAIL: "diverged" if "reason" in told else "failed"}
    return {
        "run_id": f"{search.study}-{cell}",
        "variant": variant.label,
        "model": variant.model,
        "state": states.get(trial.state, trial.state.name.lower()),
        **trial.params,
        "value": trial.value if complete else max(scores.values(), default=None),
        "epochs": told.get("epochs", max(scores, default=None)),
        "seconds": told.get("seconds", trial.duration and trial.duration.total_seconds()),
        "reason": told.get("reason", told.get("crash")),
        "sampler": search.sampler,
        "planned": len(search.cells),
        "space": json.dumps(search.ranges()),
    }


def trial_of(row: Mapping[str, Any], search: Search, cell: int) -> FrozenTrial:
    """The trial that a row tells of; of its scores only the one that :func:`trial_row` kept."""
    told: dict[str, Any] = {"cell": cell}
    if diverged := row["state"] == "diverged":
        told["reason"] = row["reason"]
    if not math.isnan(row["seconds"]):
        told["seconds"] = row["seconds"]
    if not math.isnan(row["epochs"]):
        told["epochs"] = int(row["epochs"])
    scored = "epochs" in told and not math.isnan(row["value"])
    return create_trial(
        state=TrialState.FAIL if diverged else TrialState[row["state"].upper()],
        value=row["value"] if row["state"] == "complete" else None,
        params=search.params_of(row),
        distributions=dict(search.space),
        user_attrs=told,
        intermediate_values={told["epochs"]: row["value"]} if scored else {},
    )
