"""Missing modalities as tables: the controls, and the policies at every rate."""

from __future__ import annotations

import pandas as pd

from benchmark.experiments import CONTROLS, Experiment
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
    page,
    percent,
    remove,
    save,
)
from benchmark.outputs.missing_study import COMPLETE, averages, sign, study, verdict
from benchmark.outputs.tables import caption, heading, notes, of_experiment
from benchmark.record import Record

POLICIES = (
    "mask: the lost rows are zero; mean: the mean of the rows that are left; neighbours: features "
    "propagated along common users in the training data; drop: zero, and the items' interactions "
    "are taken out of training, while they stay candidates at test. What neighbours lend also "
    "tells who likes an item, and so may be worth more than what was lost."
)
READING = (
    "Best policy of a model in bold, second underlined; in brackets the change from complete "
    "features. The items that lose a modality are drawn at random, the same for all models and "
    "policies, and those lost at one rate are lost at all higher ones. Hyper-parameters are those "
    "tuned on complete features."
)
SIGNS = (
    "Knock-out: no item has the modality. Shuffle: the items exchange its rows, so that it is "
    "distributed as before but says nothing about an item. † significantly worse and * better than "
    "with complete features: paired t-test over users, p < 0.05 after Holm's correction for all "
    "controls; †† and ** p < 0.01. The models are taken as trained, so what another training "
    "changes is not in it."
)


def write(record: Record) -> None:
    """Write ``missing.csv``, ``.md`` and ``.tex`` if they were asked for and have a run."""
    experiment = record.experiment("missing")
    if experiment is None:
        return
    found = study(record)
    if found.empty:
        remove(record.folder, experiment.name, TABLE)
    else:
        write_study(experiment, found, record)


def write_study(experiment: Experiment, found: pd.DataFrame, record: Record) -> None:
    """Write the three forms.

    Args:
        experiment: The study.
        found: Of :func:`benchmark.outputs.missing_study.study`.
        record: Where to, and what the caption is about.
    """
    metric, runs = f"recall@{record.k}", of_experiment(experiment, record.runs)
    about, closed = caption(runs), notes(experiment, runs)
    models, modalities = found["model"].unique(), found["modality"].unique()
    said = [verdict(found, model, modality) for modality in modalities for model in models]
    said += [averages(found, modality) for modality in modalities]
    said = [sentence for sentence in said if sentence]
    title = f"{experiment.title}: {heading(metric)}"
    parts, tex = [f"**{title}**", listed(said)], []
    if found["policy"].isin(CONTROLS).any():
        parts += ["Without a modality, and with its rows shuffled:"]
        parts += [markdown(controls(found, metric, MARKDOWN)), MARKDOWN.text(SIGNS)]
        words = [f"{title} without a modality.", about, SIGNS, *closed]
        tex.append(latex([controls(found, metric, LATEX)], " ".join(words), "missing-controls"))
    for modality in modalities:
        shown, printed = (policies(found, modality, metric, form) for form in (MARKDOWN, LATEX))
        if shown:
            what = f"With {modality} missing for a share of the items"
            parts += [f"{what}:", markdown(pd.concat(shown))]
            words = [f"{title}. {what}.", about, POLICIES, READING, *closed]
            tex.append(latex(printed, " ".join(words), f"missing-{modality}"))
    parts += [f"{POLICIES} {READING} {about}", listed(closed)]
    save(
        record.folder / experiment.name,
        found.set_index("model"),
        page(*parts),
        "\n".join(tex),
    )


def controls(found: pd.DataFrame, metric: str, form: Format) -> pd.DataFrame:
    """Models in rows; complete features, and the controls of every modality, in columns.

    Args:
        found: Of :func:`benchmark.outputs.missing_study.study`.
        metric: That is shown.
        form: The language.
    """
    complete = found[found["policy"] == COMPLETE].drop_duplicates("model").assign(column=COMPLETE)
    changed = found[found["policy"].isin(CONTROLS)]
    changed = changed.assign(column=changed["modality"] + " " + changed["policy"])
    rows = pd.concat([complete, changed])
    rows = rows.assign(text=[told(row, metric, form) for _, row in rows.iterrows()])
    wide = rows.pivot(index="model", columns="column", values="text").fillna(NOTHING)
    return wide.loc[rows["model"].unique(), rows["column"].unique()].rename_axis(columns=None)


def policies(found: pd.DataFrame, modality: str, metric: str, form: Format) -> list[pd.DataFrame]:
    """For every model its policies in rows, and in columns the shares of items that lost it.

    Args:
        found: Of :func:`benchmark.outputs.missing_study.study`.
        modality: That is missing.
        metric: That is shown.
        form: The language.
    """
    mine = found[(found["modality"] == modality) & (found["policy"] != COMPLETE)]
    blocks = []
    for model, rows in mine[~mine["policy"].isin(CONTROLS)].groupby("model", sort=False):
        mean, spread, change = (
            rows.pivot(index="policy", columns="rate", values=name).loc[rows["policy"].unique()]
            for name in (metric, f"{metric}_sd", "change_percent")
        )
        text = numbers(mean, spread, form) + change.map(lambda value: bracketed(value, form))
        text.columns = [f"{100 * float(str(rate)):.0f} %" for rate in text]
        blocks.append(text.set_axis([f"{model}, {name}" for name in text.index]))
    return [block.rename_axis("model, policy") for block in blocks]


def told(row: pd.Series[float], metric: str, form: Format) -> str:
    """A number with its change and mark."""
    number = form.number(row[metric], row[f"{metric}_sd"], mark=sign(row))
    return number + bracketed(row["change_percent"], form)


def bracketed(change: float, form: Format) -> str:
    """A change after a number; nothing where there is none to tell."""
    return "" if pd.isna(change) else form.text(f" ({percent(change)})")
