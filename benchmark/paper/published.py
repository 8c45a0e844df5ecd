"""The paper's own numbers, as printed in Tables 1 to 4 of arXiv 2110.14925."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import pandas as pd

OURS = "HUIGN"
"""The column of the paper's own model."""

PLACES = {"table2": "model", "table3": "structure", "table4": "modality"}
"""Tables of results, and what each of them varies."""

KS = (1, 5, 10)
"""Cut-offs of Table 2; Tables 3 and 4 have 10 alone."""

HALF_UNIT = 5e-5
"""How far a metric, printed with four decimals, may be from the exact value."""


@cache
def _table(number: int) -> pd.DataFrame:
    with (files("benchmark.paper") / f"table{number}.csv").open() as file:
        return pd.read_csv(file)


def datasets() -> list[str]:
    """The names of Table 1."""
    return _table(1)["dataset"].tolist()


def sizes() -> pd.DataFrame:
    """Table 1: ``users``, ``items`` and ``interactions`` in columns, data sets in rows."""
    return _table(1).set_index("dataset")[["users", "items", "interactions"]]


def results(table: str, dataset: str) -> pd.DataFrame:
    """One data set's part of a table of results.

    Args:
        table: One of :data:`PLACES`.
        dataset: A name of Table 1.

    Returns:
        Metrics such as ``recall@10`` in rows; the models, structures or modalities in columns,
        both in the paper's order. No column if the table lacks the data set.
    """
    own = _table(int(table[-1]))
    own = own[own["dataset"] == dataset].drop(columns="dataset")
    if table == "table2":
        return own.drop(columns="improvement_percent").set_index("metric")
    return own.set_index(PLACES[table]).T.rename_axis("metric")


def values(table: str, dataset: str) -> dict[str, dict[str, float]]:
    """What :func:`results` holds, by place and metric."""
    return {
        str(place): {str(metric): float(value) for metric, value in column.items()}
        for place, column in results(table, dataset).items()
    }


def improvements(dataset: str) -> dict[str, str]:
    """The last column of Table 2 by metric: HUIGN over the strongest baseline, in percent."""
    own = _table(2)
    own = own[own["dataset"] == dataset]
    return {
        str(metric): f"{percent:.2f}"
        for metric, percent in zip(own["metric"], own["improvement_percent"], strict=True)
    }


def same_data(users: int, items: int, interactions: int) -> str | None:
    """Which of the paper's data sets has exactly these numbers, whatever it is called here."""
    same = (sizes() == [users, items, interactions]).all(axis=1)
    return str(same.idxmax()) if same.any() else None
