from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.datasets import Dataset
from benchmark.outputs.keywords import documents, keywords

FILMS = [
    "The Love Song (1995) Comedy Romance",
    "A Love Story (1996) Comedy Romance",
    "Star Ship (1995) Sci-Fi Action",
    "Star Empire (1997) Sci-Fi Action",
    "Unheard (1995) Sci-Fi Comedy",
]


def data(table: pd.DataFrame | None, num_items: int = 2) -> Dataset:
    ids = np.arange(num_items)
    return Dataset("toy", "made up", ids, ids, num_items, num_items, {}, item_table=table)


def test_a_document_is_all_that_is_written_about_an_item() -> None:
    table = pd.DataFrame(
        {"title": ["One", None], "year": [1995, 1996], "description": ["A film.", "Another."]}
    )
    assert documents(data(table)) == ["One A film.", " Another."]


@pytest.mark.parametrize("table", [None, pd.DataFrame({"year": [1995, 1996]})])
def test_without_words_there_are_no_keywords(table: pd.DataFrame | None) -> None:
    texts = documents(data(table))
    assert texts == ["", ""]
    assert keywords(texts, {"one": [0], "all": [0, 1]}) == {"one": [], "all": []}


def test_keywords_are_what_a_group_has_more_of_than_the_rest() -> None:
    found = keywords(FILMS, {0: [0, 1], 1: [2, 3]})
    assert set(found[0]) == {"love", "romance", "comedy"}
    assert found[0][-1] == "comedy"  # another film has it as well
    assert set(found[1]) == {"star", "action", "sci-fi"}
    assert found[1][-1] == "sci-fi"


def test_stop_words_years_and_words_of_one_film_are_none() -> None:
    words = {
        word for group in keywords(FILMS, {i: [i] for i in range(5)}).values() for word in group
    }
    assert words == {"love", "comedy", "romance", "star", "sci-fi", "action"}


def test_groups_may_overlap_be_empty_or_hold_everything() -> None:
    found = keywords(FILMS, {"love": [0, 1], "first": [0, 1, 2], "none": [], "all": range(5)}, 2)
    assert set(found["love"]) == {"love", "romance"}
    assert len(found["first"]) == 2
    assert found["none"] == []
    assert len(found["all"]) == 2
