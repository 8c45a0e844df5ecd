"""The comparison as CSV, as a table to read, and as a plot of cost against size."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmark.speed.catalogue import WORKS
from benchmark.writing import write_atomic

OURS = "#c44e52"
PEERS = ("#4c72b0", "#55a868", "#8172b2", "#937860", "#da8bc3")
MARKERS = ("s", "^", "D", "v", "P")


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Write ``path`` and, beside it, the same name with ``.md``."""
    frame = pd.DataFrame(rows)
    write_atomic(path, frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"))
    write_atomic(path.with_suffix(".md"), markdown(frame))


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the plot as ``path`` with ``.png``, if our form has a time anywhere."""
    frame = pd.DataFrame(rows)
    if "seconds" in frame and frame["seconds"].notna().any():
        write_png(drawn(frame), path.with_suffix(".png"))


def write_png(figure: Figure, path: Path) -> None:
    """Write a figure."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=200, bbox_inches="tight")
    write_atomic(path, content.getvalue())


def duration(seconds: float) -> str:
    """Three digits and a unit; empty for NaN."""
    if math.isnan(seconds):
        return ""
    units = ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6)
    unit, length = next((pair for pair in units if seconds >= pair[1]), units[-1])
    return f"{seconds / length:.3g} {unit}"


def multiple(ratio: float) -> str:
    """How many times, with two digits or more; empty for NaN."""
    if math.isnan(ratio):
        return ""
    return f"{ratio:.{0 if ratio >= 10 else 1 if ratio >= 1 else 2}f}x"


def line(row: dict[str, Any]) -> dict[str, str]:
    """What a reader sees of a row of the comparison."""
    status = row["status"]
    number = {name: float(row.get(name, math.nan)) for name in (
        "seconds", "peer_seconds", "ratio", "cpu_ratio", "limit_seconds", "limit_share"
    )}  # fmt: skip
    share = number["limit_share"]
    return {
        "work": row["work"],
        "size": row["size"],
        "ours": duration(number["seconds"]) if row["peer"] or status == "ok" else status,
        "peer": row["peer"],
        "peer's time": duration(number["peer_seconds"]) if status == "ok" else status,
        "ratio": multiple(number["ratio"]),
        "ratio (CPU)": multiple(number["cpu_ratio"]),
        "limit": duration(number["limit_seconds"]),
        "share of limit": "" if math.isnan(share) else f"{100 * share:.0f} %",
    }


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """The comparison, a line per peer."""
    shown = pd.DataFrame([line(row) for row in rows])
    return shown.to_markdown(index=False, disable_numparse=True)


def markdown(frame: pd.DataFrame) -> str:
    """The table with what was measured, and how, in words."""
    records: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    first, table = records[0], markdown_table(records)
    packages = ", ".join(" ".join(pair) for pair in json.loads(first["versions"]).items())
    works = {row["work"]: row.get("limit_formula") for row in records}
    meanings = "\n".join(
        f"- **{work}**: {WORKS[work]}" + (f". Limit: {formula}" if isinstance(formula, str) else "")
        for work, formula in works.items()
    )
    meanings += rates(records)
    return (
        f"{table}\n\n{first['device']}; {packages}; commit {first['commit']}. "
        f"Medians of {first['repetitions']} repetitions by the clock, all forms of a work taken "
        "in turns in one process; the ratio (CPU) compares the least processor times. Epochs are "
        "extrapolated from the steps that fit into a repetition (`timed_parts` of `parts` in the "
        "CSV file). The limit is bytes / bandwidth of a copy as large as the tables worked on "
        "+ operations / rate of a matrix product, both measured here; it is an estimate, and "
        f"work that finds its tables in a nearer cache can beat it.\n\n{meanings}\n"
    )


def rates(records: list[dict[str, Any]]) -> str:
    """Trials per minute in every form, a line per size."""
    lines = []
    for size in dict.fromkeys(row["size"] for row in records if row["work"] == "trials"):
        mine = [row for row in records if (row["work"], row["size"]) == ("trials", size)]
        seconds = {"ours": mine[0].get("seconds", math.nan)}
        seconds |= {row["peer"]: row.get("peer_seconds", math.nan) for row in mine}
        shown = [
            f"{60 * mine[0]['parts'] / each:.3g} with {name}"
            for name, each in seconds.items()
            if name and each > 0
        ]
        lines += [f"\n- **trials per minute**, {size}: {', '.join(shown)}"] if shown else []
    return "".join(lines)


def drawn(frame: pd.DataFrame) -> Figure:
    """Seconds against training interactions, a panel per work, a line per form."""
    done = frame[frame["seconds"].notna()]
    works = [work for work in WORKS if work != "help" and (done["work"] == work).any()]
    works = works or list(done["work"].unique())
    columns = min(4, len(works))
    lines = math.ceil(len(works) / columns)
    figure = Figure(figsize=(3.4 * columns, 2.9 * lines), layout="constrained")
    for place, work in enumerate(works, start=1):
        mine = done[done["work"] == work].sort_values("interactions")
        axes = figure.add_subplot(lines, columns, place)
        once = mine.drop_duplicates("size")
        axes.loglog(
            once["interactions"],
            once["seconds"],
            color=OURS,
            marker="o",
            markersize=4,
            label="ours",
        )
        axes.loglog(
            once["interactions"], once["limit_seconds"], color="#808080", linestyle=":",
            marker="_", label="limit",
        )  # fmt: skip
        timed = mine[(mine["status"] == "ok") & (mine["peer"] != "")]
        for (peer, theirs), colour, marker in zip(
            timed.groupby("peer", sort=False), PEERS, MARKERS, strict=False
        ):
            axes.loglog(
                theirs["interactions"], theirs["peer_seconds"], color=colour, marker=marker,
                markersize=4, linewidth=1, label=str(peer),
            )  # fmt: skip
        axes.set_title(work, fontsize=9)
        axes.tick_params(which="both", labelsize=7)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=6, frameon=False)
    figure.supxlabel("training interactions", fontsize=9)
    figure.supylabel("seconds", fontsize=9)
    return figure
