"""MovieLens-100K from the files that RecBole's wheel carries."""

from __future__ import annotations

import csv
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.datasets.dataset import Dataset
from benchmark.datasets.item_texts import item_texts, tokens
from benchmark.datasets.latent_semantics import latent_semantics
from models.errors import UsageError

NAME = "movielens-100k"


def locate() -> Path | None:
    """The folder of the data set inside the installed RecBole, which is not imported."""
    spec = find_spec("recbole")
    for place in (spec and spec.submodule_search_locations) or []:
        folder = Path(place) / "dataset_example" / "ml-100k"
        if folder.is_dir():
            return folder
    return None


def read_movielens_100k() -> Dataset:
    """All 100,000 ratings as implicit feedback, with item features made from the metadata.

    A rating counts as an interaction whatever its value: there is no threshold. Ids follow the
    ascending original ids. Modalities, both by latent semantic analysis (TF-IDF, then a truncated
    singular value decomposition):

    - ``textual`` (64-d): words of the title, genres, year and decade;
    - ``knowledge`` (128-d): the item's Freebase facts, such as cast, crew, country, awards.

    Raises:
        UsageError: If RecBole or its data files are not installed.
    """
    folder = locate()
    if folder is None:
        raise UsageError(
            f"data set '{NAME}' comes with RecBole, which is not installed; run "
            f"'pip install --no-deps recbole' (the data files alone suffice, on every Python)"
        )
    try:
        inter, item, link, facts = (
            _read(folder / f"ml-100k.{kind}") for kind in ("inter", "item", "link", "kg")
        )
        source = f"RecBole {version('recbole')} wheel, every rating counted as implicit feedback"
    except (OSError, PackageNotFoundError) as error:
        raise UsageError(
            f"the installed RecBole is incomplete ({error}); run "
            f"'pip install --no-deps --force-reinstall recbole'"
        ) from error
    user_ids, users = np.unique(inter["user_id"].astype(np.int64), return_inverse=True)
    item_ids, items = np.unique(inter["item_id"].astype(np.int64), return_inverse=True)
    table = _item_table(item, item_ids)
    words = [tokens(texts) for texts in item_texts(table, ("title", "genres", "year"))]
    return Dataset.from_pairs(
        name=NAME,
        source=source,
        users=users.astype(np.int64),
        items=items.astype(np.int64),
        num_users=len(user_ids),
        num_items=len(item_ids),
        features={
            "textual": latent_semantics(words, 64),
            "knowledge": latent_semantics(_knowledge(link, facts, item_ids), 128),
        },
        item_table=table,
        user_names=[str(user) for user in user_ids],
        item_names=[str(item) for item in item_ids],
    )


def _read(path: Path) -> pd.DataFrame:
    """An atomic file of RecBole, as text; its header holds ``name:type``."""
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    return table.rename(columns=lambda column: column.split(":")[0])


def _item_table(item: pd.DataFrame, item_ids: NDArray[np.int64]) -> pd.DataFrame:
    """Title, year, genres and original id of every item; two releases have no known year."""
    rows = item.set_index(item["item_id"].astype(np.int64)).loc[item_ids]
    year = pd.to_numeric(rows["release_year"], errors="coerce").astype("Int64")
    table = pd.DataFrame({"title": rows["movie_title"], "year": year, "genres": rows["class"]})
    return table.rename_axis("movielens_id").reset_index().rename_axis("itemID")


def _knowledge(
    link: pd.DataFrame, facts: pd.DataFrame, item_ids: NDArray[np.int64]
) -> list[list[str]]:
    """``relation:entity`` for every fact that an item is the head or, marked, the tail of."""
    item_of = link.set_index("entity_id")["item_id"].astype(np.int64)
    head, relation, tail = facts["head_id"], facts["relation_id"], facts["tail_id"]
    outgoing = pd.DataFrame({"item": head.map(item_of), "token": relation + ":" + tail})
    incoming = pd.DataFrame({"item": tail.map(item_of), "token": "of " + relation + ":" + head})
    tokens = pd.concat([outgoing, incoming]).dropna().groupby("item")["token"].agg(list)
    return [tokens.get(item, []) for item in item_ids]
