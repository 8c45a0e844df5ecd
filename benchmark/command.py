"""What the commands that run models share: from options to tasks, from mistakes to exit codes.

Torch is loaded within functions, so that --help and a mistyped option answer at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.interrupts import Terminated, terminable
from benchmark.presets import EXPERIMENTS, PRESETS
from models.errors import UsageError

if TYPE_CHECKING:
    from benchmark.task import Task


def discover_models(plugins: Path | None) -> list[Path]:
    """Make all recommenders known, the user's own included.

    Returns:
        The folders they are in.
    """
    from models.registry import discover

    root = Path(__file__).parent.parent
    folders = [root / "models", root / "baselines", *([] if plugins is None else [plugins])]
    for folder in folders:
        discover(folder)
    return folders


def prepared(arguments: argparse.Namespace) -> list[Task]:
    """A task for each data set, all of them before any training, so that no mistake shows late.

    Raises:
        UsageError: For a mistake in the call or in the data.
    """
    import torch

    from benchmark.datasets import load
    from benchmark.determinism import demand_determinism
    from benchmark.experiments import default_models
    from benchmark.machine import choose_device
    from benchmark.storages import is_begun, opened
    from benchmark.task import Settings, prepare
    from models.registry import model_class

    if arguments.trials is not None and arguments.sampler == "grid":
        raise UsageError("--trials is for --sampler tpe: a grid has as many trials as cells")
    if arguments.storage is not None and is_begun(arguments.storage):
        with opened(arguments.storage):
            pass
    models = default_models() if arguments.all else list(dict.fromkeys(arguments.models))
    for name in models:
        model_class(name)
    if arguments.deterministic:
        demand_determinism()
    torch.set_float32_matmul_precision(arguments.matmul_precision)
    preset = PRESETS[arguments.preset]
    settings = Settings(
        models=models,
        experiments=arguments.experiments or (EXPERIMENTS if arguments.all else ("table2",)),
        preset=preset,
        seeds=preset.seeds if arguments.seeds is None else arguments.seeds,
        vary=arguments.vary,
        protocol=arguments.protocol,
        device=choose_device(arguments.device),
        modalities=arguments.modalities,
        feature_scaling=arguments.feature_scaling,
        split_method=arguments.split_method,
        split_seed=arguments.split_seed,
        matmul_precision=arguments.matmul_precision,
        ks=sorted(set(arguments.ks)),
        results_root=arguments.results_root,
        storage=arguments.storage,
        sampler=arguments.sampler,
        trials=arguments.trials,
    )
    names = dict.fromkeys(arguments.datasets)
    return [prepare(load(name, arguments.data_root), settings) for name in names]


def one_line(said: object) -> str:
    """What an error says; it may quote a file, whose control characters a terminal would obey."""
    words = " ".join(str(said).split())
    return "".join(sign if sign.isprintable() else "?" for sign in words)


def called(
    run: Callable[[argparse.Namespace], int],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    stopped: str = "stopped; the same command goes on with what is left",
) -> int:
    """Do what a command line asks.

    Returns:
        The exit code: 2 for a mistake in it; 130 after Ctrl-C and 143 after SIGTERM, with
        ``stopped`` said.
    """
    try:
        with terminable():
            return run(parser.parse_args(argv))
    except UsageError as error:
        print("error:", one_line(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(stopped, file=sys.stderr)
        return 143 if isinstance(interrupt, Terminated) else 130
