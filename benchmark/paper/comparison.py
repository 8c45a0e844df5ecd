"""Our results beside the paper's: the numbers where the data are the same, their shape anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from benchmark.datasets import MADE_UP
from benchmark.experiments import experiments
from benchmark.outputs.significance import statistics
from benchmark.outputs.tables import of_experiment
from benchmark.paper.claims import CLAIMS, SMOOTHER, Claim
from benchmark.paper.comparison_page import page
from benchmark.paper.published import KS, PLACES, datasets, results, same_data
from benchmark.paper.shape import (
    LEADERS,
    Finding,
    Measured,
    Outcome,
    agreement_of_order,
    lead,
    measured,
    outcome,
    smoothness,
    spread,
)
from benchmark.presets import COLD_ITEMS
from benchmark.record import Record
from benchmark.writing import write_atomic


def write(record: Record) -> None:
    """Write ``comparison.csv`` and ``comparison.md`` if anything of the paper's has a result.

    The columns of the CSV file: ``experiment`` (``table2`` ... ``figure3``); ``what``, one of

    - ``value``: a cell, where the data set is the paper's, with ``difference`` and ``ratio``;
    - ``rank``: place of a cell among those that both have, 1 for the highest;
    - ``order``: Kendall's tau between both orders of these, in ``ours``, with its ``p_value``;
    - ``lead_percent``: HUIGN, 32-8-4 or all modalities over the best other of these;
    - ``spread_percent``: the best over the worst of these;
    - ``smoothness``: of Figure 3, the standard deviation of a curve over its thresholds;
    - ``claim``: the share of comparisons in which it holds, with a ``verdict`` on ours, which
      counts those beyond the noise alone;

    ``place``, ``metric`` and ``paper_dataset``; ``paper`` and ``ours``; ``sd`` over ``seeds``.
    """
    # the paper asks nothing of items that never occur in training
    found = everything(record) if record.identity.get("split_method") != COLD_ITEMS else {}
    if not found:
        for suffix in (".csv", ".md"):  # older files would no longer be about the rows
            (record.folder / f"comparison{suffix}").unlink(missing_ok=True)
        return
    data = record.dataset
    # data that are drawn at the paper's size have its numbers, too
    drawn = data.name in MADE_UP
    same = None if drawn else same_data(data.num_users, data.num_items, len(data))
    rows = compared(found, same)
    table = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    write_atomic(record.folder / "comparison.csv", table)
    text = page(record, found, judged(found), rows, same, statistics(record))
    write_atomic(record.folder / "comparison.md", text)


def everything(record: Record) -> dict[str, Measured]:
    """What was measured of Tables 2, 3 and 4 and Figure 3, whichever call asked for it."""
    found: dict[str, Measured] = {}
    if record.done.empty:
        return found
    for experiment in experiments(dict.fromkeys(record.overall["model"]), record.modalities):
        if (name := experiment.name) in (*PLACES, "figure3"):
            ks = [k for k in record.ks if k in KS] if name == "table2" else [record.k]
            ours = measured(experiment, of_experiment(experiment, record.done), ks)
            # HUIGN as it is stands in every table, and alone compares with nothing
            if len(ours.mean.columns) > (name != "table2"):
                found[name] = ours
    return found


def judged(found: dict[str, Measured]) -> list[tuple[Claim, Outcome]]:
    """All claims, held against our results."""
    outcomes = [
        (claim, outcome(claim, found[claim.table]) if claim.table in found else Outcome(0, 0))
        for claim in CLAIMS
    ]
    curves = smoothness(found["figure3"]) if "figure3" in found else pd.DataFrame()
    return [*outcomes, (SMOOTHER, Outcome(*SMOOTHER.counted(-curves), untested="no test"))]


def compared(found: dict[str, Measured], same: str | None) -> list[Finding]:
    """The rows of ``comparison.csv``, as :func:`write` describes them.

    Args:
        found: Of :func:`everything`.
        same: Which of the paper's data sets ours is, if any.
    """
    rows: list[Finding] = []
    for table in PLACES:
        if table in found:
            for dataset in datasets():
                rows += beside(table, found[table], dataset, absolute=dataset == same)
    curves = smoothness(found["figure3"]) if "figure3" in found else pd.DataFrame()
    rows += [
        Finding("figure3", "smoothness", place=str(variant), metric=str(metric), ours=value)
        for variant, values in curves.items()
        for metric, value in values.items()
    ]
    for claim, ours in judged(found):
        finding = Finding(
            claim.table, "claim", place=claim.text, ours=ours.share, verdict=ours.verdict
        )
        papers = datasets() if claim.table in PLACES else []
        counts = {name: claim.counted(results(claim.table, name)) for name in papers}
        rows += [
            replace(finding, paper_dataset=dataset, paper=held / total)
            for dataset, (held, total) in counts.items()
            if total
        ] or [finding]
    return rows


def beside(table: str, ours: Measured, dataset: str, absolute: bool) -> Iterator[Finding]:
    """What is found in one table about one of the paper's data sets; nothing if it lacks that.

    Args:
        table: One of :data:`benchmark.paper.published.PLACES`.
        ours: Our results.
        dataset: A name of the paper's Table 1.
        absolute: Whether the data are the same, so that values can be compared.
    """
    paper = results(table, dataset)
    common = [str(place) for place in paper if place in ours.mean]
    for metric in [str(name) for name in paper.index if name in ours.mean.index and common]:
        finding = Finding(table, "value", metric=metric, paper_dataset=dataset)
        mine, theirs = (each.T[metric][common] for each in (ours.mean, paper))
        for place in common if absolute else ():
            mean, sd, seeds = ours.cell(metric, place)
            value = float(theirs[place])
            yield replace(
                finding, place=place, paper=value, ours=mean, sd=sd, seeds=seeds,
                difference=mean - value, ratio=mean / value,
            )  # fmt: skip
        if len(common) < 2:
            continue
        ranks = [each.rank(ascending=False, method="min") for each in (theirs, mine)]
        for place in common:
            first, second = (float(each[place]) for each in ranks)
            yield replace(finding, what="rank", place=place, paper=first, ours=second)
        if len(common) > 2:  # two places are in the same order or in the other
            tau, p_value = agreement_of_order(mine, theirs)
            yield replace(finding, what="order", ours=tau, p_value=p_value)
        leads = [lead(each, LEADERS[table]) for each in (theirs, mine)]
        yield replace(
            finding, what="lead_percent", place=LEADERS[table], paper=leads[0], ours=leads[1]
        )
        yield replace(finding, what="spread_percent", paper=spread(theirs), ours=spread(mine))
