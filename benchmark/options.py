"""Options that several commands share, apart from torch so that ``--help`` need not load it."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import NoReturn

from benchmark.presets import EXACT, FEATURE_SCALING, MATMUL_PRECISION, PRESETS, SPLIT_METHODS
from benchmark.protocols import PROTOCOLS
from models.errors import UsageError

SAMPLERS = ("grid", "tpe")
"""What ``--sampler`` takes."""


class Parser(argparse.ArgumentParser):
    """Reports a mistake like every other part of the program, in one line."""

    def error(self, message: str) -> NoReturn:
        """Raise what the commands print."""
        raise UsageError(f"{message}; --help shows all options")


def at_least(smallest: int, text: str) -> int:
    """The whole number that an option was given."""
    if not text.isdecimal() or int(text) < smallest:
        raise argparse.ArgumentTypeError(f"needs a whole number from {smallest} (got '{text}')")
    return int(text)


def add_models(group: argparse._MutuallyExclusiveGroup) -> None:
    """Which models, by name."""
    group.add_argument(
        "--models", nargs="+", metavar="NAME",
        help="these models only; 'recbole:NAME' is one of RecBole's general recommenders, such as "
        "recbole:BPR",
    )  # fmt: skip


def add_data(group: argparse._ArgumentGroup) -> None:
    """On what to run."""
    group.add_argument(
        "--dataset", "--datasets", dest="datasets", nargs="+", default=["movielens"],
        metavar="NAME",
        help="data sets (default: movielens, the best MovieLens at hand)",
    )  # fmt: skip
    add_plugins(group)


def add_plugins(group: argparse._ArgumentGroup) -> None:
    """Where recommenders of one's own are."""
    group.add_argument(
        "--plugins", type=Path, metavar="FOLDER", help="a folder with recommenders of your own"
    )


def add_budget(group: argparse._ArgumentGroup) -> None:
    """How much work."""
    group.add_argument(
        "--preset", choices=PRESETS, default="quick",
        help="quick: minutes on a laptop; standard: hours, to convergence in large batches, the "
        "middle of the paper's grid, five seeds; paper: the paper's grid, epochs, patience and "
        "batches, five seeds (default: quick)",
    )  # fmt: skip
    add_device(group)
    group.add_argument(
        "--matmul-precision", choices=MATMUL_PRECISION, default=EXACT,
        help="of dense products: highest: float32; high: TensorFloat32 where a GPU has it; medium: "
        "bfloat16 where the hardware has it; beside results at highest, precision.md tells what "
        "it did to metrics and time (default: highest)",
    )  # fmt: skip
    group.add_argument(
        "--deterministic", action="store_true",
        help="same results in every run on a GPU, too: a model that needs an operation torch has "
        "no deterministic form of fails with a row that says so; what is stored is not repeated "
        "(on a CPU results are the same without it, in less time)",
    )  # fmt: skip


def add_device(group: argparse._ArgumentGroup) -> None:
    """What to compute on."""
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")


def add_protocol(group: argparse._ArgumentGroup) -> None:
    """How data are split and models judged."""
    group.add_argument(
        "--protocol", choices=PROTOCOLS, default="corrected",
        help="corrected: validation chooses, test is looked at once, known items are left out; "
        "official: as in the released code, which chooses on the test data; only for comparison "
        "(default: corrected)",
    )  # fmt: skip
    group.add_argument(
        "--split-method", choices=SPLIT_METHODS, default="interactions",
        help="interactions: 8:1:1 over all of them; per_user: 8:1:1 of every user's, all in train "
        "if these are fewer than ten; neither is drawn where the data ships a split; cold_items: "
        "8:1:1 of the items, whatever the data ships, so that test items never occur in training "
        "(default: interactions, in results/<dataset>; others in results/<dataset>-<method>)",
    )  # fmt: skip
    group.add_argument(
        "--split-seed", type=partial(at_least, 0), default=0, metavar="N",
        help="seed of the random 8:1:1 split (default: 0)",
    )  # fmt: skip
    group.add_argument(
        "--modalities", nargs="+", metavar="NAME",
        help="item features to use, such as textual (default: all that the data has)",
    )  # fmt: skip
    group.add_argument(
        "--feature-scaling", choices=FEATURE_SCALING, default="l2_row",
        help="shared by all models (default: l2_row, every item's features at unit length)",
    )  # fmt: skip


def add_studies(group: argparse._ArgumentGroup) -> None:
    """How hyper-parameters are searched, and where the studies are."""
    group.add_argument(
        "--sampler", choices=SAMPLERS, default="grid",
        help="grid: every combination of the candidates; tpe: Optuna proposes values between the "
        "smallest and the largest candidate (default: grid)",
    )  # fmt: skip
    group.add_argument(
        "--trials", type=partial(at_least, 1), metavar="N",
        help="trials per model with --sampler tpe (default: as many as the model's grid has)",
    )  # fmt: skip
    group.add_argument(
        "--storage", metavar="PLACE",
        help="where studies are, for several processes or machines to work on: journal:FILE on a "
        "shared disk, sqlite:///FILE on one machine, postgresql://USER:PASSWORD@HOST/NAME or "
        "mysql://... (default: studies.db beside the results)",
    )  # fmt: skip


def add_places(group: argparse._ArgumentGroup) -> None:
    """Where data are and results go."""
    group.add_argument(
        "--data-root", type=Path, metavar="FOLDER",
        help="the folder of data sets (default: $HUIGN_DATA_ROOT, else ./data if it exists)",
    )  # fmt: skip
    group.add_argument(
        "--results-root", type=Path, default=Path("results"), metavar="FOLDER",
        help="results go to FOLDER/<dataset> (default: results)",
    )  # fmt: skip
