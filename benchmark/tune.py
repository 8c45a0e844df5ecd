"""Studies on their own: ``python -m benchmark.tune --worker`` and ``--status``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark import options
from benchmark.command import called, discover_models, prepared
from benchmark.protocols import PROTOCOLS, deciding
from models.errors import UsageError

if TYPE_CHECKING:
    from benchmark.experiments import Variant
    from benchmark.tuning import Tuner

STATES = ("complete", "running", "pruned", "diverged")

EPILOG = """\
examples:
  python -m benchmark.tune --worker --models huign vbpr --dataset movielens --storage journal:/shared/studies.log
      take part in the studies of two models; run it as often, and on as many machines, as you like
  python -m benchmark.tune --status --models huign vbpr --dataset movielens --storage journal:/shared/studies.log
      how far these studies are
  python -m benchmark.run --models huign vbpr --dataset movielens --storage journal:/shared/studies.log
      takes part as well, and then trains and tests with what was found
  python -m benchmark.tune --worker --all --dataset tiktok --preset paper --device cuda:1 --storage postgresql://me:secret@server/studies
      on the second GPU of a machine, with a data base server (pip install 'psycopg[binary]')

A study belongs to its data, preset, protocol and code: give every process the same options. A trial
whose process dies, on this machine or another, is run again by those that are left. With several
processes, which trials are pruned depends on what was finished first; the best trial rarely does.
"""  # noqa: E501


def parser() -> options.Parser:
    """The options of the command."""
    command = options.Parser(
        prog="python -m benchmark.tune",
        description="Tune hyper-parameters with several processes or machines, or see how far "
        "that is; training with several seeds and testing is up to benchmark.run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = command.add_argument_group("what to do")
    mode = what.add_mutually_exclusive_group(required=True)
    mode.add_argument(
        "--worker", action="store_true", help="run trials until every study is complete"
    )
    mode.add_argument(
        "--status", action="store_true", help="print how far every study is, and its best trial"
    )
    which = what.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--all",
        action="store_true",
        help="every model but released and new-item forms",
    )
    options.add_models(which)
    options.add_data(what)
    # studies are the same whatever is trained and tested with what they found
    command.set_defaults(experiments=["table2"], seeds=1, vary="both", ks=[1])
    options.add_budget(command.add_argument_group("how much work"))
    options.add_studies(command.add_argument_group("studies"))
    options.add_protocol(command.add_argument_group("protocol"))
    options.add_places(command.add_argument_group("where"))
    return command


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; the exit code is 1 if a study came to nothing."""
    # imported here so that --help and a mistyped option answer at once, without loading torch
    from rich.console import Console

    from benchmark.capacity import needs, refusals
    from benchmark.jobs import settle_arithmetic
    from benchmark.progress import Reporter
    from benchmark.search import grid_size
    from models.registry import model_class

    discover_models(arguments.plugins)
    tasks = prepared(arguments)
    settle_arithmetic()
    failed = 0
    for task in tasks:
        table2, features = task.experiments[0], list(task.parts.train.features)
        every = [(variant, model_class(variant.model)) for _, variant in table2.cells]
        tuned = [
            (v, cls) for v, cls in every if cls.search_space and not cls.missing_modality(features)
        ]
        variants = [variant for variant, _ in tuned]
        trials = sum(grid_size(cls, task.settings.preset, task.settings.trials) for _, cls in tuned)
        reporter = Reporter(trials, Console(stderr=True))
        tuner = task.tuner(deciding(PROTOCOLS[task.settings.protocol]), reporter)
        if arguments.status:
            print(status(task.dataset.name, tuner, variants))
        else:
            refused = refusals(task, needs(task, task.settings.models))
            with reporter:
                for variant in (each for each in variants if each.model in refused):
                    reporter.line(f"{variant.label} skipped: {refused[variant.model]}", style="red")
                failed += work(tuner, [each for each in variants if each.model not in refused])
    return 1 if failed else 0


def work(tuner: Tuner, variants: Sequence[Variant]) -> int:
    """Take part in the studies, one after the other.

    Returns:
        The number of studies that came to nothing, or that a crash ended here; models that refuse
        the data are left out.
    """
    from benchmark.interrupts import raise_interrupt
    from benchmark.machine import explained
    from benchmark.writing import StoreError

    failed = 0
    for variant in variants:
        try:
            tuned = tuner.tune(variant)
        except StoreError:
            raise
        except UsageError as error:
            tuner.reporter.line(f"{variant.label} skipped: {error}", style="red")
        except Exception as error:
            raise_interrupt(error)
            failed += 1
            reason = explained(error, tuner.train.device)
            tuner.reporter.line(f"{variant.label}: {reason}", style="red")
        else:
            best = ", ".join(f"{name} {value}" for name, value in tuned.params.items())
            tuner.reporter.line(f"{variant.label}: best with {best}")
    return failed


def status(dataset: str, tuner: Tuner, variants: Sequence[Variant]) -> str:
    """A table of the studies on one data set: a row per model, how many trials are in each state.

    ``waiting`` are the trials that nobody runs yet; ``best`` is validation recall@10.
    """
    import pandas as pd

    from benchmark.storages import described, is_begun, opened
    from benchmark.studies import Study
    from benchmark.trial_rows import trial_row
    from benchmark.tuning import study_name

    rows = []
    for variant in variants:
        search = tuner.search(variant)
        if search is None:
            continue
        known: dict[int, dict[str, Any]] = tuner.recorded(search)
        if is_begun(tuner.where):
            with opened(tuner.where) as storage:
                study = Study(storage, study_name(variant, search), search.cells)
                for cell, trial in study.trials().items():
                    known.setdefault(cell, trial_row(variant, search, cell, trial))
        states = [row["state"] for row in known.values()]
        complete = [row for _, row in sorted(known.items()) if row["state"] == "complete"]
        best = max(complete, key=lambda row: float(row["value"]), default=None)
        rows.append(
            {
                "model": variant.label,
                "trials": len(search.cells),
                **{state: states.count(state) for state in STATES},
                "waiting": len(search.cells) - len(known),
                "best": "" if best is None else f"{best['value']:.4f}",
                "hyper-parameters": ", ".join(f"{k} {best[k]}" for k in search.space)
                if best
                else "",
            }
        )
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True) if rows else ""
    return f"{dataset}, studies in {described(tuner.where)[0]}\n\n{table}\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code, see :func:`benchmark.command.called`."""
    return called(run, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
