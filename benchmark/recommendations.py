"""Lists of recommended items under the names that the data files use."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmark.datasets import Dataset
from benchmark.datasets.reading import readable
from benchmark.evaluation import MIN_ROWS
from benchmark.intents import titles
from benchmark.splits import Split, interactions_of
from benchmark.writing import StoreError, harmless, write_atomic
from models.errors import UsageError
from models.interactions import Interactions, UserItems
from models.ranking import top_k
from models.recommender import Recommender

EVERYBODY = "all"

BATCH_SIZE = 256


def user_ids(dataset: Dataset, asked: Sequence[str]) -> Tensor:
    """The ids of users who are asked for, without repetition.

    Args:
        dataset: Knows their names.
        asked: Names, and ``@file`` for the names in a file, one on a line; or ``all``.

    Raises:
        UsageError: If a name is unknown, or there is none.
    """
    if list(asked) == [EVERYBODY]:
        return torch.arange(dataset.num_users)
    wanted = list(dict.fromkeys(name for each in asked for name in _expanded(each)))
    names = named(dataset.user_names, dataset.num_users)
    ids = dict(zip(names, range(dataset.num_users), strict=True))
    unknown = [name for name in wanted if name not in ids]
    if unknown or not wanted:
        shown = ", ".join(f"'{name[:40]}'" for name in unknown[:5])
        raise UsageError(
            f"--users: {len(unknown)} of {len(wanted)} are not in '{dataset.name}' "
            f"({shown or 'none was given'}); name users as the data do, from '{names[0]}' to "
            f"'{names[-1]}', or '{EVERYBODY}'"
        )
    return torch.tensor([ids[name] for name in wanted])


def _expanded(name: str) -> list[str]:
    if not name.startswith("@"):
        return [name]
    path = Path(name[1:])
    with readable(path):
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    return [line for line in lines if line]


def named(names: Sequence[str] | None, count: int) -> Sequence[str]:
    """Names by id, the numbers themselves where there are no others."""
    return [str(number) for number in range(count)] if names is None else names


def excluded(dataset: Dataset, parts: Split, which: str) -> Interactions | None:
    """The pairs that are not recommended, for one of ``seen``, ``known`` and ``nothing``.

    Some of the data may be in no part, see :func:`benchmark.splits.split_items`.
    """
    if which == "nothing":
        return None
    if which == "known":
        return parts.train.union(parts.validation)
    return interactions_of(dataset).to(parts.train.device)


def batched(users: Tensor) -> Sequence[Tensor]:
    """Users to rank at a time."""
    return torch.split(users, BATCH_SIZE)


def recommended(
    model: Recommender,
    dataset: Dataset,
    batches: Iterable[Tensor],
    k: int,
    exclude: Interactions | None,
) -> pd.DataFrame:
    """The best items of every user, as by :meth:`models.recommender.Recommender.recommend`.

    Args:
        model: Fitted.
        dataset: Knows the names.
        batches: Ids of users, on the device of the model.
        k: Length of the lists; shorter where a user has fewer candidates.
        exclude: Pairs that are not recommended.

    Returns:
        Columns ``user``, ``rank`` (from 1), ``item``, ``title`` (empty if unknown), ``score``.
    """
    seen = None if exclude is None else exclude.by_user()
    user_names = np.array(named(dataset.user_names, dataset.num_users), dtype=object)
    item_names = np.array(named(dataset.item_names, dataset.num_items), dtype=object)
    item_titles = np.array(titles(dataset), dtype=object)
    frames = []
    for users in batches:
        items, scores = (each.cpu().numpy() for each in ranked(model, users, k, seen))
        rows, places = np.nonzero(items >= 0)
        listed = items[rows, places]
        frames.append(
            pd.DataFrame(
                {
                    "user": user_names[users.cpu().numpy()[rows]],
                    "rank": places + 1,
                    "item": item_names[listed],
                    "title": item_titles[listed],
                    "score": scores[rows, places],
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


@torch.no_grad()
def ranked(
    model: Recommender, users: Tensor, k: int, seen: UserItems | None
) -> tuple[Tensor, Tensor]:
    """Items and their scores, each ``[batch_size, k]``; items are -1 where there are fewer."""
    # as when models are tested, so that a list does not depend on who else is asked for
    filler = users[-1:].expand(max(0, MIN_ROWS - len(users)))
    scores = model.score(torch.cat([users, filler]))[: len(users)]
    if seen is not None:
        scores = scores.index_put(seen.positions(users), scores.new_tensor(-torch.inf))
    items = top_k(scores, k)
    return items, scores.gather(1, items.clamp(min=0))


def write(table: pd.DataFrame, path: Path) -> None:
    """Write lists as CSV or Parquet, by the ending of the path.

    In CSV a text that a spreadsheet would take for a formula gets an apostrophe in front, unless
    it is a number; Parquet keeps every text as it is.
    """
    content = io.BytesIO()
    if path.suffix == ".parquet":
        table.to_parquet(content, engine="pyarrow", index=False)
    else:
        text = table.assign(
            **{name: table[name].map(harmless) for name in ("user", "item", "title")}
        )
        text.to_csv(content, index=False, lineterminator="\n", float_format="%.9g")
    try:
        write_atomic(path, content.getvalue())
    except StoreError as error:
        reason = error.__cause__
        raise UsageError(f"--out '{path}' cannot be written ({reason}); choose another") from error
