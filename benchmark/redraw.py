"""Tables and figures once more, from stored rows alone: ``python -m benchmark.redraw``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import options
from benchmark.command import called, discover_models
from benchmark.options import Parser
from models.errors import UsageError

EPILOG = """\
examples:
  python -m benchmark.redraw --data-root data
      every data set in results/
  python -m benchmark.redraw results/movielens-100k
      one of them
  python -m benchmark.redraw --check
      change nothing, and say which tables are not what the rows give

Nothing is trained, whatever has become of the code since. What is drawn is what the last call of
benchmark.run on the folder asked for, which manifest.json holds, and what earlier ones with the
same settings drew; tables of another preset, say, stay as they are. Where the data are not at hand,
or have changed, what needs them is left as it is: Table 1, cold start, Figure 4 and the intents,
planted intents, the comparison with the paper, the report, the manifest. Of these --check compares
Table 1, cold start, planted intents and the comparison with the paper, where it has the data.
"""


def parser() -> Parser:
    """The options of the command."""
    command = Parser(
        prog="python -m benchmark.redraw",
        description="Write tables and figures again, from stored rows.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = command.add_argument_group("what to draw")
    what.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER",
        help="results of a data set (default: all in the results root)",
    )  # fmt: skip
    what.add_argument(
        "--check", action="store_true",
        help="compare instead of writing; the exit code is 1 if a table differs",
    )  # fmt: skip
    options.add_plugins(what)
    options.add_places(command.add_argument_group("where"))
    return command


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; the exit code is 1 if a table differs."""
    # imported here so that --help and a mistyped option answer at once, without loading torch
    from benchmark.redrawing import differences, redraw

    discover_models(arguments.plugins)
    root = arguments.results_root
    folders = arguments.folders or sorted(path.parent for path in root.glob("*/manifest.json"))
    if not folders:
        raise UsageError(f"'{root}' holds no results: name another folder with --results-root")
    different = False
    for folder in folders:
        if arguments.check:
            found = differences(folder, arguments.data_root)
            print(f"{folder}: {', '.join(found) or 'nothing'} differs from what the rows give")
            different |= bool(found)
        else:
            print(f"{folder}: {redraw(folder, arguments.data_root)}")
    return int(different)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code, see :func:`benchmark.command.called`."""
    return called(run, parser(), argv, "stopped")


if __name__ == "__main__":
    sys.exit(main())
