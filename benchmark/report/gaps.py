"""What has no run yet, and the command that would run it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from benchmark.experiments import PAPER_MODELS, Experiment, Variant, experiments
from benchmark.outputs.tables import depending_on_seed
from benchmark.planted_intents import planted, sizes
from benchmark.presets import EXPERIMENTS, ON_REQUEST, PRESETS
from benchmark.record import Record
from benchmark.run import parser
from benchmark.splits import SHIPPED


@dataclass(frozen=True)
class Gap:
    """Variants of one experiment that lack a run or some of their seeds.

    Args:
        name: Of the experiment.
        title: What it shows.
        asked: Whether the last call of the program asked for it.
        missing: Labels of the variants.
        cells: Number of the experiment's cells.
        command: What would run them; finished runs are not repeated.
    """

    name: str
    title: str
    asked: bool
    missing: list[str]
    cells: int
    command: str


def gaps(record: Record) -> list[Gap]:
    """Every experiment that these data allow and that is not complete, those asked for first."""
    models = dict.fromkeys([*PAPER_MODELS, *record.overall["model"]])
    allowed = experiments(models, record.modalities, sizes(planted(record.dataset)))
    possible = {each.name: each for each in allowed}
    if record.identity["evaluation_protocol"] != "corrected":
        possible.pop("protocol")
    found = []
    for name in (*EXPERIMENTS, *ON_REQUEST):
        experiment = record.experiment(name)
        chosen = experiment or possible.get(name)
        if chosen is not None and (variants := unfinished(record, chosen)):
            missing = list(dict.fromkeys(variant.label for variant in variants))
            line = command(record, dict.fromkeys(variant.model for variant in variants), name)
            asked, cells = experiment is not None, len(chosen.cells)
            found.append(Gap(name, chosen.title, asked, missing, cells, line))
    return sorted(found, key=lambda gap: not gap.asked)


def seeds(runs: pd.DataFrame) -> int:
    """The largest number of seeds that one of the variants was run with; 0 without a run."""
    done = runs[runs["status"] == "ok"]
    return max(done.groupby("variant")["seed"].nunique(), default=0)


def unfinished(record: Record, experiment: Experiment) -> list[Variant]:
    """Variants without a run, or with fewer seeds than Table 2 although a seed matters to them.

    A variant that failed or was skipped is not among them: it was run, and said why it ended.
    """
    most, found, by_label = seeds(record.overall), [], dict(iter(record.runs.groupby("variant")))
    random = depending_on_seed(record.runs)
    for _, variant in experiment.cells:
        runs = by_label.get(variant.label, record.runs[:0])
        if runs.empty or (variant.label in random and runs["seed"].nunique() < most):
            found.append(variant)
    return found


def command(record: Record, models: Iterable[str], experiment: str) -> str:
    """The call of the program, with every option that is not at its default.

    Where the data, plug-ins and studies were found is not part of the record.
    """
    identity, preset = record.identity, record.identity["preset"]
    modalities = record.modalities
    all_of_them = not modalities or set(modalities) == set(record.dataset.features)
    shipped = identity["split_seed"] == SHIPPED
    defaults = vars(parser().parse_args([])) | {"seeds": PRESETS[preset].seeds}
    options = {
        "preset": preset,
        "seeds": seeds(record.overall) or defaults["seeds"],
        "vary": identity["vary"],
        "protocol": identity["evaluation_protocol"],
        "split_method": identity["split_method"],
        "split_seed": defaults["split_seed"] if shipped else int(identity["split_seed"]),
        "modalities": None if all_of_them else modalities,
        "feature_scaling": identity["feature_scaling"],
        "matmul_precision": identity["matmul_precision"],
        **search(record),
        "ks": list(record.ks),
        "results_root": record.folder.parent,
    }
    words = ["python", "-m", "benchmark.run", "--models", *models]
    words += ["--experiments", experiment, "--dataset", identity["dataset"]]
    for option, value in options.items():
        if value != defaults[option]:
            values = value if isinstance(value, list) else [value]
            words += [f"--{option.replace('_', '-')}", *map(str, values)]
    return shlex.join(words)


def search(record: Record) -> dict[str, str | int]:
    """Options of the studies that found what the runs were trained with; grids need none."""
    trials = record.trials
    if set(trials.get("sampler", ())) != {"tpe"}:
        return {}
    options: dict[str, str | int] = {"sampler": "tpe"}
    if trials["planned"].nunique() == 1:  # else each model was given as many as its grid has
        options["trials"] = int(trials["planned"].iloc[0])
    return options
