"""The main command: ``python -m benchmark.run --all --dataset movielens``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from benchmark import options
from benchmark.command import called, discover_models, prepared
from benchmark.options import Parser, at_least
from benchmark.presets import EXPERIMENTS, ON_REQUEST, VARY
from models.errors import UsageError

EPILOG = """\
examples:
  python -m benchmark.run --all --dataset movielens
      every model on MovieLens: tuned, trained, tested, as tables and figures in results/
  python -m benchmark.run --models huign --experiments table3 --dataset movielens
      one table only
  python -m benchmark.run --all --experiments missing --dataset movielens
      every model that takes item features, where a share of the items lacks a modality
  python -m benchmark.run --models huign --experiments hierarchy --dataset synthetic-small \\
      --feature-scaling zscore_col
      does HUIGN find intents that were planted, and is the hierarchy of any use
  python -m benchmark.run --models huign vbpr bpr_mf --datasets movielens-1m tiktok --data-root data
      three models on two data sets of your own (one folder each: <name>.inter, *_feat.npy)
  python -m benchmark.run --all --dataset movielens --preset paper --device cuda
      the paper's grid, epochs, patience and five seeds, on a GPU
  python -m benchmark.run --list
      what there is to choose from

Finished runs are stored in results/<dataset>/runs.csv and never repeated: after Ctrl-C or a
crash the same command goes on where it stopped.
"""


def parser() -> Parser:
    """The options of the command."""
    command = Parser(
        prog="python -m benchmark.run",
        description="Tune, train and test recommenders under one protocol; write tables and "
        "figures from the stored results.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = command.add_argument_group("what to run")
    which = what.add_mutually_exclusive_group()
    which.add_argument(
        "--all", action="store_true",
        help="every model but released and new-item forms, and every table and figure but "
        "those of --experiments that are on request",
    )  # fmt: skip
    options.add_models(which)
    which.add_argument("--list", action="store_true", help="print data sets and models, then stop")
    options.add_data(what)
    what.add_argument(
        "--experiments", nargs="+", choices=(*EXPERIMENTS, *ON_REQUEST), metavar="NAME",
        help="table2: overall performance; table3: structure of HUIGN's intents; table4: its "
        "modalities; figure3: its losses and the density of the item graph; figure4: the items by "
        "their intents; protocol: what each habit of the released code is worth; "
        "on request: ablation: HUIGN without its parts and with other choices; "
        "missing: items that lost a modality, and whether models use it at all; "
        "hierarchy: whether HUIGN finds planted intents, on synthetic data "
        "(default: all of them but those on request with --all; table2 with --models)",
    )  # fmt: skip
    budget = command.add_argument_group("how much work")
    options.add_budget(budget)
    budget.add_argument(
        "--seeds", type=partial(at_least, 1), metavar="N",
        help="trainings per tuned model (default: the preset's)",
    )  # fmt: skip
    budget.add_argument(
        "--vary", choices=VARY, default="both",
        help="what the seeds are of; the seed of the other stays 0 (default: both)",
    )  # fmt: skip
    budget.add_argument(
        "--jobs", type=partial(at_least, 1), metavar="N",
        help="models trained at the same time, each in a process of its own; results do not "
        "depend on it (default: as many as there are cores, at most 8; 1 on a GPU)",
    )  # fmt: skip
    options.add_studies(command.add_argument_group("studies"))
    protocol = command.add_argument_group("protocol")
    options.add_protocol(protocol)
    protocol.add_argument(
        "--ks", type=partial(at_least, 1), nargs="+", default=[1, 5, 10, 20], metavar="K",
        help="cut-offs of the metrics; with others, runs are others and models are trained again "
        "(default: 1 5 10 20)",
    )  # fmt: skip
    options.add_places(command.add_argument_group("where"))
    return command


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; the exit code is 1 if a model failed."""
    # imported here so that --help and a mistyped option answer at once, without loading torch
    from rich.console import Console

    from benchmark.datasets import MADE_UP, available
    from benchmark.jobs import usual_jobs
    from benchmark.suite import run_suite
    from models.registry import label, registered

    folders = discover_models(arguments.plugins)
    if arguments.list:
        print("data sets:", ", ".join([*available(arguments.data_root), *MADE_UP]))
        print("models:   ", ", ".join(f"{name} ({label(name)})" for name in sorted(registered())))
        print("           recbole:NAME, RecBole's general recommenders, such as recbole:BPR")
        return 0
    if not arguments.all and not arguments.models:
        raise UsageError("nothing to run: give --all, or --models with names from --list")
    console = Console(stderr=True)
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    failures = []
    for task in prepared(arguments):
        for key, value in task.dataset.describe().items():
            say(f"{key:>20}  {value}")
        for line in task.left_out:
            say(f"{'left out':>20}  {line}")
        jobs = arguments.jobs or usual_jobs(task.settings.device)
        failures += run_suite(task, console, jobs, folders)
        say(f"results are in {task.store.folder}")
    return 1 if failures else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code, see :func:`benchmark.command.called`."""
    return called(run, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
