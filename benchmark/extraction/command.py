"""``python -m benchmark.data features``: features from what items are."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.extraction.encoders import ENCODERS
from benchmark.options import at_least

if TYPE_CHECKING:
    from rich.console import Console

EPILOG = """\
examples:
  python -m benchmark.data features my-videos --data-root data --columns title genres description
      text: TF-IDF and a truncated SVD (scikit-learn, always there), from the table of items
  python -m benchmark.data features my-videos --columns title description \\
      --encoder sentence-transformers --model all-MiniLM-L6-v2 --modality sentences
      the same by a language model: pip install -c constraints.txt -e .[text]
  python -m benchmark.data features my-videos --files posters --encoder torchvision
      image: posters/<item>.jpg (.jpeg, .png, .webp) by ResNet-50, or by --model vit_b_16 and so
      on: pip install -c constraints.txt -e .[images]
  python -m benchmark.data features my-videos --files clips --encoder torchaudio
      audio: clips/<item>.wav (.flac, .ogg, .mp3) by wav2vec 2.0, or by --model HUBERT_BASE and so
      on: pip install -c constraints.txt -e .[audio]
  python -m benchmark.data features my-videos --files plots --modality plot
      text: plots/<item>.txt

<item> is the item's name in the interactions. The features lie beside the data afterwards, and the
next 'python -m benchmark.run --dataset my-videos' uses them. An item without text or file gets a
row of zeros: it lacks the modality. The same call again computes nothing, unless text, files,
encoder or the versions of its libraries have changed. What Ducho extracted needs no call: put its
folder beside the data.
"""


def add_options(features: argparse.ArgumentParser) -> None:
    """From what to make features, and how."""
    features.add_argument("name", metavar="NAME", help="a data set, a folder of the data root")
    raw = features.add_mutually_exclusive_group(required=True)
    raw.add_argument(
        "--columns", nargs="+", metavar="COLUMN", default=[],
        help="text: columns of the table of items, such as title genres description",
    )  # fmt: skip
    raw.add_argument(
        "--files", type=Path, metavar="FOLDER", help="a folder with one file <item>.jpg and so on"
    )
    features.add_argument(
        "--encoder", choices=ENCODERS, default="tfidf",
        help=f"what reads them: {', '.join(ENCODERS)} (default: tfidf)", metavar="NAME",
    )  # fmt: skip
    features.add_argument(
        "--modality", metavar="NAME",
        help="what the features are called (default: text, image or audio)",
    )  # fmt: skip
    networks = ", ".join(f"{each.model} of {n}" for n, each in ENCODERS.items() if each.model)
    features.add_argument(
        "--model", metavar="NAME", help=f"a pretrained network (default: {networks})"
    )
    features.add_argument(
        "--dim", type=partial(at_least, 1), metavar="N",
        help="numbers per item, with tfidf (default: 64, or as many as can be told apart)",
    )  # fmt: skip
    features.add_argument(
        "--device", default="auto", help="of networks: auto, cpu, cuda or cuda:N (default: auto)"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Make features, or see that they are there."""
    # imported here so that --help and a mistyped option answer at once
    from rich.console import Console as Terminal

    from benchmark.datasets import folder_of, load
    from benchmark.extraction.features import Request, extract

    dataset = load(arguments.name, arguments.data_root)
    folder = folder_of(dataset, arguments.data_root)
    request = Request(
        encoder=arguments.encoder,
        modality=arguments.modality,
        columns=arguments.columns,
        files=arguments.files,
        model=arguments.model,
        dim=arguments.dim,
        device=arguments.device,
    )
    made = extract(dataset, folder, request, Terminal(stderr=True))
    items, dim = made.features.shape
    console.print(
        f"{'wrote' if made.is_new else 'nothing has changed since this was made:'} {made.path}\n"
        f"modality '{made.modality}': {dim} numbers for each of {items:,} items, "
        f"{made.missing:,} of which lack it\n"
        f"use it with --dataset {dataset.name} --data-root {folder.absolute().parent}",
        soft_wrap=True,
    )
    return 0
