"""The report: one page with everything that was found, and how each number came about."""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from benchmark.experiments import PROPOSED
from benchmark.outputs import significance, tables
from benchmark.outputs import table2 as overall
from benchmark.outputs.layout import MARKDOWN, PICTURE, TABLE
from benchmark.planted_intents import planted
from benchmark.presets import COLD_ITEMS
from benchmark.record import Record
from benchmark.report import linked_tables
from benchmark.report.findings import caveats, headline
from benchmark.report.gaps import gaps
from benchmark.report.linked_tables import configuration, fresh
from benchmark.report.markdown import html
from benchmark.writing import write_atomic
from models.registry import label

TEMPLATES = Environment(
    loader=PackageLoader("benchmark.report"),
    autoescape=select_autoescape(["html.j2"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["words"] = MARKDOWN.text

SHOWN = (*TABLE, *PICTURE)
UNRANKED = ("protocol", "ablation", "missing", "hierarchy")
"""Experiments whose numbers do not all compare with each other."""

LISTED = ("table3", "table4", "figure3")
"""Experiments whose tables list their cells, best and second told apart."""

SECTIONS = {
    "data": ("Data", ["table1"]),
    "table2": ("Table 2: overall performance", ["table2"]),
    "statistics": ("Statistics", ["statistics"]),
    "cold_start": ("Cold start", ["cold_start"]),
    "beyond": ("Beyond accuracy", ["beyond", "popularity"]),
    "table3": ("Table 3: structure of the intents", ["table3"]),
    "table4": ("Table 4: modalities", ["table4"]),
    "figure3": ("Figure 3: losses and density", ["figure3"]),
    "figure4": ("Figure 4: what the intents hold", ["figure4", "intents"]),
    "training": ("Training", ["curves", "collapse"]),
    "studies": ("Studies of hyper-parameters", ["studies", "trials"]),
    "protocol": ("Fidelity to the released code", ["protocol"]),
    "ablation": ("Parts and choices of HUIGN", ["ablation"]),
    "missing": ("Missing modalities", ["missing"]),
    "hierarchy": ("Planted hierarchy of intents", ["hierarchy", "planted"]),
    "comparison": ("Beside the paper's numbers", ["comparison"]),
    "checks": ("The paper's numbers in themselves", []),
    "failed": ("What failed or was skipped", []),
    "gaps": ("What has not been run", []),
    "runs": ("Runs", ["runs"]),
}
"""By the section's name in links: its title, and the stems of the files that it is about."""


def write(record: Record) -> None:
    """Write ``report.html``, a page without any other file, and ``report.md``, which links to them.

    Both are made from the stored rows and from what the other writers have put into the folder,
    so they are to be written last.
    """
    shown = contents(record)
    for name in ("report.html", "report.md"):
        page = TEMPLATES.get_template(f"{name}.j2").render(shown)
        write_atomic(record.folder / name, page)


def contents(record: Record) -> dict[str, Any]:
    """What the templates show, as plain data."""
    folder, known = record.folder, set(record.done["run_id"])
    frames = {path.stem: fresh(path, known) for path in sorted(folder.glob("*.csv"))}
    of_others = {stem for stem, frame in frames.items() if frame is None}
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix in SHOWN and path.stem not in {"report", *of_others}
    ]
    tested = frames.get("statistics") is not None
    statistics = pd.read_csv(folder / "statistics.csv") if tested else pd.DataFrame()
    marks = significance.marks(statistics)
    return {
        "name": record.identity["dataset"],
        "settings": settings(record),
        "judged_on": tables.judged_on(record.identity),
        "k": record.k,
        "ours": label(PROPOSED),
        "sections": {name: SECTIONS[name] for name in sections(record)},
        "headline": headline(record, statistics),
        "caveats": caveats(record),
        "caption": tables.caption(record.runs),
        "captions": overall.captions(record, marks) if len(record.overall) else [],
        "table2": linked_tables.table2(record, marks) if len(record.overall) else {},
        "cells": {
            name: linked_tables.cells(frame, ranked=name not in UNRANKED)
            for name in (*LISTED, *UNRANKED)
            if (frame := frames.get(name)) is not None
        },
        "legends": {
            name: tables.legend(of_cells(frame, record))
            for name in LISTED
            if (frame := frames.get(name)) is not None
        },
        "texts": texts([*files, folder.parent / "paper_checks.md"]),
        "pictures": {path.stem: data_uri(path) for path in files if path.suffix == ".png"},
        "studies": {
            label(model): data_uri(path)
            for model in dict.fromkeys(record.trials.get("model", ()))
            if (path := folder / "studies" / f"{model}.png").exists()
        },
        "environments": [json.loads(versions) for versions in environments(record)],
        "variants": variants(record),
        "closed": record.runs[record.runs["status"] != "ok"].to_dict("records"),
        "gaps": gaps(record),
        "rerun": rerun(record),
        "files": [path.name for path in files],
    }


def rerun(record: Record) -> str:
    """The call that repeats the first run; empty without a run."""
    if record.done.empty:
        return ""
    words = ["python", "-m", "benchmark.rerun", record.done["run_id"].iloc[0]]
    if record.folder.parent != Path("results"):
        words += ["--results-root", str(record.folder.parent)]
    return shlex.join(words)


def sections(record: Record) -> list[str]:
    """Names of the sections that make sense for the data and how they were split."""
    cold = record.identity["split_method"] == COLD_ITEMS
    senseless = {"comparison" if cold else "cold_start"}
    senseless |= set() if planted(record.dataset) else {"hierarchy"}
    return [name for name in SECTIONS if name not in senseless]


def settings(record: Record) -> dict[str, str]:
    """What all runs agree in, in words."""
    told = record.identity
    return {
        "Split": tables.split(told),
        "Features": told["modalities"].replace("+", ", "),
        "Scaling of features": told["feature_scaling"],
        "Preset": told["preset"],
        "Protocol": told["evaluation_protocol"],
        "Seeds of": tables.varied(told),
        "Cut-offs": ", ".join(map(str, record.ks)),
    }


def of_cells(frame: pd.DataFrame, record: Record) -> pd.DataFrame:
    """The rows of ``runs.csv`` that the rows of a table come from."""
    return record.runs[record.runs["run_id"].isin(" ".join(frame["runs"]).split())]


def texts(paths: list[Path]) -> dict[str, str]:
    """Those that are Markdown files, as HTML by their stems, to be put into a section."""
    found = [path for path in paths if path.suffix == ".md" and path.exists()]
    # somebody else's may be in another encoding, and is in no section
    read = {path.stem: path.read_text(encoding="utf-8", errors="replace") for path in found}
    return {stem: html(text, level=3) for stem, text in read.items()}


def data_uri(path: Path) -> str:
    """A picture as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def environments(record: Record) -> list[str]:
    """The distinct sets of versions that runs were made with."""
    return list(dict.fromkeys(record.done.get("versions", [])))


def variants(record: Record) -> list[dict[str, Any]]:
    """The runs that came to a result, by variant: what its runs share, and each one's row."""
    known, found = environments(record), []
    for _, runs in record.done.groupby("variant", sort=False):
        first = runs.iloc[0]
        shared = {name: first[name] for name in ("variant", "model", "tuned_as", "switches")}
        rows = [
            {**run, "environment": 1 + known.index(run["versions"])}
            for run in runs.to_dict("records")
        ]
        anchor, params = f"runs-{configuration(first['run_id'])}", json.loads(first["params"])
        found.append({**shared, "anchor": anchor, "params": params, "runs": rows})
    return found
