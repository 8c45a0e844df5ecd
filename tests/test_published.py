from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import benchmark
from benchmark.paper.published import (
    PLACES,
    datasets,
    improvements,
    results,
    same_data,
    sizes,
    values,
)

FOLDER = Path(benchmark.__file__).parent / "paper"


def test_table1() -> None:
    assert datasets() == ["movielens", "tiktok", "kwai"]
    assert list(sizes().loc["movielens"]) == [55485, 5986, 1239508]  # users, items, interactions
    assert list(sizes().loc["kwai"]) == [7010, 86483, 298492]


@pytest.mark.parametrize(
    ("table", "dataset", "metric", "place", "value"),
    [
        ("table2", "movielens", "precision@1", "VBPR", 0.0819),
        ("table2", "movielens", "recall@5", "NGCF", 0.1071),
        ("table2", "tiktok", "ndcg@10", "MacridVAE", 0.0686),
        ("table2", "kwai", "recall@10", "HUIGN", 0.0434),
        ("table3", "kwai", "ndcg@10", "64-16-4", 0.0787),
        ("table3", "tiktok", "recall@10", "32-8", 0.0845),
        ("table4", "movielens", "precision@10", "visual", 0.0631),
        ("table4", "tiktok", "ndcg@10", "textual", 0.0675),
    ],
)
def test_values_typed_from_the_paper(
    table: str, dataset: str, metric: str, place: str, value: float
) -> None:
    assert results(table, dataset).loc[metric, place] == value
    assert values(table, dataset)[place][metric] == value


@pytest.mark.parametrize("table", PLACES)
def test_nothing_of_a_file_is_lost_or_doubled(table: str) -> None:
    raw = pd.read_csv(FOLDER / f"{table}.csv").drop(columns="improvement_percent", errors="ignore")
    cells = raw.select_dtypes("number").to_numpy().ravel()
    given = [
        value
        for dataset in datasets()
        for column in values(table, dataset).values()
        for value in column.values()
    ]
    assert sorted(given) == sorted(cells)


def test_orders_are_the_papers() -> None:
    table = results("table2", "tiktok")
    assert list(table) == [
        "VBPR", "DUIF", "CB2CF", "NGCF", "MMGCN", "DisenGCN", "MacridVAE", "HUIGN",
    ]  # fmt: skip
    assert list(table.index[:4]) == ["precision@1", "precision@5", "precision@10", "recall@1"]
    assert list(results("table4", "tiktok")) == ["visual", "acoustic", "textual", "multiple"]


def test_kwai_has_no_modalities_to_compare() -> None:
    assert results("table4", "kwai").shape[1] == 0
    assert values("table4", "kwai") == {}


def test_improvements_are_text_as_printed() -> None:
    assert improvements("movielens")["ndcg@5"] == "12.90"
    assert improvements("kwai")["precision@1"] == "0.52"
    assert len(improvements("tiktok")) == 9


def test_the_same_data_go_by_their_numbers() -> None:
    assert same_data(36656, 76085, 726065) == "tiktok"
    assert same_data(76085, 36656, 726065) is None
    assert same_data(9308, 6710, 68722) is None
