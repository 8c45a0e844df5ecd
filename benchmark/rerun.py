"""Repeat stored runs: ``python -m benchmark.rerun d972b4e3d228-0``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark import options
from benchmark.command import called, discover_models
from benchmark.options import Parser

if TYPE_CHECKING:
    import pandas as pd

EPILOG = """\
examples:
  python -m benchmark.rerun d972b4e3d228-0
      a run of results/*/runs.csv, whatever its data set
  python -m benchmark.rerun 2f0c7a9be114-3 2f0c7a9be114-4 --data-root data
      two runs on data of your own

Every table names the runs of its cells: in report.html as links, in table3.csv, table4.csv,
figure3.csv, protocol.csv and statistics.csv in the column "runs". A run is trained with its stored
hyper-parameters and seed, on the same split, and tested, with --deterministic if it was; nothing is
tuned or stored. Beside each metric stands the 95 % bootstrap interval over users of the stored run.
On the same machine and versions the numbers are the same to the last digit; elsewhere they are
rounded otherwise, which training amplifies. The exit code is 1 if a metric is outside its interval.
"""


def parser() -> Parser:
    """The options of the command."""
    command = Parser(
        prog="python -m benchmark.rerun",
        description="Train and test stored runs once more, and compare.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = command.add_argument_group("what to repeat")
    what.add_argument("runs", nargs="+", metavar="RUN", help="run_id of a row of runs.csv")
    options.add_plugins(what)
    where = command.add_argument_group("where")
    options.add_device(where)
    options.add_places(where)
    return command


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; the exit code is 1 if a metric is outside its interval."""
    # imported here so that --help and a mistyped option answer at once, without loading torch
    from rich.console import Console

    from benchmark.data import table, wide_console
    from benchmark.determinism import demand_determinism
    from benchmark.jobs import settle_arithmetic
    from benchmark.machine import DETERMINISTIC, choose_device
    from benchmark.progress import Reporter
    from benchmark.repetition import compared, found, repeated, verdict

    discover_models(arguments.plugins)
    device = choose_device(arguments.device)
    stored = [found(arguments.results_root, run_id) for run_id in arguments.runs]
    if any(row["device"].endswith(DETERMINISTIC) for _, row in stored):
        demand_determinism()
    settle_arithmetic()
    wide = wide_console()
    outside = False
    with Reporter(len(stored), Console(stderr=True)) as reporter:
        for store, row in stored:
            again = repeated(row, arguments.data_root, device, reporter)
            frame = compared(store, row, again)
            outside |= not frame["inside"].all()
            title = f"{row['variant']} on {row['dataset']}, run {row['run_id']}"
            wide.print(table(title, frame.columns.tolist(), shown(frame)))
            wide.print(verdict(row, again, frame))
    return int(outside)


def shown(frame: pd.DataFrame) -> list[list[str]]:
    """A comparison as text: numbers to four decimals."""
    inside = frame["inside"].map({True: "yes", False: "NO"})
    text = frame.assign(inside=inside).map(lambda v: v if isinstance(v, str) else f"{v:.4f}")
    return [[str(value) for value in row] for row in text.itertuples(index=False)]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code, see :func:`benchmark.command.called`."""
    return called(run, parser(), argv, "stopped; nothing is stored")


if __name__ == "__main__":
    sys.exit(main())
