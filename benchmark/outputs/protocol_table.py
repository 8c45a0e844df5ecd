"""The protocol study as a table: what each habit of the released code is worth, and to whom."""

from __future__ import annotations

import pandas as pd

from benchmark.experiments import Experiment
from benchmark.outputs.layout import (
    LATEX,
    MARKDOWN,
    MINUS,
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
from benchmark.outputs.protocol_study import (
    CORRECTED,
    HITS,
    METRICS,
    OFFICIAL,
    PROTOCOLS,
    by_protocol,
    moved,
    study,
    verdicts,
)
from benchmark.outputs.tables import (
    PLACES,
    by_cell,
    caption,
    heading,
    notes,
    of_experiment,
    paper_and_anchors,
)
from benchmark.protocols import SWITCHES, deciding
from benchmark.record import Record

TOLD = {HITS: ("ndcg",), OFFICIAL: ("recall", "ndcg")}
"""The metrics of which the text says how they change; the recall alone where nothing is said."""

TAU = "Kendall's tau"


def write(record: Record) -> None:
    """Write ``protocol.csv``, ``.md`` and ``.tex`` if the study was asked for and has a run."""
    experiment = record.experiment("protocol")
    if experiment is None:
        return
    cells = by_cell(experiment, record.runs, record.k)
    if cells.empty:
        remove(record.folder, experiment.name, TABLE)
    else:
        write_study(experiment, cells, record)


def write_study(experiment: Experiment, cells: pd.DataFrame, record: Record) -> None:
    """Write the three forms.

    Args:
        experiment: The study.
        cells: Of :func:`benchmark.outputs.tables.by_cell`.
        record: Where to, and what the caption is about.
    """
    model_of = {place["model"]: variant.model for place, variant in experiment.cells}
    known = set(cells["model"])
    paper, anchors = paper_and_anchors({name: model_of[name] for name in model_of if name in known})
    found = study(cells, [*paper, *anchors], record.k)
    groups = {"model": paper + anchors} | (
        {"of the paper's models": paper} if paper and anchors else {}
    )
    runs = of_experiment(experiment, record.runs)
    title, legend = experiment.title, f"{caption(runs)} {reading()}"
    closed = notes(experiment, runs)
    told = {switch: explained(found, switch, groups, record.k) for switch in PROTOCOLS}
    told = {switch: text for switch, text in told.items() if text}
    parts = [f"**{title}**", listed(f"{name}: {text}" for name, text in told.items())]
    tex = []
    for name in METRICS:
        metric = f"{name}@{record.k}"
        below = ranking(found, metric, groups)
        shown, printed = (readable(found, metric, form) for form in (MARKDOWN, LATEX))
        parts += [f"{heading(metric)}:", markdown(pd.concat([shown, below]).rename_axis("model"))]
        blocks = [printed.loc[names] for names in (paper, anchors) if names]
        words = [f"{title}: {heading(metric)}.", legend, *closed]
        tables = [block.rename_axis("model") for block in [*blocks, below.map(LATEX.text)]]
        tex.append(latex(tables, " ".join(words), f"protocol-{name}"))
    items = [rf"\item \texttt{{{LATEX.text(n)}}}: {LATEX.text(told[n])}" for n in told]
    if items:
        tex.append("\n".join([r"\begin{itemize}", *items, r"\end{itemize}", ""]))
    parts += [MARKDOWN.text(legend), listed(closed)]
    path = record.folder / experiment.name
    save(path, found.set_index("model"), page(*parts), "\n".join(tex))


def readable(found: pd.DataFrame, metric: str, form: Format) -> pd.DataFrame:
    """One metric as text, with the change from the corrected protocol in brackets."""
    mean, deviation, change = (
        by_protocol(found, metric, suffix) for suffix in ("", "_sd", "_change_percent")
    )
    return numbers(mean, deviation, form) + change.map(
        lambda value: "" if pd.isna(value) else form.text(f" ({percent(value)})")
    )


def ranking(found: pd.DataFrame, metric: str, groups: dict[str, list[str]]) -> pd.DataFrame:
    """The rows below the models: who wins in each group, and the rank correlation of all.

    Args:
        found: Of :func:`benchmark.outputs.protocol_study.study`.
        metric: One of its metrics.
        groups: Models by what the best of them is called; all models first.
    """
    found_by = {name: verdicts(found, metric, models) for name, models in groups.items()}
    rows = {f"best {name}": verdict["best"] for name, verdict in found_by.items()}
    tau = next(iter(found_by.values()))["tau"]
    rows[TAU] = tau.map(
        lambda value: NOTHING if pd.isna(value) else f"{value:.2f}".replace("-", MINUS)
    )
    return pd.DataFrame(rows).T


def explained(found: pd.DataFrame, switch: str, groups: dict[str, list[str]], k: int) -> str:
    """What a switch is, how far it moves the models, and whether it changes who wins."""
    if switch == CORRECTED or switch not in set(found["switch"]):
        return ""
    sentences = [f"{PROTOCOLS[switch]}."]
    for metric in (f"{name}@{k}" for name in TOLD.get(switch, ("recall",))):
        clauses = [f"{heading(metric)} {moved(found, metric, switch)}"]
        for name, models in groups.items():
            row = verdicts(found, metric, models).loc[switch]
            if row["was"]:
                stays = row["best"] == row["was"]
                now = f"still {row['best']}" if stays else f"{row['best']} instead of {row['was']}"
                clauses.append(f"the best {name} is {now}")
        sentences.append("; ".join(clauses) + ".")
    return " ".join(sentences)


def reading() -> str:
    """How to read the study."""
    *trained, last = [*filter(lambda switch: deciding([switch]), SWITCHES), OFFICIAL]
    return (
        f"{PLACES} In brackets the change from the corrected protocol. {TAU}: rank correlation of "
        "the models with their corrected order. Hyper-parameters are those tuned under the "
        f"corrected protocol. Models are trained again for {', '.join(trained)} and {last}, so "
        "that chance has a part in these changes; the others concern the very same trained models."
    )
