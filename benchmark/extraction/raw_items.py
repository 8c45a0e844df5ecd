"""The raw data of items, from the item table or from a folder with a file per item."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.datasets import Dataset
from benchmark.datasets.item_texts import item_texts
from benchmark.datasets.reading import entries, readable
from models.errors import UsageError

ENDINGS = {
    "text": (".txt",),
    "image": (".jpg", ".jpeg", ".png", ".webp"),
    "audio": (".wav", ".flac", ".ogg", ".mp3"),
}
"""Of files, in lower case, by kind of raw data."""

Texts = Mapping[str, str]
"""What is written about an item, by column."""


def written(dataset: Dataset, columns: Sequence[str]) -> dict[int, Texts]:
    """The text of every item that has some, by item id.

    Raises:
        UsageError: If the data have no such text.
    """
    table = dataset.item_table
    if table is None:
        raise UsageError(
            f"--columns {' '.join(columns)}: data set '{dataset.name}' has no table of items; add "
            f"one ('python -m benchmark.data --help' shows how), or give files with --files"
        )
    for column in columns:
        if column not in table:
            raise UsageError(
                f"--columns: data set '{dataset.name}' has no column '{column}' about its items; "
                f"choose among {', '.join(map(str, table.columns))}"
            )
    return {item: texts for item, texts in enumerate(item_texts(table, columns)) if texts}


def item_files(folder: Path, kind: str, item_names: Sequence[str]) -> dict[int, Path]:
    """The file of every item that has one, by item id.

    Names of items are only compared with those of files, so that none leads out of the folder.

    Args:
        folder: Of files ``<item>.jpg`` and so on; others are ignored.
        kind: Of :data:`ENDINGS`.
        item_names: By item id.

    Raises:
        UsageError: If an item has several files, or none has any.
    """
    endings = ENDINGS[kind]
    items = {name: item for item, name in enumerate(item_names)}
    found: dict[int, Path] = {}
    for name in entries(folder):
        path = folder / name
        item = items.get(path.stem)
        if item is None or path.suffix.lower() not in endings or not path.is_file():
            continue
        if item in found:
            raise UsageError(
                f"--files {folder}: item '{path.stem}' has two files, '{found[item].name}' and "
                f"'{name}'; keep one"
            )
        found[item] = path
    if not found:
        raise UsageError(
            f"--files {folder}: no file is named after an item, like "
            f"'{item_names[0]}{endings[0]}' ({kind}: {', '.join(endings)}); rename the files, or "
            f"choose another folder or --encoder"
        )
    return dict(sorted(found.items()))


def text_files(files: Mapping[int, Path]) -> dict[int, Texts]:
    """What the files say, by item id; an empty one says nothing."""
    found: dict[int, Texts] = {}
    for item, path in files.items():
        with readable(path):
            text = path.read_text(encoding="utf-8-sig")
        if text.strip():
            found[item] = {"text": text}
    return found


def fingerprint(raw: Mapping[int, Texts | Path], item_names: Sequence[str]) -> str:
    """16 hexadecimal digits that change with any item's name or raw data."""
    digest = hashlib.sha256(json.dumps(list(item_names)).encode())
    for item, data in raw.items():
        if isinstance(data, Path):
            with readable(data):
                content = data.read_bytes()
        else:
            content = json.dumps(list(data.items())).encode()
        digest.update(f"{item} {len(content)} ".encode() + content)
    return digest.hexdigest()[:16]
