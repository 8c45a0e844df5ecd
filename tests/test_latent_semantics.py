"""Features from words, by hand and beside scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmark.datasets.item_texts import item_texts, tokens
from benchmark.datasets.latent_semantics import DIM, latent_semantics
from models.errors import UsageError


def test_latent_semantics_by_hand() -> None:
    documents = [["a", "b"], ["a"], ["b"], ["once"], []]
    # with idf equal for a and b the rows are (1, 1)/sqrt(2), (1, 0), (0, 1): the first singular
    # vector is (1, 1)/sqrt(2), up to a sign that is fixed as positive
    matrix = latent_semantics(documents, 1)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(matrix[:, 0], [1, root, root, 0, 0], atol=1e-6)
    assert matrix.dtype == np.float32
    assert not np.signbit(matrix).any()


def some_documents(count: int = 90) -> list[list[str]]:
    generator = np.random.default_rng(0)
    return [[f"w{word}" for word in generator.zipf(1.5, 12) % 120] for _ in range(count)]


def test_latent_semantics_is_that_of_scikit_learn() -> None:
    documents = some_documents()
    weights = TfidfVectorizer(min_df=2).fit_transform(map(" ".join, documents))
    svd = TruncatedSVD(9, algorithm="arpack", random_state=1)
    expected = svd.fit_transform(weights)
    found = latent_semantics(documents, 9)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)


def test_as_many_numbers_as_there_can_be() -> None:
    assert latent_semantics(some_documents()).shape == (90, DIM)
    assert latent_semantics([["a", "b"], ["a", "c"], ["b", "c"]]).shape == (3, 2)


@pytest.mark.parametrize(
    ("documents", "dim", "words"),
    [
        ([["a"], ["b"]], None, r"2 items do not share two words; add columns"),
        ([["a"], ["a"]], 1, r"do not share two words"),
        ([], None, r"0 items do not share"),
        ([["a", "b"], ["a", "c"], ["b", "c"]], 3, r"--dim 3 .* 3 items .* 3 words; use at most 2"),
    ],
)
def test_too_few_words_say_so(documents: list[list[str]], dim: int | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        latent_semantics(documents, dim)


def test_texts_are_what_columns_say() -> None:
    table = pd.DataFrame(
        {
            "title": ["NA", None, "  "],
            "year": pd.array([1999, None, 2001], dtype="Int64"),
            "genres": ["", "Drama", np.nan],
        }
    )
    assert item_texts(table, ["genres", "title", "year"]) == [
        {"title": "NA", "year": "1999"},
        {"genres": "Drama"},
        {"year": "2001"},
    ]


def test_kinds_of_tokens_never_meet() -> None:
    texts = {"title": "Drama, in 1999: L'été", "release_year": "1999", "genres": "Drama Sci-Fi"}
    expected = ["drama", "in", "1999", "l", "été", "year:1999", "decade:199"]
    assert tokens(texts) == [*expected, "genre:Drama", "genre:Sci-Fi"]
    assert tokens({"genres": "Science Fiction| Drama"}) == ["genre:Science Fiction", "genre:Drama"]
    assert tokens({"year": "about 1999"}) == ["about", "1999"]


def test_equal_singular_values_give_the_same_every_time() -> None:
    documents = [[f"a{item // 2}", f"b{item % 2}"] for item in range(40)]
    first = latent_semantics(documents)
    for _ in range(3):
        np.testing.assert_array_equal(latent_semantics(documents), first)
