"""Data sets as ``python -m benchmark.data convert`` writes them: plain arrays, read in place."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.datasets.assembly import assemble
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.modalities import find_features
from benchmark.datasets.reading import entries, open_array, read_table, readable
from models.errors import UsageError

META, ITEMS, FORMAT = "meta.json", "items.csv", 1
USER_NAMES, ITEM_NAMES = "user_names.json", "item_names.json"
FIX = "convert the data again"


def read_converted(folder: Path) -> Dataset:
    """Read one folder::

        fast/
          meta.json          counts, source and fingerprint
          users.npy          the user of every interaction
          items.npy          its item
          labels.npy         0 train, 1 validation, 2 test, where a split is shipped
          image_feat.npy     row i belongs to item i; one file per modality
          items.csv          title, genres, year, ... of the items, where known
          user_names.json    what the original calls its users, a list, if not by these numbers
          item_names.json    the same of the items

    Nothing is parsed, and feature matrices stay on disk until they are used.

    Raises:
        UsageError: If a file is missing or damaged, or the data are not those that were converted.
    """
    path = folder / META
    try:
        with readable(path):
            meta = json.loads(path.read_text(encoding="utf-8"))
        counts = [meta[name] for name in ("num_users", "num_items", "duplicates", "format")]
        if counts[3] != FORMAT or any(type(count) is not int or count < 0 for count in counts):
            raise ValueError(f"counts and format are {counts}")
        num_users, num_items, duplicates = counts[:3]
        modalities = [str(name) for name in meta["modalities"]]
    except UsageError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path}: is no description of converted data ({str(error)[:200]}); {FIX}"
        ) from error
    users = _ids(folder / "users.npy", num_users)
    items = _ids(folder / "items.npy", num_items)
    names = entries(folder)
    labels = _ids(folder / "labels.npy", 3).astype(np.int8) if "labels.npy" in names else None
    if len({len(each) for each in (users, items, labels) if each is not None}) > 1:
        raise UsageError(f"{folder}: users.npy, items.npy and labels.npy differ in length; {FIX}")
    found = find_features(folder, ("_feat.npy",))
    if sorted(modalities) != sorted(found.matrices):
        raise UsageError(f"{folder}: has not the modalities {', '.join(modalities)[:80]}; {FIX}")
    if found.num_items not in (None, num_items):
        raise UsageError(f"{folder}: features have other rows than {num_items} items; {FIX}")
    read = assemble(
        path,
        "".join(filter(str.isprintable, str(meta.get("source", "unknown"))))[:500],
        users,
        items,
        labels=labels,
        num_users=num_users,
        num_items=num_items,
        features={name: found.matrices[name] for name in modalities},
        item_table=_item_table(folder / ITEMS, num_items) if ITEMS in names else None,
        user_names=_names(folder / USER_NAMES, num_users),
        item_names=_names(folder / ITEM_NAMES, num_items),
    )
    dataset = replace(read, duplicates=duplicates)
    if dataset.fingerprint != meta.get("fingerprint"):
        raise UsageError(
            f"{folder}: the data are not those that were converted (fingerprint "
            f"{dataset.fingerprint}, not {str(meta.get('fingerprint'))[:40]}); {FIX}"
        )
    return dataset


def write_converted(dataset: Dataset, folder: Path) -> None:
    """Write a data set, as a whole or not at all.

    Raises:
        UsageError: If there is something at ``folder`` already, or it cannot be written.
    """
    if folder.exists():
        raise UsageError(f"--to '{folder}' exists already; give the name of a new folder")
    meta: dict[str, Any] = {
        "format": FORMAT,
        "source": f"{dataset.name}, converted: {dataset.source}",
        "num_users": dataset.num_users,
        "num_items": dataset.num_items,
        "duplicates": dataset.duplicates,
        "modalities": list(dataset.features),
        "fingerprint": dataset.fingerprint,
    }
    arrays = {"users": dataset.users, "items": dataset.items, "labels": dataset.labels}
    arrays |= {f"{name}_feat": matrix for name, matrix in dataset.features.items()}
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".converting-", dir=folder.parent))
        for name, array in arrays.items():
            if array is not None:
                np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        if dataset.item_table is not None and len(dataset.item_table.columns):
            dataset.item_table.to_csv(temporary / ITEMS, index=False, lineterminator="\n")
        for file, names in ((USER_NAMES, dataset.user_names), (ITEM_NAMES, dataset.item_names)):
            if names is not None:
                (temporary / file).write_text(json.dumps(list(names), indent=0), encoding="utf-8")
        (temporary / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(folder)
    except OSError as error:
        raise UsageError(
            f"--to '{folder}' cannot be written ({error.strerror or error}); choose another place"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _ids(path: Path, count: int) -> NDArray[np.int64]:
    """A vector of whole numbers from 0 to below ``count``."""
    ids = open_array(path, FIX)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise UsageError(f"{path}: holds no vector of ids ({ids.dtype}, {ids.shape}); {FIX}")
    wrong = np.flatnonzero((ids < 0) | (ids >= count))
    if len(wrong):
        raise UsageError(
            f"{path}: row {wrong[0]} holds {ids[wrong[0]]}, outside 0..{count - 1}; {FIX}"
        )
    return ids.astype(np.int64)


def _names(path: Path, count: int) -> list[str] | None:
    """As many different names; ``None`` without a file."""
    if not path.exists():
        return None
    try:
        with readable(path):
            names = json.loads(path.read_text(encoding="utf-8"))
    except UsageError:
        raise
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is no JSON ({error}); {FIX}") from error
    wrong = not isinstance(names, list) or not all(type(name) is str for name in names)
    if wrong or len(set(names)) != count or len(names) != count:
        raise UsageError(f"{path}: is no list of {count} different names; {FIX}")
    return [str(name) for name in names]


def _item_table(path: Path, num_items: int) -> pd.DataFrame:
    """One row per item id; an empty field is unknown."""
    table = read_table(path)
    if len(table) != num_items:
        raise UsageError(f"{path}: has {len(table)} rows for {num_items} items; {FIX}")
    table = table.mask(table == "")
    if "year" in table:
        table["year"] = pd.to_numeric(table["year"], errors="coerce").astype("Int64")
    return table.rename_axis("itemID")
