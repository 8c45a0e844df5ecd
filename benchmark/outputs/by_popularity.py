"""Recall by popularity of the items, as a table and a figure."""

from __future__ import annotations

import math

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark import popularity_groups
from benchmark.outputs.figures import ERROR_BARS, STYLE, WIDTH, colour, title
from benchmark.outputs.figures import save as save_figure
from benchmark.outputs.layout import (
    LATEX,
    MARKDOWN,
    PICTURE,
    TABLE,
    latex,
    listed,
    markdown,
    numbers,
    page,
    remove,
    save,
)
from benchmark.outputs.tables import PLACES, caption, heading, paper_and_anchors
from benchmark.popularity_groups import COLUMNS
from benchmark.record import Record

NAME = "popularity"
READING = (
    "Columns: items by their number of training interactions. Of the test interactions with these "
    "items, the share that is among the user's listed ones. Items without a training interaction "
    "are for themselves; the other groups hold about equal numbers of test interactions."
)
OLDER = "Not measured, since their runs are older than this table: {}."

PANELS = 5
"""Models side by side in the figure."""


def write(record: Record) -> None:
    """Write ``popularity.csv``, ``.md``, ``.tex``, ``.png`` and ``.pdf`` if there are groups."""
    if record.experiment("table2") is None:
        return
    found = recalls(record)
    if found.empty or found["most"].nunique() == 1:  # items held out whole are all alike
        remove(record.folder, NAME, (*TABLE, *PICTURE))
        return
    write_table(found, record)
    with matplotlib.rc_context(STYLE):
        save_figure(drawn(found, record.k), record.folder, NAME)


def recalls(record: Record) -> pd.DataFrame:
    """The recall of every model and group of items.

    Returns:
        One row per model and group that has a test interaction: ``variant`` and ``model``; the
        group as :func:`benchmark.popularity_groups.by_popularity` has it; of the share of its test
        interactions that are listed, the mean and the standard deviation over seeds (0 for a
        single one), such as ``recall@10`` and ``recall@10_sd``; and ``runs``.
    """
    metric, tables = f"recall@{record.k}", []
    for run in record.overall.to_dict("records"):
        if run["status"] == "ok" and popularity_groups.is_kept(record.store, run["run_id"]):
            table = popularity_groups.read(record.store, run["run_id"], record.k)
            table[metric] = table[f"hits@{record.k}"] / table["positives"]
            tables.append(table.assign(**{name: run[name] for name in ("variant", "model")})
                          .assign(runs=run["run_id"]))  # fmt: skip
    if not tables:
        return pd.DataFrame()
    rows = pd.concat(tables)
    grouped = rows[rows["positives"] > 0].groupby(["variant", "model", *COLUMNS], sort=False)
    found = grouped[metric].agg(["mean", "std"]).fillna(0)
    found = found.rename(columns={"mean": metric, "std": f"{metric}_sd"})
    return found.join(grouped["runs"].agg(" ".join)).reset_index()


def named(least: int, most: int) -> str:
    """A group by the training interactions of its items."""
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def write_table(found: pd.DataFrame, record: Record) -> None:
    """Write the three forms, models in rows and groups in columns.

    Args:
        found: Of :func:`recalls`.
        record: Where to, and what the caption is about.
    """
    metric = f"recall@{record.k}"
    model_of = dict(zip(found["variant"], found["model"], strict=True))
    paper, anchors = paper_and_anchors(model_of)
    groups = found.drop_duplicates("least").set_index("least").sort_index()
    names = [named(*pair) for pair in zip(groups.index, groups["most"], strict=True)]
    mean, deviation = (
        found.pivot(index="variant", columns="least", values=values)
        .loc[[*paper, *anchors]]
        .set_axis(names, axis=1)
        .rename_axis("model")
        for values in (metric, f"{metric}_sd")
    )
    sizes = groups[["items", "positives"]].set_axis(["items", "test interactions"], axis=1).T
    below = sizes.set_axis(names, axis=1).map(lambda count: f"{count:,}").rename_axis("model")
    shown, printed = (numbers(mean, deviation, form) for form in (MARKDOWN, LATEX))
    done = record.overall[record.overall["status"] == "ok"]
    older = [name for name in done["variant"].unique() if name not in model_of]
    words = [f"{heading(metric)} by popularity.", caption(record.overall), READING, PLACES]
    closed = [OLDER.format(", ".join(older))] if older else []
    exact = found.drop(columns="model").set_index("variant").rename_axis("model")
    blocks = [printed.loc[models] for models in (paper, anchors) if models]
    save(
        record.folder / NAME,
        exact[[*COLUMNS, metric, f"{metric}_sd", "runs"]],
        page(
            f"**{words[0]}**",
            markdown(pd.concat([shown, below]).rename_axis("model")),
            MARKDOWN.text(" ".join(words[1:])),
            listed(closed),
        ),
        latex([*blocks, below], " ".join([*words, *closed]), NAME),
    )


def drawn(found: pd.DataFrame, k: int) -> Figure:
    """A panel of bars per model, the best recall of all models behind them.

    Args:
        found: Of :func:`recalls`.
        k: Cut-off of the recall.
    """
    metric = f"recall@{k}"
    model_of = dict(zip(found["variant"], found["model"], strict=True))
    paper, anchors = paper_and_anchors(model_of)
    best = found.groupby("least")[metric].max()
    columns = min(PANELS, len(model_of))
    rows = math.ceil(len(model_of) / columns)
    figure = Figure(figsize=(WIDTH, 0.5 + 1.25 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for axes, variant in zip(panels, [*paper, *anchors], strict=False):
        mine = found[found["variant"] == variant].sort_values("least")
        places, spread = range(len(mine)), mine[f"{metric}_sd"]
        axes.bar(places, best, width=0.8, color="#e6e6e6")
        axes.bar(
            places, mine[metric], yerr=spread if spread.any() else None, width=0.8,
            color=colour(model_of[variant]), error_kw={**ERROR_BARS},
        )  # fmt: skip
        axes.set_title(variant)
        axes.set_xticks(
            places, list(map(named, mine["least"], mine["most"])), rotation=90, fontsize=6
        )
        axes.tick_params("x", length=0)
        axes.yaxis.set_major_locator(MaxNLocator(3))
    for axes in panels[len(model_of) :]:
        axes.set_visible(False)
    for axes in panels[len(model_of) - columns : len(model_of)]:  # nothing is below them
        axes.tick_params("x", labelbottom=True)
    figure.supylabel(title(metric), fontsize=8)
    figure.supxlabel("training interactions of the item (grey: the best of all models)", fontsize=8)
    return figure
