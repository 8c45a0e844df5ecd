"""What tables hold, from stored rows alone, and those that list the cells of an experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from benchmark.experiments import PAPER_MODELS, PROPOSED, Experiment
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
    remove,
    save,
)
from benchmark.presets import EXACT
from benchmark.protocols import PROTOCOLS
from benchmark.record import Record
from benchmark.splits import SHIPPED
from benchmark.store import SINCE_THEN
from models.registry import label

METRICS = ("precision", "recall", "ndcg", "ndcg_hits")
HEADINGS = {
    "precision": "Precision@{}",
    "recall": "Recall@{}",
    "ndcg": "NDCG@{}",
    "ndcg_hits": "NDCG@{} (hits)",
    "coverage": "Coverage@{}",
    "novelty": "Novelty@{}",
    "gini": "Gini@{}",
    "nmi": "NMI, level {}",
    "purity": "Purity, level {}",
    "jsd": "JSD, level {}",
    "varying": "intents vary, level {}",
    "min_co_users": "common users, at least",
}
"""What is printed for metrics, and for places that are called after an option."""

OF_THEIR_OWN = ("table2", "figure4", "protocol", "ablation", "missing", "hierarchy")
"""Experiments that are not written as the list of their cells."""

FEW = 6
"""So many cells without a run are named; of more, their number and models."""

PLACES = "Best in bold, second underlined."
HITS = (
    "NDCG (hits) takes the ideal list over the hits alone, as the released code does: only this "
    "one compares with the paper's."
)


def write(record: Record) -> None:
    """Write every experiment that has a run, if its table is the list of its cells."""
    for experiment in record.experiments:
        if experiment.name not in OF_THEIR_OWN:
            cells = by_cell(experiment, record.runs, record.k)
            if cells.empty:
                remove(record.folder, experiment.name, TABLE)
            else:
                write_cells(experiment, cells, record)


def by_cell(experiment: Experiment, runs: pd.DataFrame, k: int) -> pd.DataFrame:
    """One row per place of an experiment that has a result.

    Returns:
        The place's own columns; every metric's mean over seeds at ``k``, and its standard
        deviation (0 for a single one) under the metric's name with ``_sd``; and ``runs``, the ids
        of the rows that it comes from.
    """
    runs, rows = of_experiment(experiment, runs), []
    done = runs[runs["status"] == "ok"]
    for place, variant in experiment.cells:
        mine = done[done["variant"] == variant.label]
        if not mine.empty:
            row = dict(place)
            for metric in (f"{name}@{k}" for name in METRICS):
                row[metric] = mine[metric].mean()
                row[f"{metric}_sd"] = mine[metric].std(ddof=1) if len(mine) > 1 else 0.0
            rows.append({**row, "runs": " ".join(mine["run_id"])})
    return pd.DataFrame(rows)


def write_cells(experiment: Experiment, cells: pd.DataFrame, record: Record) -> None:
    """Write an experiment as ``.csv``, ``.md`` and ``.tex``, its places in rows.

    Args:
        experiment: With places that all have the same columns.
        cells: Of :func:`by_cell`.
        record: Where to, and what the caption is about.
    """
    first, *others = experiment.cells[0][0]
    places = cells.set_index(first)
    shown, printed = (cells_as_text(places, others, record.k, form) for form in (MARKDOWN, LATEX))
    runs = of_experiment(experiment, record.runs)
    words, closed = legend(runs), notes(experiment, runs)
    # where several columns name a place, a rule wherever the first of them changes
    blocks = [rows for _, rows in printed.groupby(level=0, sort=False)] if others else [printed]
    save(
        record.folder / experiment.name,
        places,
        page(f"**{experiment.title}**", markdown(shown), words, listed(closed)),
        latex(blocks, " ".join([f"{experiment.title}.", words, *closed]), experiment.name),
    )


def cells_as_text(
    places: pd.DataFrame, others: Sequence[str], k: int, form: Format
) -> pd.DataFrame:
    """What is printed of an experiment's cells.

    Args:
        places: Of :func:`by_cell`, with the first column that names a place as index.
        others: The other columns that name a place.
        k: Cut-off of the metrics.
        form: The language.
    """
    metrics = [f"{name}@{k}" for name in METRICS]
    deviation = places[[f"{metric}_sd" for metric in metrics]].set_axis(metrics, axis=1)
    named = places[[*others]].map(lambda value: form.text(str(value)))
    filled = numbers(places[metrics], deviation, form)
    text = pd.concat([named, filled], axis=1).rename(columns=heading)
    return text.rename_axis(heading(str(places.index.name)))


def table2(runs: pd.DataFrame, ks: Sequence[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Overall performance: metrics in rows, models in columns, anchors after the paper's models.

    Args:
        runs: Rows of ``runs.csv``, as :meth:`benchmark.store.Store.current` selects them.
        ks: Cut-offs of the metrics.

    Returns:
        Means and standard deviations over seeds (0 for a single one). The means have a last
        column ``improvement_percent``: HUIGN over the paper's strongest other model in this row.
        A model without a successful run has no column.
    """
    done = runs[runs["status"] == "ok"]
    model_of = dict(zip(done["variant"], done["model"], strict=True))
    paper, anchors = paper_and_anchors(model_of)
    metrics = [f"{metric}@{k}" for metric in METRICS for k in ks]
    grouped = done.reindex(columns=["variant", *metrics]).groupby("variant")
    mean = grouped.mean().loc[paper + anchors].T.rename_axis("metric")
    deviation = grouped.std(ddof=1).fillna(0).loc[paper + anchors].T.rename_axis("metric")
    baselines = [name for name in paper if model_of[name] != PROPOSED]
    gain = pd.Series(float("nan"), index=metrics)
    if baselines and len(baselines) < len(paper):
        strongest = mean[baselines].max(axis=1)
        gain = 100 * (mean[label(PROPOSED)] / strongest.where(strongest > 0) - 1)
    return mean.assign(improvement_percent=gain), deviation


def paper_and_anchors(model_of: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Labels of the paper's models in the paper's order, and those of the others in their own.

    Args:
        model_of: Registered names by label.
    """
    paper = [name for model in PAPER_MODELS for name in model_of if model_of[name] == model]
    return paper, [name for name in model_of if name not in paper]


def heading(name: str) -> str:
    """What is printed for a name such as ``ndcg_hits@10``; other words stay as they are."""
    metric, _, k = name.partition("@")
    return HEADINGS[metric].format(k) if metric in HEADINGS else name


def split(told: Mapping[str, str]) -> str:
    """How the data are split.

    Args:
        told: A row of ``runs.csv``, or what all rows agree in.
    """
    if told["split_seed"] == SHIPPED:
        return "as shipped"
    return f"by {told['split_method']} with seed {told['split_seed']}"


def judged_on(told: Mapping[str, str]) -> str:
    """The data on which epochs and hyper-parameters are chosen."""
    switches = PROTOCOLS[{**SINCE_THEN, **told}["evaluation_protocol"]]
    return "test" if "select_on_test" in switches else "validation"


def varied(told: Mapping[str, str]) -> str:
    """What the seeds are of."""
    return {"both": "initialisation and sampling"}.get(told["vary"], told["vary"])


def caption(runs: pd.DataFrame) -> str:
    """What the numbers are: data, split, features, budget, protocol and seeds."""
    told = {**SINCE_THEN, **runs.iloc[0]}
    done = runs[runs["status"] == "ok"]
    counts = done.groupby("variant")["seed"].nunique()
    most = max(counts, default=0)
    least = min((counts[variant] for variant in depending_on_seed(runs)), default=most)
    seeds = f"{least} to {most}" if least < most else str(most)
    precision = told["matmul_precision"] or EXACT
    rough = "" if precision == EXACT else f", {precision} precision"
    over = f"mean ± standard deviation over {seeds} seeds of {varied(told)}"
    return (
        f"Test data of {told['dataset']} (fingerprint {told['data_fingerprint']}), split "
        f"{split(told)}; features {told['modalities']}, scaling {told['feature_scaling']}; preset "
        f"{told['preset']}, protocol {told['evaluation_protocol']}{rough}; "
        f"{over if most > 1 else f'{most} seed' + 's' * (most == 0)}."
    )


def depending_on_seed(runs: pd.DataFrame) -> set[str]:
    """The variants that come out otherwise with another seed, as far as they were trained."""
    done = runs[runs["status"] == "ok"]
    drawn = ["seed" in json.loads(params) for params in done.get("params", ())]
    return set(done.loc[drawn, "variant"])


def legend(runs: pd.DataFrame) -> str:
    """The caption of a table that lists its cells, and how to read it.

    Args:
        runs: Those of its cells.
    """
    bases = [name for name in runs["tuned_as"].unique() if name]
    tuned = [f"Hyper-parameters as tuned for {' and '.join(bases)}."] if bases else []
    return " ".join([caption(runs), PLACES, *tuned, HITS])


def of_experiment(experiment: Experiment, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``runs.csv`` that an experiment is about.

    Of a model's variants only the seeds count that all of them have: others would be compared
    with other seeds, such as those that Table 2 alone was run with. In Table 2 each is a model.
    """
    mine = runs[runs["variant"].isin([variant.label for _, variant in experiment.cells])]
    done = mine[mine["status"] == "ok"]
    variants = done.groupby("model")["variant"].transform("nunique")
    having_it = done.groupby(["model", "seed"])["variant"].transform("nunique")
    return mine.drop(done.index[having_it < variants])


def notes(experiment: Experiment, runs: pd.DataFrame) -> list[str]:
    """Sentences on runs that gave no result, and one on the cells that were not run yet.

    Args:
        experiment: With the cells that are of interest.
        runs: The rows of ``runs.csv`` that are of interest.
    """
    closed = runs[runs["status"] != "ok"]
    known, variants = set(runs["variant"]), [variant for _, variant in experiment.cells]
    absent = [variant for variant in variants if variant.label not in known]
    names, few = [variant.label for variant in absent], len(absent) <= FEW
    which = dict.fromkeys(label(variant.model) for variant in absent)
    of_many = f"{len(absent)} of {len(variants)} cells, of {', '.join(which)}"
    return [
        *dict.fromkeys(
            f"{row.variant}: {row.status}, {row.reason}." for row in closed.itertuples()
        ),
        *([f"Not run yet: {'; '.join(names) if few else of_many}."] if absent else []),
    ]
