"""Use a result: ``python -m benchmark.recommend --dataset movielens --model huign --users all``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmark import options
from benchmark.command import called, discover_models
from benchmark.options import Parser, at_least
from models.errors import UsageError

EXCLUDE = ("seen", "known", "nothing")

EPILOG = """\
examples:
  python -m benchmark.recommend --dataset movielens --model huign --users 196 186
      ten films for each of two users, as a table
  python -m benchmark.recommend --dataset movielens --model huign --users all -k 20 --out lists.csv
      twenty for everybody, in a file: user, rank, item, title, score
  python -m benchmark.recommend --dataset my-videos --model vbpr --users @some-users.txt --out lists.parquet
      for the users in a file, one on a line

The model is that of a stored run of benchmark.run: of the newest configuration of Table 2 the seed
with the best validation recall, or the one that --run names. It has learned from the training
interactions alone, so that its test metrics say what its lists are worth. It is kept in
results/<dataset>/models/<run>/ (model.safetensors, model.json); if it is not there yet, it is
trained with the stored hyper-parameters first, and its test metrics are compared with the stored.
Users and items have the names that the data files give them. In CSV, a text that a spreadsheet
would take for a formula (=, +, -, @ ...) gets an apostrophe in front; Parquet keeps it as it is.
"""  # noqa: E501


def parser() -> Parser:
    """The options of the command."""
    command = Parser(
        prog="python -m benchmark.recommend",
        description="Recommend items to users with a model that was tuned and tested by "
        "benchmark.run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = command.add_argument_group("what to recommend")
    what.add_argument(
        "--dataset", default="movielens", metavar="NAME",
        help="the data set (default: movielens, the best MovieLens at hand)",
    )  # fmt: skip
    which = what.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="NAME", help="the model, such as huign")
    which.add_argument("--run", metavar="ID", help="a stored run, by its run_id in runs.csv")
    what.add_argument(
        "--users", nargs="+", required=True, metavar="USER",
        help="all, or users by their names in the data, or @FILE with one name on a line",
    )  # fmt: skip
    what.add_argument(
        "-k", type=partial(at_least, 1), default=10, metavar="N",
        help="items per user (default: 10)",
    )  # fmt: skip
    what.add_argument(
        "--exclude", choices=EXCLUDE, default="seen",
        help="what not to recommend: seen: all that the user has in the data; known: training and "
        "validation items, which gives the lists that were tested; nothing (default: seen)",
    )  # fmt: skip
    what.add_argument(
        "--out", type=Path, metavar="FILE",
        help="a .csv or .parquet file (default: print a table)",
    )  # fmt: skip
    options.add_plugins(what)
    where = command.add_argument_group("where")
    options.add_device(where)
    options.add_places(where)
    return command


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks."""
    check_out(arguments.out)
    # imported here so that --help and a mistyped option answer at once, without loading torch
    import torch
    from rich.console import Console
    from rich.progress import track

    from benchmark.data import table, wide_console
    from benchmark.datasets import load
    from benchmark.jobs import settle_arithmetic
    from benchmark.machine import choose_device
    from benchmark.progress import Reporter
    from benchmark.recommendations import batched, excluded, recommended, user_ids, write
    from benchmark.stored_models import chosen, model_of, task_of
    from models.registry import model_class

    discover_models(arguments.plugins)
    if arguments.model is not None:
        model_class(arguments.model)
    dataset, device = load(arguments.dataset, arguments.data_root), choose_device(arguments.device)
    if arguments.k > dataset.num_items:
        raise UsageError(f"-k {arguments.k}: '{dataset.name}' has {dataset.num_items} items only")
    users = user_ids(dataset, arguments.users).to(device)
    row = chosen(arguments.results_root, dataset, arguments.model, arguments.run)
    task = task_of(row, dataset, arguments.results_root, device)
    torch.set_float32_matmul_precision(task.settings.matmul_precision)
    settle_arithmetic()
    console = Console(stderr=True)
    with Reporter(1, console) as reporter:
        model = model_of(row, task, reporter)
        reporter.finish()
    exclude = excluded(dataset, task.parts, arguments.exclude)
    batches = track(batched(users), "ranking", console=console, transient=True)
    lists = recommended(model, dataset, batches, arguments.k, exclude)
    if arguments.out is not None:
        write(lists, arguments.out)
        print(f"wrote {len(lists)} rows for {len(users)} users to '{arguments.out}'")
    else:
        rows = [[shown(value) for value in each] for each in lists.itertuples(index=False)]
        wide = wide_console()
        wide.print(table(f"{row['variant']} on {dataset.name}", list(lists.columns), rows))
    return 0


def check_out(path: Path | None) -> None:
    """Refuse a file that could not be written, before any work is done."""
    if path is None:
        return
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--out '{path}' needs to end with .csv or .parquet")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise UsageError(
            f"--out '{path}': Parquet needs pyarrow, which is not installed; run 'pip install "
            f"pyarrow', or choose a .csv file"
        )
    if path.is_dir():
        raise UsageError(f"--out '{path}' is a folder; name a file in it")


def shown(value: str | float) -> str | float:
    """A cell of the printed table; what would steer the terminal is left out."""
    return "".join(filter(str.isprintable, value)) if isinstance(value, str) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code, see :func:`benchmark.command.called`."""
    return called(run, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
