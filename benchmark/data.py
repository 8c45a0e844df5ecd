"""Look at data sets, fetch, convert, add features: ``python -m benchmark.data``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.command import called, discover_models, one_line
from benchmark.extraction import command as extraction
from benchmark.options import Parser, at_least
from benchmark.presets import PRESETS
from models.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

EPILOG = """\
examples:
  python -m benchmark.data list --data-root data
      the data sets at hand, and those to download
  python -m benchmark.data download ml-1m-multimodal --data-root data
      real data with features of plots, posters and trailers, checked and ready for --dataset
  python -m benchmark.data inspect movielens --plot degrees.png
      counts, features, item graph, memory, and what to look at before training
  python -m benchmark.data convert my-videos --data-root data --to data/my-videos-fast
      the same data as plain arrays, which load at once
  python -m benchmark.data features my-videos --columns title genres description
      features made from what is written about the items ('features --help' shows more)

A data set is a folder of the data root. What it holds is told by its files:
  MMRec      my-videos.inter (tab-separated: userID itemID, and x_label if there is a split: 0
             train, 1 validation, 2 test), image_feat.npy (row i: item i), my-videos.item
  RecBole    ml.inter (user_id:token item_id:token ...) or ml.train.inter, ml.valid.inter,
             ml.test.inter; ml.item (item_id:token title:token_seq image_emb:float_seq ...)
  MMGCN      train.npy ([n, 2] pairs, item ids after user ids), val_full.npy, test_full.npy (lists:
             user, item, item, ...), FeatureVideo_normal.npy or v_feat.npy and so on
  table      interactions.csv or .parquet (user,item[,split]), items.csv (item,title,genres), and
             image.npy (row i: item i), or image.csv or .parquet (item,f0,f1,...)
  matrix     interactions.npz (scipy.sparse.save_npz, users x items), image_feat.npy
  converted  what convert writes
In most of them a modality may also be text.json ({item: [numbers]}), or a folder visual/ of
<item>.npy, however deep, as Ducho writes them. Any number of modalities, any names. A row of zeros,
or no row where rows have names, means that the item lacks the modality.
"""


def parser() -> Parser:
    """The options of the command."""
    command = Parser(
        prog="python -m benchmark.data",
        description="What data sets there are, what is in them, where to get more, the same in a "
        "fast form, and features made from text, images and sounds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    places = Parser(add_help=False)
    places.add_argument(
        "--data-root", type=Path, metavar="FOLDER",
        help="the folder of data sets (default: $HUIGN_DATA_ROOT, else ./data if it exists)",
    )  # fmt: skip
    machine = Parser(add_help=False)
    machine.add_argument("--json", action="store_true", help="print JSON, for other programs")
    actions = command.add_subparsers(
        dest="action", required=True, metavar="list|inspect|convert|features|download"
    )
    actions.add_parser("list", parents=[places, machine], help="what is at hand, what can be had")
    inspect = actions.add_parser(
        "inspect", parents=[places, machine], help="what to know before training"
    )
    inspect.add_argument("name", metavar="NAME", help="a data set, such as movielens")
    inspect.add_argument(
        "--split-seed", type=partial(at_least, 0), default=0, metavar="N",
        help="seed of the split that is drawn where the data ship none (default: 0)",
    )  # fmt: skip
    inspect.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the long tails of users and items as PNG"
    )
    convert = actions.add_parser("convert", parents=[places], help="write a fast copy")
    convert.add_argument("name", metavar="NAME", help="a data set, such as movielens")
    convert.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER",
        help="the copy, a new folder; its name is that of the new data set",
    )  # fmt: skip
    extraction.add_options(
        actions.add_parser(
            "features", parents=[places], help="make features from text, images or sounds",
            epilog=extraction.EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )  # fmt: skip
    download = actions.add_parser(
        "download", parents=[places], help="fetch a data set",
        description="Fetch a data set, check it and make it ready for --dataset NAME. Stop it "
        "whenever you like: the same command goes on where it was. A file that is in the data "
        "root's folder 'downloads' already is used instead of fetched.",
    )  # fmt: skip
    download.add_argument("name", metavar="NAME", help="one of those that 'list' shows")
    return command


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks."""
    console = wide_console()
    actions = {
        "list": list_all,
        "inspect": inspect_one,
        "convert": convert_one,
        "features": extraction.run,
        "download": download_one,
    }
    return actions[arguments.action](arguments, console)


def list_all(arguments: argparse.Namespace, console: Console) -> int:
    """Every data set; one that cannot be read is a row that says why, and an exit code of 1."""
    from benchmark.datasets import available, load

    found: list[dict[str, Any]] = []
    for name in available(arguments.data_root):
        try:
            found.append(load(name, arguments.data_root).describe())
        except UsageError as error:
            found.append({"name": name, "error": one_line(error)})
    wrong = [each for each in found if "error" in each]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 1 if wrong else 0
    shown = ("name", "users", "items", "interactions", "density", "modalities", "source")
    rows = [[each[column] for column in shown] for each in found if "error" not in each]
    console.print(table("data sets", shown, rows) if rows else "there are no data sets here")
    for each in wrong:
        console.print(f"{each['name']}: {each['error']}", style="red", soft_wrap=True)
    show_offers({each["name"] for each in found}, console)
    return 1 if wrong else 0


def show_offers(known: Collection[str], console: Console) -> None:
    """What is not here and can be had, and how."""
    from benchmark.downloads.catalogue import BY_HAND, CATALOGUE

    shown = ("users", "items", "interactions", "features", "title")
    rows = [
        [name, *(getattr(offer, column) for column in shown)]
        for name, offer in CATALOGUE.items()
        if name not in known
    ]
    if rows:
        title = "to be had with 'python -m benchmark.data download NAME'"
        console.print(table(title, ("name", *shown), rows))
    for place in dict.fromkeys(BY_HAND.values()):
        names = ", ".join(name for name in BY_HAND if BY_HAND[name] == place and name not in known)
        if names:
            console.print(f"by hand: {names} from {place}", soft_wrap=True)


def inspect_one(arguments: argparse.Namespace, console: Console) -> int:
    """One data set in detail."""
    from benchmark.datasets import load
    from benchmark.inspection import draw_degrees, inspect, save_png
    from benchmark.writing import StoreError

    if arguments.plot is not None and arguments.plot.suffix.lower() != ".png":
        raise UsageError(f"--plot '{arguments.plot}' needs to end with .png")
    discover_models(None)
    dataset = load(arguments.name, arguments.data_root)
    report = inspect(dataset, arguments.split_seed)
    if arguments.plot is not None:
        try:
            save_png(draw_degrees(dataset, arguments.split_seed), arguments.plot)
        except StoreError as error:
            why = f"cannot be written ({error.__cause__}); choose another place"
            raise UsageError(f"--plot '{arguments.plot}' {why}") from error
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        show(report, console)
    return 0


def convert_one(arguments: argparse.Namespace, console: Console) -> int:
    """Write a copy, and read it to see that it is one."""
    from benchmark.datasets import load
    from benchmark.datasets.converted import read_converted, write_converted
    from benchmark.datasets.sources import check_name

    check_name(arguments.to)
    dataset = load(arguments.name, arguments.data_root)
    write_converted(dataset, arguments.to)
    copy = read_converted(arguments.to)
    console.print(f"wrote {arguments.to}, fingerprint {copy.fingerprint}", soft_wrap=True)
    root = arguments.to.absolute().parent
    console.print(f"use it with --dataset {copy.name} --data-root {root}", soft_wrap=True)
    return 0


def download_one(arguments: argparse.Namespace, console: Console) -> int:
    """Fetch a data set."""
    from benchmark.datasets import root_of
    from benchmark.downloads.download import ARCHIVES, download

    root, _ = root_of(arguments.data_root)
    tell = partial(console.print, soft_wrap=True)
    dataset = download(arguments.name, root, tell)
    tell(f"wrote {root / dataset.name}, fingerprint {dataset.fingerprint}")
    tell(f"use it with --dataset {dataset.name} --data-root {root}")
    tell(f"the archives in {root / ARCHIVES} may be deleted")
    return 0


def show(report: Mapping[str, Any], console: Console) -> None:
    """A report of :func:`benchmark.inspection.inspect` as tables."""
    console.print(f"{report['name']}: {report['source']}", style="bold", soft_wrap=True)
    console.print(f"fingerprint {report['fingerprint']}\n")
    for title in ("counts", "split"):
        known = {name: value for name, value in report[title].items() if value is not None}
        names = [name.replace("_", " ") for name in known]
        console.print(table(title, names, [list(known.values())]))
    quantiles = [[kind, *report[f"per_{kind}"].values()] for kind in ("user", "item")]
    console.print(table("training interactions", ["per", *report["per_user"]], quantiles))
    if report["modalities"]:
        rows = [
            [name, *(f"{value:.2%}" if key == "coverage" else value for key, value in each.items())]
            for name, each in report["modalities"].items()
        ]
        first = next(iter(report["modalities"].values()))
        names = ["modality", *(key.replace("norm_", "length, ") for key in first)]
        console.print(table("features", names, rows))
    rows = [
        [row["min_co_users"], row["edges"], f"{row['isolated_share']:.2%}"]
        for row in report["item_graph"]
    ]
    names = ["users in common, at least", "edges", "items without an edge"]
    console.print(table("co-interaction graph of the items", names, rows))
    memory = [[name, size] for name, size in report["memory_mib"].items()]
    memory.append(["together", sum(report["memory_mib"].values())])
    console.print(table("memory", ["of", "MiB"], memory))
    if report["training_mib"]:
        rows = [
            [name, *(each.get(preset, "") for preset in PRESETS)]
            for name, each in report["training_mib"].items()
        ]
        names = ["model", *(f"--preset {preset}" for preset in PRESETS)]
        console.print(table("training takes beside these, estimated in MiB", names, rows))
    for remark in report["remarks"]:
        console.print(f"! {remark}", style="yellow", soft_wrap=True)


def wide_console() -> Console:
    """The standard output; a pipe has no width of its own, and the default would cut tables off."""
    from rich.console import Console  # imported here so that --help answers at once

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Numbers to the right, with separators of thousands; text to the left."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for place, column in enumerate(columns):
        words = any(isinstance(row[place], str) and row[place][-1:] != "%" for row in rows)
        made.add_column(Text(column), justify="left" if words else "right", overflow="fold")
    for row in rows:
        made.add_row(*(Text(_text(value)) for value in row))
    return made


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code, see :func:`benchmark.command.called`."""
    return called(run, parser(), argv, stopped="stopped")


if __name__ == "__main__":
    sys.exit(main())
