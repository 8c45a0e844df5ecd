"""Take stored HUIGNs apart: ``python -m benchmark.dissect d972b4e3d228-0``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from benchmark import options
from benchmark.command import called, discover_models
from benchmark.options import Parser

EPILOG = """\
examples:
  python -m benchmark.dissect d972b4e3d228-0 d972b4e3d228-1
      HUIGN with two seeds, runs of results/*/runs.csv
  python -m benchmark.dissect d972b4e3d228-0 --out parts.csv
      into a file as well

A HUIGN scores an item by ids and by intents. On the validation data of the run (the test data are
left alone) this says what recall@10 each of them has by itself ("ids", "intents"), and what both
have if everybody's preferences for intents are replaced by their mean ("mean_intents"): if it does
not fall, intents are an offset of each item. "spread" is how much a user's scores vary by intents,
compared with by ids; "popularity" the correlation of that offset with the logarithm of the items'
popularity; "cosine" the mean cosine between the inputs of two items' intents: near 1, these hardly
tell items apart. A model that is not kept in results/<dataset>/models/ yet is trained first.
"""


def parser() -> Parser:
    """The options of the command."""
    command = Parser(
        prog="python -m benchmark.dissect",
        description="Take the scores of stored HUIGNs apart into ids and intents.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = command.add_argument_group("what to take apart")
    what.add_argument("runs", nargs="+", metavar="RUN", help="run_id of a row of runs.csv")
    what.add_argument("--out", type=Path, metavar="FILE", help="a .csv file, beside what is shown")
    options.add_plugins(what)
    where = command.add_argument_group("where")
    options.add_device(where)
    options.add_places(where)
    return command


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks."""
    # imported here so that --help and a mistyped option answer at once, without loading torch
    import pandas as pd
    import torch
    from rich.console import Console

    from benchmark.data import table, wide_console
    from benchmark.dissection import check_intents, dissected
    from benchmark.evaluation import validation_score
    from benchmark.jobs import settle_arithmetic
    from benchmark.machine import choose_device
    from benchmark.progress import Reporter
    from benchmark.repetition import data_of, found
    from benchmark.stored_models import model_of, task_of, trained_on, variant_of
    from benchmark.writing import write_atomic
    from models.huign import HUIGN

    discover_models(arguments.plugins)
    device = choose_device(arguments.device)
    stored = [found(arguments.results_root, run_id)[1] for run_id in arguments.runs]
    for row in stored:
        check_intents(row)
    settle_arithmetic()
    rows = []
    with Reporter(len(stored), Console(stderr=True)) as reporter:
        for row in stored:
            task = task_of(row, data_of(row, arguments.data_root), arguments.results_root, device)
            torch.set_float32_matmul_precision(task.settings.matmul_precision)
            tuner = task.tuner((), reporter)
            model = cast(HUIGN, model_of(row, task, reporter))
            train = trained_on(variant_of(row), task)
            parts = dissected(model, train, validation_score(tuner.validation))
            told = {name: row[name] for name in ("run_id", "dataset", "variant", "seed")}
            rows.append({**told, **parts})
            reporter.finish()
    frame = pd.DataFrame(rows)
    wide = wide_console()
    cells = frame.to_numpy().tolist()
    wide.print(table("Validation recall@10 of parts", frame.columns.tolist(), cells))
    if arguments.out is not None:
        text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_atomic(arguments.out, text)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code, see :func:`benchmark.command.called`."""
    return called(run, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
