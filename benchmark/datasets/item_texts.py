"""What is written about items: by column, and as tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd


def item_texts(table: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, str]]:
    """By item id what the columns of a table of items say; those that say nothing are left out."""
    rows = table[list(columns)].astype(object).itertuples(index=False, name=None)
    return [
        {
            column: str(value)
            for column, value in zip(columns, row, strict=True)
            if not pd.isna(value) and str(value).strip()
        }
        for row in rows
    ]


def tokens(texts: Mapping[str, str]) -> list[str]:
    """One item's words, genres, year and decade; kinds of tokens never meet.

    Args:
        texts: By column. Of ``genres`` every genre is a token, of ``year`` (or ``release_year``)
            the year and its decade, of all other columns every word in lower case.
    """
    found = []
    for column, text in texts.items():
        if column == "genres":
            separator = r"[|,;]" if re.search(r"[|,;]", text) else r"\s"
            genres = (genre.strip() for genre in re.split(separator, text))
            found += [f"genre:{genre}" for genre in genres if genre]
        elif column.endswith("year") and text.isdecimal():
            found += [f"year:{text}", f"decade:{int(text) // 10}"]
        else:
            found += re.findall(r"\w+", text.lower())
    return found
