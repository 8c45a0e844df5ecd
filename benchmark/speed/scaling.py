"""How the cost of our own forms grows with the data, as exponents of a power law."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmark.speed.catalogue import Settings, Size
from benchmark.speed.compare import Effort
from benchmark.speed.report import write_png
from benchmark.speed.sizes import make
from benchmark.speed.timing import Timing, alternate
from benchmark.speed.works import MAKERS
from benchmark.writing import write_atomic
from models.item_graph import co_interaction_graph

BASE = Size("scaling", 4_000, 3_000, 100_000, {"visual": 512, "acoustic": 64})
SMALL = Size("scaling", 100, 80, 1_000, {"visual": 16, "acoustic": 8})
GROWTH = (0.5, 1, 2, 4)
WIDTHS = (16, 32, 64, 128)
THRESHOLDS = (8, 4, 2, 1)
FACTORS = ("interactions", "users", "items", "width", "density")
COLOURS = ("#c44e52", "#4c72b0", "#55a868", "#8172b2", "#937860", "#da8bc3", "#8c8c8c", "#ccb974",
           "#64b5cd", "#2f4b26", "#e17c05", "#1f1f1f")  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One measurement: ``factor`` at ``value``, which gives the data or the settings."""

    factor: str
    value: float
    size: Size
    settings: Settings


def points(base: Size, settings: Settings) -> Iterator[Point]:
    """Four values of every factor, all else as in ``base``."""
    for growth in GROWTH:
        pairs = round(growth * base.num_interactions)
        yield Point("interactions", pairs, replace(base, num_interactions=pairs), settings)
        users, items = round(growth * base.num_users), round(growth * base.num_items)
        yield Point("users", users, replace(base, num_users=users), settings)
        yield Point("items", items, replace(base, num_items=items), settings)
    for width in WIDTHS:
        yield Point("width", width, base, replace(settings, embedding_dim=width))
    for least in THRESHOLDS:
        yield Point("density", least, base, replace(settings, min_co_users=least))


def concerns(work: str, factor: str) -> bool:
    """Whether a factor can matter: only HUIGN uses the item graph, some have no width."""
    if work in ("help", "trials") or factor == "density":
        return work == "huign"
    return factor != "width" or work not in ("sampling", "item_graph")


def count(works: list[str]) -> int:
    """How many rows :func:`measured` gives."""
    return len(GROWTH) * sum(concerns(work, factor) for work in works for factor in FACTORS)


def measured(
    works: list[str], base: Size, effort: Effort, settings: Settings
) -> Iterator[dict[str, str | float]]:
    """Rows ``work, factor, value, seconds``: least times, which other programs disturb least.

    ``value`` of the density is the share of item pairs that have an edge.
    """
    device = torch.device(settings.device)
    for point in points(base, settings):
        data, _ = make(point.size, None)
        data, value = data.to(device), point.value
        if point.factor == "density":
            edges = co_interaction_graph(data.train, point.settings.min_co_users).nnz
            value = edges / data.train.num_items**2
        for work in works:
            if concerns(work, point.factor):
                form = MAKERS[work](data, point.settings).ours
                (timing,) = alternate([form], effort.repetitions, effort.seconds, device)
                if not isinstance(timing, Timing):
                    raise timing
                seconds = min(timing.wall)
                yield {"work": work, "factor": point.factor, "value": value, "seconds": seconds}


def fitted(frame: pd.DataFrame) -> pd.DataFrame:
    r"""Add ``exponent`` and ``r_squared`` of :math:`\log t = a + b \log x` by least squares.

    Graphs without an edge are left out, as they have no logarithm.
    """
    parts = []
    for _, rows in frame[frame["value"] > 0].groupby(["work", "factor"], sort=False):
        exponent, r_squared = power_law(rows["value"].to_numpy(), rows["seconds"].to_numpy())
        parts.append(rows.assign(exponent=exponent, r_squared=r_squared))
    return pd.concat(parts)


def power_law(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Exponent and share of explained variance of a line through logarithms."""
    log_x, log_y = np.log(x), np.log(y)
    slope, offset = np.polyfit(log_x, log_y, 1)
    rest = log_y - (offset + slope * log_x)
    spread = ((log_y - log_y.mean()) ** 2).sum()
    return float(slope), float(1 - (rest**2).sum() / spread) if spread else 1.0


def write(rows: list[dict[str, str | float]], folder: Path) -> pd.DataFrame:
    """Write ``scaling.csv`` and ``scaling.png``; return the rows with their fits."""
    frame = fitted(pd.DataFrame(rows))
    text = frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    write_atomic(folder / "scaling.csv", text)
    write_png(drawn(frame), folder / "scaling.png")
    return frame


def drawn(frame: pd.DataFrame) -> Figure:
    """A panel per factor, a line per work with its exponent."""
    factors = [factor for factor in FACTORS if (frame["factor"] == factor).any()]
    works = list(frame["work"].unique())
    figure = Figure(figsize=(4.2 * min(3, len(factors)), 3.6 * -(-len(factors) // 3)),
                    layout="constrained")  # fmt: skip
    for place, factor in enumerate(factors, start=1):
        axes = figure.add_subplot(-(-len(factors) // 3), min(3, len(factors)), place)
        chosen = frame[frame["factor"] == factor]
        for work, rows in chosen.groupby("work", sort=False):
            rows = rows.sort_values("value")
            axes.loglog(
                rows["value"], rows["seconds"], marker="o", markersize=3, linewidth=1,
                color=COLOURS[works.index(str(work)) % len(COLOURS)],
                label=f"{work}  {rows['exponent'].iloc[0]:.2f}",
            )  # fmt: skip
        axes.set_xlabel("density of the item graph" if factor == "density" else factor, fontsize=9)
        axes.set_ylabel("seconds", fontsize=8)
        places = sorted(chosen["value"].unique())
        axes.set_xticks(places, [f"{place:.2g}" if place < 1 else f"{place:g}" for place in places])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(which="both", labelsize=7)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=6, frameon=False, title="exponent", title_fontsize=6,
                    loc="center left", bbox_to_anchor=(1, 0.5))  # fmt: skip
    return figure
