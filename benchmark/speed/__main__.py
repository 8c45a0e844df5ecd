"""The speed command: ``python -m benchmark.speed``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmark.command import called, discover_models
from benchmark.options import Parser, at_least
from benchmark.speed.catalogue import SIZES, WORKS, chosen

EPILOG = """\
examples:
  python -m benchmark.speed --quick
      everything on tiny data, two minutes: to see that all peers run
  python -m benchmark.speed --sizes movielens-1m paper --data-root data
      the comparison, on real MovieLens-1M where the data root has it
  python -m benchmark.speed --works bpr ngcf --repetitions 5 --out my-speed/speed.csv
      two models
  python -m benchmark.speed --scaling
      how the cost grows with interactions, users, items, width and density of the item graph
  python -m benchmark.speed --list
      works, sizes and what they mean

Every other form of a work runs in the same process, in turns with ours. Peers: RecBole, PyTorch
Geometric, torch.sparse, SciPy; and, where installed (pip install cornac implicit), these two.
"""


def parser() -> Parser:
    """The options of the command."""
    options = Parser(
        prog="python -m benchmark.speed",
        description="Compare the speed of this suite with other libraries and with the hardware.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "--works", nargs="+", metavar="NAME", default=list(WORKS),
        help=f"what to time: {', '.join(WORKS)} (default: all)",
    )  # fmt: skip
    options.add_argument(
        "--sizes", nargs="+", metavar="NAME", default=["movielens-1m"],
        help=f"on how much data: {', '.join(SIZES)} (default: movielens-1m)",
    )  # fmt: skip
    options.add_argument(
        "--repetitions", type=partial(at_least, 1), default=5, metavar="N",
        help="how often each form is timed; medians are reported (default: 5)",
    )  # fmt: skip
    options.add_argument(
        "--seconds", type=partial(at_least, 1), default=2, metavar="N",
        help="a repetition's length; the rest of an epoch is extrapolated (default: 2)",
    )  # fmt: skip
    options.add_argument(
        "--threads", type=partial(at_least, 1), default=1, metavar="N",
        help="threads of torch and NumPy; peers in Cython always use one (default: 1)",
    )  # fmt: skip
    options.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    options.add_argument(
        "--quick",
        action="store_true",
        help="tiny data, whatever --sizes says, and two short repetitions",
    )
    options.add_argument(
        "--scaling", action="store_true",
        help="instead of comparing, time our forms while one property of the data grows",
    )  # fmt: skip
    options.add_argument(
        "--data-root", type=Path, metavar="FOLDER",
        help="the folder of data sets, for real interactions where a size has some "
        "(default: $HUIGN_DATA_ROOT, else ./data if it exists)",
    )  # fmt: skip
    options.add_argument(
        "--out", type=Path, default=Path("results/speed/speed.csv"), metavar="FILE",
        help="the result; speed.md and speed.png, or scaling.csv and scaling.png, go beside it "
        "(default: results/speed/speed.csv)",
    )  # fmt: skip
    options.add_argument("--list", action="store_true", help="print works and sizes, then stop")
    return options


def listing() -> str:
    """All works and sizes with what they mean."""
    works = [f"  {name:14}  {meaning}" for name, meaning in WORKS.items()]
    sizes = [
        f"  {size.name:14}  {size.num_users:,} users, {size.num_items:,} items, "
        f"{size.num_interactions:,} interactions, "
        + ", ".join(f"{modality} {width}" for modality, width in size.widths.items())
        for size in SIZES.values()
    ]
    return "\n".join(["works:", *works, "sizes:", *sizes])


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks."""
    works = chosen(arguments.works, WORKS, "--works")
    sizes = chosen(["tiny"] if arguments.quick else arguments.sizes, SIZES, "--sizes")
    if arguments.list:
        print(listing())
        return 0
    # imported here so that --help and a mistyped option answer at once, without loading torch
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from benchmark.machine import choose_device
    from benchmark.speed.catalogue import Settings
    from benchmark.speed.compare import Effort
    from benchmark.speed.session import compare_all, scale_all

    torch.set_num_threads(arguments.threads)
    discover_models(None)
    settings = Settings(device=str(choose_device(arguments.device)))
    effort = Effort(2, 0.02) if arguments.quick else Effort(
        arguments.repetitions, arguments.seconds
    )  # fmt: skip
    with threadpool_limits(arguments.threads):  # NumPy's products, in some of the peers
        if arguments.scaling:
            scale_all(works, effort, settings, arguments.out.parent, small=arguments.quick)
        else:
            compare_all(works, sizes, effort, settings, arguments.data_root, arguments.out)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code, see :func:`benchmark.command.called`."""
    return called(run, parser(), argv, stopped="stopped; what was finished is written")


if __name__ == "__main__":
    sys.exit(main())
