"""What the paper's printed numbers say about each other: ``python -m benchmark.paper.checks``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from benchmark.paper.check import Check, Row
from benchmark.paper.table2_checks import (
    first_place,
    hits_by_rank,
    positives_per_hit,
    printed_improvements,
    standard_ndcg,
)
from benchmark.paper.text_checks import density, percentages, shared_cells, thresholds, words
from benchmark.writing import write_atomic

CHECKS = (
    standard_ndcg, printed_improvements, positives_per_hit, hits_by_rank, percentages, words,
    density, thresholds, first_place, shared_cells,
)  # fmt: skip
"""In the order of the page: first what matters most to whoever compares with the paper."""

INTRODUCTION = """# The paper's numbers, checked against each other

Hierarchical User Intent Graph Network for Multimedia Recommendation (arXiv 2110.14925), Tables 1 to
4 as printed. Printed metrics have four decimals, so each may be off by 0.00005. This page is
computed from the printed numbers alone: `python -m benchmark.paper.checks`; every single number is
in `paper_checks.csv`.
"""


def write(folder: Path) -> None:
    """Write ``paper_checks.md`` and ``paper_checks.csv`` into a folder."""
    page, table = contents()
    write_atomic(folder / "paper_checks.md", page)
    write_atomic(folder / "paper_checks.csv", table)


@cache
def contents() -> tuple[str, str]:
    """The two files; computed once, for every data set that is written has them beside it."""
    checks = [check() for check in CHECKS]
    rows = pd.DataFrame(
        [(check.name, *row) for check in checks for row in check.rows],
        columns=["check", *Row._fields],
    )
    # six decimals: enough for numbers printed with four, and the same on every machine
    return markdown(checks), rows.round(6).to_csv(index=False, lineterminator="\n")


def markdown(checks: Sequence[Check]) -> str:
    """The page: of each check the finding, why it matters, and the numbers."""
    parts = [INTRODUCTION]
    for number, check in enumerate(checks, start=1):
        table = check.shown.to_markdown(index=False, disable_numparse=True)
        parts.append(
            f"## {number}. {check.title}\n\n{check.statement}\n\n{table}\n\n"
            f"**Verdict.** {check.verdict}\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    print(contents()[0])
