"""Tables of the paper, from stored rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.experiments import PAPER_MODELS, Experiment
from benchmark.record import Record
from benchmark.store import write_atomic
from models.registry import label

METRICS = ("precision", "recall", "ndcg", "ndcg_hits")
OURS = "huign"
ESCAPES = str.maketrans({sign: rf"\{sign}" for sign in "%_&#$"})  # what LaTeX takes for commands


def write(record: Record) -> None:
    """Write every table that was asked for and has a run."""
    for experiment in record.experiments:
        if experiment.name == "table2":
            if not record.overall.empty:
                write_table2(record.overall, record.ks, record.folder)
        elif not (cells := by_cell(experiment, record.runs, record.k)).empty:
            write_cells(experiment, cells, record.runs, record.folder)


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
    paper = [name for model in PAPER_MODELS for name in model_of if model_of[name] == model]
    order = paper + [name for name in model_of if name not in paper]
    metrics = [f"{metric}@{k}" for metric in METRICS for k in ks]
    grouped = done.reindex(columns=["variant", *metrics]).groupby("variant")
    mean = grouped.mean().loc[order].T.rename_axis("metric")
    deviation = grouped.std(ddof=1).fillna(0).loc[order].T.rename_axis("metric")
    baselines = [name for name in paper if model_of[name] != OURS]
    gain = pd.Series(float("nan"), index=metrics)
    if baselines and len(baselines) < len(paper):
        strongest = mean[baselines].max(axis=1)
        gain = 100 * (mean[label(OURS)] / strongest.where(strongest > 0) - 1)
    return mean.assign(improvement_percent=gain), deviation


def marked(
    mean: pd.DataFrame, deviation: pd.DataFrame, best: str, second: str, plus_minus: str
) -> pd.DataFrame:
    """Four decimals as text, the best of each row in ``best`` and the next in ``second``.

    Args:
        mean: Of :func:`table2`.
        deviation: Of :func:`table2`.
        best: A format with one place, such as ``"**{}**"``.
        second: The same for the second best.
        plus_minus: Between mean and deviation, which is left out where it is 0.
    """
    gain = mean["improvement_percent"].map(lambda x: "" if pd.isna(x) else f"{x:+.2f} %")
    places = mean.drop(columns=gain.name).rank(axis=1, ascending=False, method="min")
    styles = {1: best, 2: second}  # ranks of the exact values, not of the rounded ones
    text = pd.DataFrame(index=mean.index)
    for name in places:
        text[name] = [
            styles.get(int(place), "{}").format(
                f"{value:.4f}" + (f"{plus_minus}{spread:.4f}" if spread else "")
            )
            for value, spread, place in zip(mean[name], deviation[name], places[name], strict=True)
        ]
    return text.assign(improvement=gain)


def write_table2(runs: pd.DataFrame, ks: Sequence[int], folder: Path) -> None:
    """Write ``table2.csv``, ``.md`` and ``.tex``, with models that gave no result as notes."""
    mean, deviation = table2(runs, ks)
    write_atomic(folder / "table2.csv", mean.to_csv(lineterminator="\n"))
    markdown = marked(mean, deviation, "**{}**", "<u>{}</u>", " ± ").to_markdown(
        disable_numparse=True
    )
    closed = runs[runs["status"] != "ok"]
    notes = "".join(f"- {row.variant}: {row.status}, {row.reason}\n" for row in closed.itertuples())
    legend = (
        "Best in bold, second underlined. The improvement is "
        f"{label(OURS)}'s over the best of the paper's other models."
    )
    text = f"{markdown}\n\n{caption(runs)} {legend}\n" + (notes and f"\n{notes}")
    write_atomic(folder / "table2.md", text)
    latex = marked(mean, deviation, r"\textbf{{{}}}", r"\underline{{{}}}", r" $\pm$ ")
    latex["improvement"] = latex["improvement"].str.translate(ESCAPES)
    latex = latex.rename(index=escaped, columns=escaped)
    text = latex.to_latex(column_format="l" + "r" * latex.shape[1])
    write_atomic(folder / "table2.tex", f"% needs \\usepackage{{booktabs}}\n{text}")


def by_cell(experiment: Experiment, runs: pd.DataFrame, k: int) -> pd.DataFrame:
    """One row per place of an experiment that has a result.

    Returns:
        The place's own columns; every metric's mean over seeds at ``k``, and its standard
        deviation (0 for a single one) under the metric's name with ``_sd``; and ``runs``, the ids
        of the rows that it comes from.
    """
    done, rows = runs[runs["status"] == "ok"], []
    for place, variant in experiment.cells:
        mine = done[done["variant"] == variant.label]
        if not mine.empty:
            row = dict(place)
            for metric in (f"{name}@{k}" for name in METRICS):
                row[metric] = mine[metric].mean()
                row[f"{metric}_sd"] = mine[metric].std(ddof=1) if len(mine) > 1 else 0.0
            rows.append({**row, "runs": " ".join(mine["run_id"])})
    return pd.DataFrame(rows)


def write_cells(
    experiment: Experiment, cells: pd.DataFrame, runs: pd.DataFrame, folder: Path
) -> None:
    """Write an experiment as ``.csv`` and ``.md``, the best of each column in bold."""
    write_atomic(folder / f"{experiment.name}.csv", cells.to_csv(index=False, lineterminator="\n"))
    shown = cells[[*experiment.cells[0][0]]].copy()
    for metric in [name for name in map(str, cells) if f"{name}_sd" in cells]:
        shown[metric] = [
            ("**{}**" if mean == cells[metric].max() else "{}").format(
                f"{mean:.4f}" + (f" ± {spread:.4f}" if spread else "")
            )
            for mean, spread in zip(cells[metric], cells[f"{metric}_sd"], strict=True)
        ]
    table = shown.to_markdown(index=False, disable_numparse=True)
    text = f"{experiment.title}\n\n{table}\n\n{caption(runs)} Best in bold.\n"
    write_atomic(folder / f"{experiment.name}.md", text)


def escaped(name: str) -> str:
    """A label as LaTeX prints it."""
    return name.translate(ESCAPES)


def caption(runs: pd.DataFrame) -> str:
    """What the numbers are, in a sentence or two."""
    first, done = runs.iloc[0], runs[runs["status"] == "ok"]
    seeds = max(done.groupby("variant")["seed"].nunique(), default=0)
    return (
        f"Test data of {first['dataset']} (fingerprint {first['data_fingerprint']}, split "
        f"{first['split_seed']}, features {first['modalities']}, scaling "
        f"{first['feature_scaling']}), preset {first['preset']}, {seeds} "
        f"seed{'' if seeds == 1 else 's'}. "
        "ndcg_hits is the released code's NDCG, the one to compare with the paper's."
    )
