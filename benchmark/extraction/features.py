"""Extract features, keep them beside the data, and know when they are still right."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from benchmark.datasets import Dataset
from benchmark.datasets.dataset import check_finite, missing_rows
from benchmark.datasets.modalities import check_name
from benchmark.datasets.reading import readable
from benchmark.datasets.sources import read, source_of
from benchmark.extraction.encoder import Encoder, Wish
from benchmark.extraction.encoders import ENCODERS, library_versions
from benchmark.extraction.raw_items import ENDINGS, fingerprint, item_files, text_files, written
from benchmark.machine import choose_device
from benchmark.writing import StoreError, write_atomic
from models.errors import UsageError

RECIPE = 1
"""Raise by one when an encoder computes something else from the same."""


@dataclass(frozen=True)
class Request:
    """What to extract.

    Args:
        encoder: Of :data:`~benchmark.extraction.encoders.ENCODERS`.
        modality: What the features are called; ``None``: after the kind of raw data.
        columns: Of the item table; or
        files: a folder with a file per item.
        model: Of the encoder, if it has several.
        dim: Numbers per item, if the encoder leaves a choice.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    encoder: str = "tfidf"
    modality: str | None = None
    columns: Sequence[str] = ()
    files: Path | None = None
    model: str | None = None
    dim: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Made:
    """Features that lie beside the data.

    Args:
        path: Their file.
        modality: Their name.
        features: ``[num_items, dim]``
        missing: How many items have none.
        is_new: Whether they had to be computed.
    """

    path: Path
    modality: str
    features: NDArray[Any]
    missing: int
    is_new: bool


def extract(dataset: Dataset, folder: Path, request: Request, console: Console) -> Made:
    """Make features of a data set's items, unless they are there already.

    They are there if the file is the one that was written, and was made from the same raw data by
    the same encoder of the same libraries' versions; a hidden file beside it says so.

    Args:
        dataset: What :func:`benchmark.datasets.load` read.
        folder: Where its files are.
        request: What to extract.
        console: For a progress bar.

    Raises:
        UsageError: For a mistake in the request or the raw data; or if the modality is there, but
            not made by this function.
    """
    encoder = _encoder(request)
    modality = encoder.kind if request.modality is None else request.modality
    check_name(modality, Path("--modality"))
    source = source_of(folder)
    if not source.adds:
        raise UsageError(
            f"{folder}: nothing can be added to {source.title} data; extract features of the "
            f"original, and convert it again"
        )
    path = folder / f"{modality}{source.adds}"
    names = dataset.item_names or [str(item) for item in range(dataset.num_items)]
    raw = _raw(dataset, request, encoder, names)
    recipe = {
        "recipe": RECIPE,
        "encoder": request.encoder,
        "model": request.model or encoder.model,
        "dim": request.dim,
        "raw": fingerprint(raw, names),
        "versions": library_versions(request.encoder),
    }
    earlier = _note(path)
    _check_ours(path, modality, dataset, earlier)
    if path.exists() and earlier.get("made by") == recipe:
        features = dataset.features[modality]
        return Made(path, modality, features, int(missing_rows(features).sum()), is_new=False)
    wish = Wish(request.model or encoder.model, request.dim, choose_device(request.device))
    features = _encode(encoder, wish, raw, dataset.num_items, console)
    check_finite(features, modality, f"--encoder {request.encoder}")
    _keep(path, modality, features, names, recipe)
    return Made(path, modality, features, int(missing_rows(features).sum()), is_new=True)


def _encoder(request: Request) -> Encoder:
    if request.encoder not in ENCODERS:
        raise UsageError(
            f"--encoder '{request.encoder}' is unknown; choose among {', '.join(ENCODERS)}"
        )
    encoder = ENCODERS[request.encoder]
    if request.model is not None and encoder.model is None:
        raise UsageError(f"--model is not for --encoder {request.encoder}, which has no networks")
    if request.dim is not None and encoder.model is not None:
        raise UsageError(
            f"--dim is not for --encoder {request.encoder}, whose networks have theirs; "
            f"choose another --model"
        )
    if request.columns and encoder.kind != "text":
        raise UsageError(
            f"--columns hold text, and --encoder {request.encoder} takes {encoder.kind}; give "
            f"--files, a folder of <item>{ENDINGS[encoder.kind][0]}"
        )
    return encoder


def _raw(
    dataset: Dataset, request: Request, encoder: Encoder, names: Sequence[str]
) -> dict[int, Any]:
    """The raw data of the items that have any, by item id."""
    raw: dict[int, Any]
    if request.files is None:
        raw, place = {**written(dataset, request.columns)}, f"--columns {' '.join(request.columns)}"
    else:
        raw, place = {**item_files(request.files, encoder.kind, names)}, f"--files {request.files}"
        if encoder.kind == "text":
            raw = {**text_files(raw)}
    if not raw:
        raise UsageError(f"{place}: no item has any text there; choose another place")
    return raw


def _encode(
    encoder: Encoder, wish: Wish, raw: Mapping[int, Any], num_items: int, console: Console
) -> NDArray[np.float32]:
    """``[num_items, dim]``, with zeros for items without raw data."""
    encode, items, inputs = encoder.open(wish), list(raw), list(raw.values())
    size = encoder.batch or len(items)
    blocks = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("items", total=len(items))
        for start in range(0, len(items), size):
            blocks.append(encode(inputs[start : start + size]))
            progress.advance(task, len(blocks[-1]))
    rows = np.concatenate(blocks)
    features = np.zeros((num_items, rows.shape[1]), dtype=np.float32)
    features[items] = rows
    return features


def _note_path(path: Path) -> Path:
    """A hidden file, which no reader takes for data."""
    return path.with_name(f".{path.name}.made")


def _note(path: Path) -> dict[str, Any]:
    """What is known about how a file of features was made; nothing if it was not made here."""
    note = _note_path(path)
    try:
        with readable(note):
            known = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    except ValueError:  # damaged, and so worth nothing
        known = {}
    return known if isinstance(known, dict) else {}


def _check_ours(path: Path, modality: str, dataset: Dataset, note: Mapping[str, Any]) -> None:
    """Refuse to replace features that somebody else made or changed."""
    is_ours = path.exists() and note.get("file") == _digest(path)
    if (path.exists() or modality in dataset.features) and not is_ours:
        raise UsageError(
            f"--modality '{modality}': data set '{dataset.name}' has features of this name that "
            f"were not made by this command; choose another name, or move them away"
        )


def _digest(path: Path) -> str:
    with readable(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _keep(
    path: Path,
    modality: str,
    features: NDArray[np.float32],
    names: Sequence[str],
    recipe: Mapping[str, Any],
) -> None:
    """Write the features, read them as every run will, and note how they were made."""
    try:
        write_atomic(path, _content(path, features, names))
        try:
            kept = read(path.parent).features.get(modality)
        except UsageError:
            path.unlink()
            raise
        if kept is None or not np.array_equal(kept, features):
            path.unlink()
            raise UsageError(
                f"--modality '{modality}': in this folder '{path.name}' would be taken for "
                f"something else; choose another name"
            )
        note = {"made by": recipe, "file": _digest(path)}
        write_atomic(_note_path(path), json.dumps(note, indent=2) + "\n")
    except StoreError as error:
        raise UsageError(
            f"features cannot be written to {path.parent} ({error.__cause__}); copy the data set "
            f"to a folder of yours, and give its parent as --data-root"
        ) from error


def _content(path: Path, features: NDArray[np.float32], names: Sequence[str]) -> bytes:
    """The file that a reader takes up; in JSON only of items that have features."""
    if path.suffix == ".npy":
        file = io.BytesIO()
        np.save(file, features, allow_pickle=False)
        return file.getvalue()
    # the shortest text of a float32 that is read as the same again
    lines = [
        f"{json.dumps(names[int(item)])}: [{', '.join(map(str, features[item]))}]"
        for item in np.flatnonzero(features.any(axis=1))
    ]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()
