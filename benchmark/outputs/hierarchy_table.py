"""The planted hierarchy as a table: what HUIGN recommends with it, and how much of it it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from benchmark.experiments import CONTROL, Experiment
from benchmark.outputs.hierarchy_study import CHANCE, COLLAPSED, measures
from benchmark.outputs.layout import (
    LATEX,
    MARKDOWN,
    Format,
    latex,
    listed,
    markdown,
    numbers,
    page,
    percent,
    save,
)
from benchmark.outputs.tables import caption, heading, notes, of_experiment
from benchmark.record import Record

READING = (
    "Structures have as many intents as were planted, level by level, the fine ones first. NMI "
    "(normalised mutual information) and purity hold every item's strongest intent against the "
    "planted one. JSD is the Jensen-Shannon divergence of the items' distributions over intents, "
    "as a share of its largest value: 0 if all items look alike, and the intents have collapsed, "
    "however their last digits may group the items. All three are means over modalities. Of HUIGN "
    "the best is bold, the second underlined. HUIGN-C-I is without the entropy and the "
    "independence loss. For comparison: HUIGN without intents (BPR-MF); k-means, with as many "
    "groups as were planted, of the features and of their sums over neighbours in the item graph, "
    "which is what HUIGN assigns by; and what such groups reach with items dealt out at random. "
    "Hyper-parameters are those tuned for HUIGN 32-8-4."
)


def write_study(experiment: Experiment, found: pd.DataFrame, record: Record) -> None:
    """Write ``hierarchy.csv``, ``.md`` and ``.tex``.

    Args:
        experiment: The study.
        found: Of :func:`benchmark.outputs.hierarchy_study.study`.
        record: Where to, and what the caption is about.
    """
    runs = of_experiment(experiment, record.runs)
    title, about, closed = experiment.title, f"{caption(runs)} {READING}", notes(experiment, runs)
    said = [*on_recommending(found, f"recall@{record.k}"), *on_finding(found)]
    shown, printed = (as_text(found, record.k, form) for form in (MARKDOWN, LATEX))
    blocks = [rows for _, rows in printed.groupby(level=0, sort=False)]
    save(
        record.folder / experiment.name,
        found.set_index("variant"),
        page(f"**{title}**", listed(said), markdown(shown), MARKDOWN.text(about), listed(closed)),
        latex(blocks, " ".join([f"{title}.", about, *closed]), experiment.name),
    )


def as_text(found: pd.DataFrame, k: int, form: Format) -> pd.DataFrame:
    """What is printed of the study: a place in a row, the best among HUIGN's runs standing out.

    Args:
        found: Of :func:`benchmark.outputs.hierarchy_study.study`.
        k: Cut-off of the metrics.
        form: The language.
    """
    ranked = [f"recall@{k}", f"ndcg@{k}", *measures(found, "nmi"), *measures(found, "purity")]
    names, plain = [*ranked, *measures(found, "jsd")], replace(form, best="{}", second="{}")
    deviation = found[[f"{name}_sd" for name in names]].set_axis(names, axis=1)
    text = numbers(found[names], deviation, plain)
    mine = found["variant"] != CONTROL
    text.loc[mine, ranked] = numbers(found.loc[mine, ranked], deviation.loc[mine, ranked], form)
    text.insert(0, "structure", found["structure"].map(form.text))
    return text.set_axis(pd.Index(found["variant"])).rename(columns=heading)


def on_recommending(found: pd.DataFrame, metric: str) -> Iterator[str]:
    """What intents and further levels are worth, in sentences.

    Args:
        found: Of :func:`benchmark.outputs.hierarchy_study.study`.
        metric: By which it is told.
    """
    best = highest(found[found["variant"] != CONTROL], metric)
    none = found.loc[found["structure"] == "no intents", metric]
    against = "".join(
        f"; without intents it is {value:.4f} ({percent(100 * (best[metric] / value - 1))})"
        for value in none[none > 0]
    )
    name = f"{best['variant']} {best['structure']}"
    yield f"The highest {heading(metric)} is {best[metric]:.4f}, of {name}{against}."
    wide = by_form(found, metric)
    first, *deeper = wide
    for structure in deeper:
        change = (100 * (wide[structure] / wide[first].where(wide[first] > 0) - 1)).dropna()
        if len(change):
            told = ", ".join(f"{percent(value)} ({form})" for form, value in change.items())
            yield f"{structure} instead of {first} changes {heading(metric)} by {told}."


def on_finding(found: pd.DataFrame) -> Iterator[str]:
    """What was found of every planted level, in sentences.

    Args:
        found: Of :func:`benchmark.outputs.hierarchy_study.study`.
    """
    mine, controls = found[found["variant"] != CONTROL], found[found["variant"] == CONTROL]
    for name in measures(found, "nmi"):
        known, level = mine.dropna(subset=name), name.partition("@")[2]
        if known.empty:
            continue
        best = highest(known, name)
        words = f"{best['variant']} {best['structure']} finds most, with an NMI of {best[name]:.2f}"
        others = controls.dropna(subset=name).set_index("structure")[name]
        told = ", ".join(f"{other} {value:.2f}" for other, value in others.items())
        found_any = best[name] > others.get(CHANCE, 0)
        flat = known[known[f"jsd@{level}"] < COLLAPSED]
        which = ", ".join(flat["variant"] + " " + flat["structure"])
        yield (
            f"Of level {level}{f', {words}' if found_any else ' nothing is found'} ({told}). It "
            f"has collapsed, to a JSD below {COLLAPSED}, in {len(flat)} of {len(known)}"
            f"{': ' * bool(which)}{which}."
        )


def highest(rows: pd.DataFrame, name: str) -> pd.Series[Any]:
    """The row with the highest value of a column, the first of several."""
    first: pd.Series[Any] = rows[rows[name] == rows[name].max()].iloc[0]
    return first


def by_form(found: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One metric: forms of HUIGN in rows, structures in columns."""
    mine = found[found["variant"] != CONTROL]
    wide = mine.pivot(index="variant", columns="structure", values=metric)
    return wide.loc[mine["variant"].unique(), mine["structure"].unique()]
