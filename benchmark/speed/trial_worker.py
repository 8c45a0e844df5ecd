"""A process that runs trials: ``python -m benchmark.speed.trial_worker FOLDER DEVICE``.

It loads the data in FOLDER, says ``ready``, and for every line ``NAME TRIALS`` that it reads takes
part in the study of that name until it is complete, and says ``done``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmark.command import discover_models
from benchmark.datasets.converted import read_converted
from benchmark.experiments import Variant
from benchmark.jobs import settle_arithmetic
from benchmark.machine import choose_device
from benchmark.presets import FEATURE_SCALING, MATMUL_PRECISION, SPLIT_METHODS, Preset
from benchmark.progress import Reporter
from benchmark.store import Store
from benchmark.task import Settings, prepare

MODEL, EPOCHS = "huign", 10

BUDGET = Preset(
    "speed", EPOCHS, patience=EPOCHS, seeds=1, steps=20,
    grid={"learning_rate": (1e-3, 1e-2), "reg": (1e-4, 1e-2)},
)  # fmt: skip
"""Trials of one length, so that all forms do the same work: too short to be stopped or pruned."""


def settings(folder: Path, device: str) -> Settings:
    """As :mod:`benchmark.tune` asks for it, with a sampler that proposes any number of trials."""
    return Settings(
        models=[MODEL],
        experiments=["table2"],
        preset=BUDGET,
        seeds=1,
        vary="both",
        protocol="corrected",
        device=choose_device(device),
        modalities=None,
        feature_scaling=FEATURE_SCALING[0],
        split_method=SPLIT_METHODS[0],
        split_seed=0,
        ks=[1],
        matmul_precision=MATMUL_PRECISION[0],
        results_root=folder / "studies",
        sampler="tpe",
    )


def main(folder: Path, device: str) -> None:
    """See the head of this file."""
    discover_models(None)
    settle_arithmetic()
    task = prepare(read_converted(folder / "data"), settings(folder, device))
    tuner = task.tuner((), Reporter(0, Console(quiet=True)))
    print("ready", flush=True)
    for line in sys.stdin:
        name, trials = line.split()
        store = Store(folder / "studies" / name)
        replace(tuner, store=store, trials=int(trials)).tune(Variant(MODEL, MODEL))
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
