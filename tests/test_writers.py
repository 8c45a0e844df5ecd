"""What all writers together leave in a folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from small_record import closed, small_record

from benchmark.experiments import experiments
from benchmark.outputs import writers
from benchmark.presets import ON_REQUEST

OLD = {
    "table": ("table2", "table3", "table4", "figure3", "protocol", *ON_REQUEST),
    "picture": ("table2", "figure3", "figure4", "missing", "hierarchy", "curves", "collapse"),
    "page": ("statistics", "studies", "figure4", "intents", "comparison"),
}
SUFFIXES = {"table": ("csv", "md", "tex"), "picture": ("png", "pdf"), "page": ("csv", "md")}


def test_nothing_stays_that_the_rows_do_not_say(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    rows = [closed(name, "failed", "DivergedError: loss is nan") for name in ("VBPR", "HUIGN")]
    asked = experiments(["vbpr", "huign"], ["visual", "textual"], [8, 4, 2])
    record = small_record(folder, rows, asked)
    old = [
        folder / f"{stem}.{suffix}"
        for kind, stems in OLD.items()
        for stem in stems
        for suffix in SUFFIXES[kind]
    ]
    (folder / "studies").mkdir()
    old.append(folder / "studies" / "huign.png")
    for path in old:
        path.write_text("of rows that are gone\n")
    writers.write_outputs(record, 1, torch.device("cpu"))
    left = {path.name for path in old if path.exists() and "gone" in path.read_text()}
    assert left == set()
    files = {path.name for path in folder.iterdir() if path.is_file()}
    assert files - {".lock"} == {
        "manifest.json", "report.html", "report.md", "runs.csv", "table1.csv", "table1.md",
        "table1.tex", "table2.csv", "table2.md", "table2.tex",
    }  # fmt: skip


def test_the_later_of_two_that_write_knows_all_rows(tmp_path: Path) -> None:
    first, second = (closed(name, "failed", "killed") for name in ("VBPR", "Popularity"))
    asked = experiments(["vbpr", "popularity"], [], [])
    record = small_record(tmp_path / "toy", [first], asked)
    with ThreadPoolExecutor() as pool:
        with record.store.claim("outputs"):
            later = pool.submit(writers.write_outputs, record, 1, torch.device("cpu"))
            record.store.append("runs", second)
            assert not later.done()
        later.result()
    for name in ("table2.md", "report.md"):
        assert "Popularity: failed, killed" in (record.folder / name).read_text()
