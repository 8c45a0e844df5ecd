"""Table 1: the size of the data, and what is known about the items."""

from __future__ import annotations

import pandas as pd

from benchmark.datasets import Dataset
from benchmark.datasets.dataset import missing_rows
from benchmark.outputs.layout import latex, markdown, page, save
from benchmark.outputs.tables import split as split_of
from benchmark.presets import COLD_ITEMS
from benchmark.record import Record


def write(record: Record) -> None:
    """Write ``table1.csv``, ``.md`` and ``.tex``."""
    data, title = record.dataset, "Summary of the data"
    shown, text = readable(data), caption(record)
    save(
        record.folder / "table1",
        table1(data),
        page(f"**{title}**", markdown(shown), text),
        latex([shown], f"{title}. {text}", "table1"),
    )


def table1(data: Dataset) -> pd.DataFrame:
    """One row, named after the data.

    Returns:
        Counts of ``interactions`` (distinct pairs), ``items`` and ``users``;
        ``sparsity_percent``, the share of all pairs that are no interaction;
        ``interactions_per_user`` and ``interactions_per_item``, on average; and per modality its
        width, ``<modality>_dim``, and how many items lack it, ``<modality>_missing``.
    """
    row: dict[str, float] = {
        "interactions": len(data),
        "items": data.num_items,
        "users": data.num_users,
        "sparsity_percent": 100 * (1 - len(data) / (data.num_users * data.num_items)),
        "interactions_per_user": len(data) / data.num_users,
        "interactions_per_item": len(data) / data.num_items,
    }
    for name, matrix in data.features.items():
        row[f"{name}_dim"] = matrix.shape[1]
        row[f"{name}_missing"] = int(missing_rows(matrix).sum())
    return pd.DataFrame(row, index=pd.Index([data.name], name="dataset"))


def readable(data: Dataset) -> pd.DataFrame:
    """The same as text, a modality's width in one column with the items that lack it."""
    row = table1(data).iloc[0]
    shown = {
        "#Interactions": f"{len(data):,}",
        "#Items": f"{data.num_items:,}",
        "#Users": f"{data.num_users:,}",
        "Sparsity (%)": f"{row['sparsity_percent']:.2f}",
        "per user": f"{row['interactions_per_user']:.1f}",
        "per item": f"{row['interactions_per_item']:.1f}",
    }
    for name in data.features:
        lacking = int(row[f"{name}_missing"])
        shown[name] = f"{int(row[f'{name}_dim']):,}" + (
            f" ({lacking:,} lack it)" if lacking else ""
        )
    return pd.DataFrame(shown, index=pd.Index([data.name], name="Data set"))


def caption(record: Record) -> str:
    """Where the data came from, how they are split, and which modalities are used."""
    data, told = record.dataset, record.identity
    repeated = f", {data.duplicates:,} repeated pairs removed" if data.duplicates else ""
    shipped = data.labels is not None and told["split_method"] != COLD_ITEMS
    split = data.describe()["split"] if shipped else f"8 : 1 : 1 {split_of(told)}"
    return (
        f"Source: {data.source}{repeated}; fingerprint {data.fingerprint}. Split: {split}. "
        "Per user and per item: interactions on average; then the dimension of "
        " every modality, and how many items lack it. Used by the models: "
        f"{told['modalities'].replace('+', ', ')}."
    )
