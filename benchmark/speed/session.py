"""The whole of a command, with progress on the terminal."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmark.speed import report, scaling
from benchmark.speed.catalogue import SIZES, Settings
from benchmark.speed.compare import Effort, compare
from benchmark.speed.sizes import make
from benchmark.speed.works import MAKERS


def bar() -> Progress:
    """How many works are done, which one is on, and for how long."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def compare_all(
    works: list[str],
    sizes: list[str],
    effort: Effort,
    settings: Settings,
    data_root: Path | None,
    out: Path,
) -> None:
    """Compare all works at all sizes; what is finished is written after every work."""
    rows: list[dict[str, Any]] = []
    with bar() as progress:
        task = progress.add_task("data", total=len(works) * len(sizes))
        for size in sizes:
            progress.update(task, description=f"{size}: data")
            data, origin = make(SIZES[size], data_root)
            data = data.to(torch.device(settings.device))
            interactions = f"{len(data.train):,} training interactions, {origin}"
            progress.console.print(
                f"{size}: {interactions}", markup=False, highlight=False, soft_wrap=True
            )
            for work in works:
                progress.update(task, description=f"{size}: {work}")
                if work != "help" or size == sizes[0]:  # which has no size
                    place = {
                        "work": work,
                        "size": size,
                        "users": data.train.num_users,
                        "items": data.train.num_items,
                        "interactions": len(data.train),
                        "data": origin,
                    }
                    making = partial(MAKERS[work], data, settings)
                    found = compare(making, place, effort, settings)
                    for row in found:
                        shown = [value for value in report.line(row).values() if value]
                        progress.console.print(
                            "  ".join(shown), markup=False, highlight=False, soft_wrap=True
                        )
                    rows += found
                    report.write(rows, out)
                progress.advance(task)
    report.draw(rows, out)
    print(report.markdown_table(rows))
    print(f"\nwritten to {out}")


def scale_all(
    works: list[str], effort: Effort, settings: Settings, folder: Path, *, small: bool
) -> None:
    """Measure how the cost of all works grows, and fit exponents."""
    base = scaling.SMALL if small else scaling.BASE
    rows: list[dict[str, str | float]] = []
    with bar() as progress:
        task = progress.add_task("scaling", total=scaling.count(works))
        for row in scaling.measured(works, base, effort, settings):
            rows.append(row)
            progress.update(task, advance=1, description=f"{row['factor']}: {row['work']}")
    found = scaling.write(rows, folder)
    fits = found.drop_duplicates(["work", "factor"])
    print(fits.pivot(index="work", columns="factor", values="exponent").round(2).to_markdown())
    print(f"\nwritten to {folder / 'scaling.csv'}")
