"""The ablation: every form of HUIGN beside the published one, and what its intents come to."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmark.experiments import Experiment
from benchmark.outputs import significance
from benchmark.outputs.layout import (
    LATEX,
    MARKDOWN,
    NOTHING,
    TABLE,
    Format,
    latex,
    listed,
    markdown,
    numbers,
    p_text,
    page,
    remove,
    save,
    two_digits,
)
from benchmark.outputs.tables import by_cell, caption, heading, notes, of_experiment
from benchmark.record import Record
from benchmark.writing import StoreError

READING = (
    "Best in bold, second underlined. Difference of the recall to HUIGN as published, with its "
    "95 % bootstrap interval over users; p: paired t-test over users after Holm's correction for "
    "all forms. Users' values are means over the seeds; the models are taken as trained. Intents "
    "vary: the standard deviation over items of their share in an intent, in percent of the mean "
    "share, by level, mean over modalities, at the epoch that was kept; 0 if all items look alike. "
    "HUIGN-I is without its independence loss; its common users are those of connected items. "
    "Hyper-parameters as tuned for HUIGN as published."
)


def write(record: Record) -> None:
    """Write ``ablation.csv``, ``.md`` and ``.tex`` if they were asked for and have a run."""
    experiment = record.experiment("ablation")
    if experiment is None:
        return
    found = study(experiment, record)
    if found.empty:
        remove(record.folder, experiment.name, TABLE)
        return
    runs = of_experiment(experiment, record.runs)
    about, closed = f"{caption(runs)} {READING}", notes(experiment, runs)
    shown, printed = (as_text(found, record.k, form) for form in (MARKDOWN, LATEX))
    said = listed(verdicts(found, record.k))
    save(
        record.folder / experiment.name,
        found.set_index("form"),
        page(f"**{experiment.title}**", said, markdown(shown), about, listed(closed)),
        latex([printed], " ".join([f"{experiment.title}.", about, *closed]), experiment.name),
    )


def study(experiment: Experiment, record: Record) -> pd.DataFrame:
    """Every form that has a run.

    Args:
        experiment: Of :func:`benchmark.experiments.ablation`.
        record: What is stored.

    Returns:
        The rows of :func:`benchmark.outputs.tables.by_cell`, with the columns of
        :func:`benchmark.outputs.significance.beside` for the recall and the first form, ``p_holm``,
        and ``varying@1``, ``varying@2``, ...: how much the intents of a level vary between items,
        in percent.
    """
    runs = of_experiment(experiment, record.runs)
    cells = by_cell(experiment, runs, record.k)
    if cells.empty:
        return cells
    label_of = {str(place["form"]): variant.label for place, variant in experiment.cells}
    published, *_ = label_of.values()
    pairs = [(label_of[form], published) for form in cells["form"]]
    tested = significance.beside(record, runs, f"recall@{record.k}", pairs)
    others = tested["p_value"].notna() & (cells["form"] != next(iter(label_of)))
    cells[tested.columns] = tested.where(others)
    cells["p_holm"] = np.nan
    cells.loc[others, "p_holm"] = significance.holm(tested.loc[others, "p_value"].to_numpy())
    done = runs[runs["status"] == "ok"]
    varying = pd.DataFrame([spread(done[done["variant"] == label], record) for label, _ in pairs])
    cells[varying.columns] = varying
    cells["runs"] = cells.pop("runs")  # the last column
    return cells


def spread(runs: pd.DataFrame, record: Record) -> dict[str, float]:
    """How much the intents of each level vary between items, in percent of their mean share.

    Args:
        runs: Rows of ``runs.csv``, of one form.
        record: With the runs' histories; those that are lost are left out.
    """
    found: dict[str, list[float]] = {}
    for run_id, params in zip(runs["run_id"], runs["params"], strict=True):
        try:
            history = record.store.history(run_id)
        except StoreError:
            continue
        sizes = json.loads(params)["levels"]
        signs = history.loc[[history["validation"].idxmax()]].filter(regex="/std$")
        for column, values in signs.items():
            level = str(column).split("/")[-2]
            mean_share = 1 / sizes[int(level) - 1]
            found.setdefault(f"varying@{level}", []).append(100 * values.item() / mean_share)
    return {name: float(np.mean(values)) for name, values in found.items()}


def as_text(found: pd.DataFrame, k: int, form: Format) -> pd.DataFrame:
    """What is printed of the study, a form in a row.

    Args:
        found: Of :func:`study`.
        k: Cut-off of the metrics.
        form: The language.
    """
    metrics = [f"recall@{k}", f"ndcg@{k}"]
    deviation = found[[f"{metric}_sd" for metric in metrics]].set_axis(metrics, axis=1)
    text = numbers(found[metrics], deviation, form).rename(columns=heading)
    text["difference [95 % CI]"] = [form.text(interval(row)) for _, row in found.iterrows()]
    text["p (Holm)"] = [form.text(p_text(p)) for p in found["p_holm"]]
    for name in found.columns[found.columns.str.startswith("varying@")]:
        text[heading(name)] = [
            form.text(NOTHING if pd.isna(value) else f"{two_digits(value)} %")
            for value in found[name]
        ]
    return text.set_axis(pd.Index([form.text(name) for name in found["form"]], name="form"))


def interval(row: pd.Series[float]) -> str:
    """A difference with its interval; nothing where there is none."""
    if pd.isna(row["difference"]):
        return ""
    low, high = row["difference_low"], row["difference_high"]
    return f"{row['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"


def verdicts(found: pd.DataFrame, k: int) -> Iterator[str]:
    """Which forms are better, worse and neither, in sentences.

    Args:
        found: Of :func:`study`.
        k: Cut-off of the recall.
    """
    tested = found.dropna(subset="p_holm")
    sure = tested["p_holm"] < 0.05
    sides = {
        "better than HUIGN as published": sure & (tested["difference"] > 0),
        "worse": sure & (tested["difference"] < 0),
        "not shown to differ": ~sure,
    }
    for says, those in sides.items():
        if those.any():
            yield f"By {heading(f'recall@{k}')} {says}: {'; '.join(tested.loc[those, 'form'])}."
