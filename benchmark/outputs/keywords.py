"""The words that tell a group of items from all others."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmark.datasets import Dataset

Name = TypeVar("Name", bound=Hashable)

SOURCES = ("title", "genres", "description")
"""Columns of a table of items that hold words."""

WORD = r"(?u)[^\W\d_]{3,}(?:-[^\W\d_]+)*"
"""Three letters or more, so that no year is one; "Sci-Fi" is one."""


def documents(dataset: Dataset) -> list[str]:
    """What is written about every item, as one text; empty where nothing is."""
    table = dataset.item_table
    if table is None:
        return [""] * dataset.num_items
    known = table.reindex(columns=[name for name in SOURCES if name in table]).fillna("")
    return [" ".join(map(str, row)) for row in known.to_numpy()]


def keywords(
    documents: Sequence[str], groups: Mapping[Name, Sequence[int]], count: int = 6
) -> dict[Name, list[str]]:
    r"""The words of each group, the most telling first.

    A group is one document, the mean of its items' TF-IDF vectors, and a word's weight in it is
    what it has more of than the items outside:

    .. math::
        w_{g,t} = \mathrm{mean}_{i \in g}\,\mathrm{tfidf}_{i,t}
                - \mathrm{mean}_{i \notin g}\,\mathrm{tfidf}_{i,t}

    English stop words and words of a single item are left out.

    Args:
        documents: Of all items.
        groups: Places in ``documents`` by name; groups may overlap.
        count: Largest number of words (default: ``6``).

    Returns:
        Words of positive weight by name of group; none at all if the documents have none.
    """
    vectorizer = TfidfVectorizer(
        stop_words="english", token_pattern=WORD, min_df=2, sublinear_tf=True
    )
    try:
        tfidf = vectorizer.fit_transform(documents)
    except ValueError:  # no word is in two documents
        return {name: [] for name in groups}
    words, total, found = vectorizer.get_feature_names_out(), tfidf.sum(axis=0), {}
    for name, members in groups.items():
        inside = tfidf[list(members)].sum(axis=0)
        outside = (total - inside) / max(1, len(documents) - len(members))
        weights = np.asarray(inside / max(1, len(members)) - outside).ravel()
        best = np.argsort(-weights, kind="stable")[:count]
        found[name] = [str(words[place]) for place in best if weights[place] > 1e-9]
    return found
