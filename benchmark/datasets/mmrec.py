"""Data sets in the folder layout of MMRec."""

from __future__ import annotations

import csv
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.datasets.assembly import assemble
from benchmark.datasets.dataset import Dataset
from benchmark.datasets.modalities import LARGEST_ID, find_features
from benchmark.datasets.reading import columns, entries, only, readable
from models.errors import UsageError

USER, ITEM, LABEL = "userID", "itemID", "x_label"


def read_mmrec(folder: Path) -> Dataset:
    """Read one folder::

        my-videos/
          my-videos.inter    tab-separated: userID  itemID  [x_label: 0 train, 1 validation, 2 test]
          image_feat.npy     row i belongs to item i; any number of <modality>_feat.npy
          audio.json         or {item id: [numbers]}, or a folder of <item id>.npy
          my-videos.item     optional, tab-separated: itemID  title  genres  description

    Other columns of the ``.inter`` file are ignored.

    Raises:
        UsageError: If a file is missing, unreadable or malformed; the message names it.
    """
    names = entries(folder)
    path = folder / only(names, ".inter", folder)
    inter = _read_inter(path)
    users, items = inter[USER].to_numpy(), inter[ITEM].to_numpy()
    found = find_features(folder, ("_feat.npy", ".json"), taken=(path.name,))
    num_items = found.size(items, path, ITEM)
    item_table = None
    if any(name.endswith(".item") for name in names):
        item_table = _read_items(folder / only(names, ".item", folder), num_items)
    return assemble(
        path,
        f"files in the MMRec layout ({path.name})",
        users,
        items,
        labels=inter[LABEL].to_numpy(np.int8) if LABEL in inter else None,
        num_users=int(users.max()) + 1,
        num_items=num_items,
        features=found.features_by_number(num_items),
        item_table=item_table,
    )


def _read_inter(path: Path) -> pd.DataFrame:
    """The columns that count, as integers, every value checked."""
    header = columns(path, "\t")
    for column in (USER, ITEM):
        if column not in header:
            raise UsageError(
                f"{path}: has no column '{column}' in its first line ({', '.join(header)[:80]}); "
                f"start the file with a header '{USER}<tab>{ITEM}<tab>{LABEL}'"
            )
    wanted = [column for column in (USER, ITEM, LABEL) if column in header]
    try:
        with readable(path), warnings.catch_warnings():
            # what pandas merely warns of here is a row longer than the header
            warnings.simplefilter("error", pd.errors.ParserWarning)
            warnings.simplefilter("error", RuntimeWarning)  # and an id that is infinite
            inter = pd.read_csv(
                path,
                sep="\t",
                encoding="utf-8-sig",
                quoting=csv.QUOTE_NONE,
                index_col=False,
                low_memory=False,
                dtype=dict.fromkeys(wanted, np.int64),
            )[wanted]
    except UsageError:
        raise
    except (ValueError, OverflowError, RuntimeWarning, pd.errors.ParserWarning) as error:
        raise UsageError(_first_bad_line(path, header, wanted)) from error
    if inter.empty:
        raise UsageError(f"{path}: holds no interaction; add one line per user-item pair")
    for column, largest in ((USER, LARGEST_ID), (ITEM, LARGEST_ID), (LABEL, 2)):
        if column in inter:
            wrong = np.flatnonzero(~inter[column].between(0, largest))
            if len(wrong):
                raise UsageError(
                    f"{path}: '{column}' of interaction {wrong[0] + 1} is "
                    f"{inter[column].iloc[wrong[0]]}; it needs to be in 0..{largest}: "
                    + ("0 train, 1 validation, 2 test" if column == LABEL else "count ids from 0")
                )
    return inter


def _first_bad_line(path: Path, header: list[str], wanted: list[str]) -> str:
    """Say which line kept the file from being read; only wrong files are read a second time."""
    places = [header.index(column) for column in wanted]
    with readable(path), path.open(encoding="utf-8-sig") as file:
        for line_number, line in enumerate(file, start=1):
            fields = line.rstrip("\n").split("\t")
            if line_number == 1 or fields == [""]:
                continue
            if len(fields) != len(header):
                return (
                    f"{path}: line {line_number} has {len(fields)} tab-separated fields, the "
                    f"header has {len(header)}; mend or remove the line"
                )
            for place in places:
                if not re.fullmatch(r"-?[0-9]{1,18}", fields[place]):
                    return (
                        f"{path}: line {line_number} has '{fields[place][:40]}' as "
                        f"'{header[place]}'; it needs to be an integer"
                    )
    return f"{path}: is no plain tab-separated table of integers; write it again without quotes"


def _read_items(path: Path, num_items: int) -> pd.DataFrame:
    """What is known about the items as text, one row per item id."""
    try:
        # only an empty field is unknown: films are called 'NA' and 'Null'
        with readable(path):
            table = pd.read_csv(
                path,
                sep="\t",
                encoding="utf-8-sig",
                dtype=str,
                keep_default_na=False,
                na_values=[""],
            )
        table[ITEM] = table[ITEM].astype(np.int64)
    except UsageError:
        raise
    except (ValueError, KeyError, OverflowError) as error:
        detail = " ".join(str(error).split())[:200]
        raise UsageError(
            f"{path}: is no tab-separated table with an integer column '{ITEM}' "
            f"({detail}); mend it, or remove the file: it is optional"
        ) from error
    for name in table.columns.drop(ITEM):
        swallowed = np.flatnonzero(table[name].str.contains("\t", na=False))
        if len(swallowed):  # the next fields and lines, up to the next quote
            raise UsageError(
                f"{path}: '{name}' of item {table[ITEM].iloc[swallowed[0]]} runs over tabs, as "
                f"where a quote that begins a text does not end it; write the quotes within texts "
                f"twice and around them once, or remove the file: it is optional"
            )
    return table.drop_duplicates(ITEM).set_index(ITEM).reindex(range(num_items))
