"""Table 2: overall performance, the paper's models beside the anchors that it lacks."""

from __future__ import annotations

import json
from itertools import chain

import pandas as pd

from benchmark.experiments import PROPOSED, Experiment
from benchmark.outputs import significance
from benchmark.outputs.layout import (
    LATEX,
    MARKDOWN,
    TABLE,
    Format,
    latex,
    listed,
    markdown,
    numbers,
    page,
    percent,
    remove,
    save,
)
from benchmark.outputs.tables import (
    HITS,
    METRICS,
    PLACES,
    caption,
    heading,
    notes,
    paper_and_anchors,
    table2,
)
from benchmark.record import Record

TITLE = "Overall performance"
GAIN = "improvement"
SIGNS = (
    "* significantly better and † significantly worse than the best of {} in this metric: paired "
    "t-test over users, p < 0.05 after Holm's correction; ** and †† p < 0.01; the models are taken "
    "as trained, so what another training changes is not in it."
)


def write(record: Record) -> None:
    """Write ``table2.csv``, ``.md`` and ``.tex`` if Table 2 was asked for and has a run."""
    if record.experiment("table2") is None:
        return
    if record.overall.empty:
        remove(record.folder, "table2", TABLE)
    else:
        found = significance.statistics(record)
        write_table2(record, found if found.empty else significance.marks(found))


def write_table2(record: Record, marks: pd.DataFrame) -> None:
    """Write the three forms.

    Args:
        record: What is stored.
        marks: Signs of significance, metrics in rows and models in columns; empty for none.
    """
    exact, deviation = table2(record.overall, record.ks)
    groups = columns(record.overall, exact)
    legend, closed = " ".join(captions(record, marks)), missing(record)
    shown, printed = (readable(exact, deviation, marks, form) for form in (MARKDOWN, LATEX))
    headline = [f"{metric}@{record.k}" for metric in METRICS]
    parts = [f"**{TITLE}**"]
    for title, names in groups.items():
        by_model = shown.loc[headline, names].T.rename(columns=heading).rename_axis("model")
        parts += [f"{title}:", markdown(by_model)]
    parts += [MARKDOWN.text(legend), listed(closed)]
    for title, names in groups.items():
        by_metric = shown[names].rename(index=heading).rename_axis("metric")
        parts += [f"{title}, at all cut-offs:", markdown(by_metric)]
    blocks = [
        printed.loc[[f"{metric}@{k}" for k in record.ks], [*chain(*groups.values())]]
        for metric in METRICS
    ]
    tex = latex(
        [rows.rename(index=heading).rename_axis("metric") for rows in blocks],
        " ".join([f"{TITLE}.", legend, *closed]),
        "table2",
        {title: len(names) for title, names in groups.items()},
    )
    save(record.folder / "table2", exact, page(*parts), tex)


def columns(runs: pd.DataFrame, exact: pd.DataFrame) -> dict[str, list[str]]:
    """The columns to be printed, in groups by their headings; none that would be empty.

    Args:
        runs: Rows of Table 2.
        exact: The means of :func:`benchmark.outputs.tables.table2`.
    """
    paper, anchors = paper_and_anchors(dict(zip(runs["variant"], runs["model"], strict=True)))
    gain = [] if exact["improvement_percent"].isna().all() else [GAIN]
    groups = {
        "The paper's models": [name for name in paper if name in exact] + gain,
        "Anchors, which the paper lacks": [name for name in anchors if name in exact],
    }
    return {title: names for title, names in groups.items() if names}


def readable(
    exact: pd.DataFrame, deviation: pd.DataFrame, marks: pd.DataFrame, form: Format
) -> pd.DataFrame:
    """Table 2 as text, with what HUIGN gains in the column :data:`GAIN`.

    Args:
        exact: The means of :func:`benchmark.outputs.tables.table2`.
        deviation: Their standard deviations.
        marks: Signs of significance at some of their places.
        form: The language.
    """
    mean = exact.drop(columns="improvement_percent").T
    text = numbers(mean, deviation.T, form, marks.T).T
    text[GAIN] = [form.text(percent(gain)) for gain in exact["improvement_percent"]]
    return text


def captions(record: Record, marks: pd.DataFrame) -> list[str]:
    """Sentences on what the numbers are and how to read them."""
    models = significance.successful(record)["model"].tolist()
    baselines = significance.baselines(models).any()
    signs = SIGNS.format("the paper's baselines" if baselines else "all models but HUIGN")
    gain = f"{GAIN}: HUIGN against the strongest of the paper's other models."
    return [
        caption(record.overall),
        budgets(record.overall, record.trials),
        f"{PLACES[:-1]}, of all models.",
        *([gain] if baselines and PROPOSED in models else []),
        *([signs] if (marks != "").to_numpy().any() else []),
        HITS,
    ]


def missing(record: Record) -> list[str]:
    """Sentences on the models without a result, those included that were asked for earlier."""
    return notes(record.experiment("table2") or Experiment("", "", []), record.overall)


def budgets(runs: pd.DataFrame, trials: pd.DataFrame) -> str:
    """What every model's tuning could spend, and the models for which that differs.

    Args:
        runs: Rows of Table 2.
        trials: Rows of ``trials.csv``.
    """
    studies = trials["run_id"].str.rpartition("-")[0] if len(trials) else pd.Series(dtype=str)
    counts, models = studies.value_counts(), dict[str, list[str]]()
    for variant, rows in runs[runs["status"] == "ok"].groupby("variant", sort=False):
        params = json.loads(rows["params"].iloc[-1])
        count = counts.get(rows["study"].iloc[-1], 0)
        spent = f"{count} trial{'' if count == 1 else 's'}" if count else "nothing to tune"
        if "epochs" in params:
            # a model of several stages trains this long in each of them
            staged = " a stage" if rows["epochs"].max() > params["epochs"] else ""
            patience = f", patience {params['patience']}" if "patience" in params else ""
            spent += f" of at most {params['epochs']} epochs{staged}{patience}"
        models.setdefault(spent, []).append(str(variant))
    if not models:
        return ""
    usual, *others = sorted(models, key=lambda spent: -len(models[spent]))
    unequal = "; ".join(f"{spent} for {', '.join(models[spent])}" for spent in others)
    return f"Budget of each tuned model: {usual}{unequal and f', except {unequal}'}."
