"""Tables with one row per model, the paper's models before the anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from benchmark.experiments import Experiment
from benchmark.outputs.layout import (
    LATEX,
    MARKDOWN,
    Format,
    latex,
    listed,
    markdown,
    numbers,
    page,
    save,
)
from benchmark.outputs.tables import notes, paper_and_anchors
from benchmark.record import Record


def write_by_model(
    record: Record,
    name: str,
    title: str,
    columns: Mapping[str, str],
    words: str,
    ranked: Sequence[str],
) -> None:
    """Write means over seeds as ``.csv``, ``.md`` and ``.tex``.

    Args:
        record: With a result of Table 2.
        name: Of the files.
        title: What the table is about.
        columns: What is printed for each column of ``runs.csv``.
        words: How to read it.
        ranked: The columns whose highest value is the best.
    """
    runs = record.overall[record.overall["status"] == "ok"]
    paper, anchors = paper_and_anchors(dict(zip(runs["variant"], runs["model"], strict=True)))
    grouped = runs.reindex(columns=["variant", *columns]).groupby("variant")
    mean = grouped.mean().loc[[*paper, *anchors]].rename_axis("model")
    deviation = grouped.std(ddof=1).fillna(0).loc[mean.index]
    pairs = [each for metric in columns for each in (metric, f"{metric}_sd")]
    exact = mean.join(deviation.add_suffix("_sd"))[pairs]
    exact["runs"] = runs.groupby("variant")["run_id"].agg(" ".join)

    def text(form: Format) -> pd.DataFrame:
        shown = numbers(mean, deviation, form)
        for metric in set(columns) - set(ranked):
            shown[metric] = list(map(form.number, mean[metric], deviation[metric]))
        return shown.rename(columns=dict(columns))

    printed = text(LATEX)
    closed = notes(record.experiment("table2") or Experiment("", "", []), record.overall)
    save(
        record.folder / name,
        exact,
        page(f"**{title}**", markdown(text(MARKDOWN)), MARKDOWN.text(words), listed(closed)),
        latex(
            [printed.loc[models] for models in (paper, anchors) if models],
            " ".join([f"{title}.", words, *closed]),
            name,
        ),
    )
