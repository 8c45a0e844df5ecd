"""A small data set with a planted structure, and the command on it."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sqlalchemy import event

from benchmark.presets import PRESETS, Preset
from benchmark.run import main
from models import registry
from models.registry import discover, registered

USERS, ITEMS = 60, 40


@dataclass(frozen=True)
class Bench:
    """A folder of data sets and a folder of results."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def plugins(self) -> Path:
        return self.root / "plugins"

    def add(
        self,
        name: str,
        modalities: Sequence[str] = ("textual", "visual"),
        shipped: bool = True,
        num_items: int = ITEMS,
    ) -> Path:
        """Users like items of their own parity; the features tell the parity, up to noise."""
        generator = np.random.default_rng(0)
        users, items = np.nonzero((np.arange(USERS)[:, None] + np.arange(num_items)) % 2 == 0)
        kept = generator.random(len(users)) < 0.6
        users, items = users[kept], items[kept]
        labels = generator.choice(3, len(users), p=(0.7, 0.15, 0.15))
        folder = self.data / name
        folder.mkdir(parents=True)
        columns = (users, items, labels) if shipped else (users, items)
        lines = ["\t".join(("userID", "itemID", "x_label")[: len(columns)])]
        lines += ["\t".join(map(str, row)) for row in zip(*columns, strict=True)]
        (folder / f"{name}.inter").write_text("\n".join(lines) + "\n")
        for modality in modalities:
            noise = generator.normal(size=(num_items, 4))
            parity = np.eye(2)[np.arange(num_items) % 2] @ np.ones((2, 4)) * 0.1
            np.save(folder / f"{modality}_feat.npy", (parity + noise).astype(np.float32))
        return folder

    def plug_in(self, file: str, source: str) -> None:
        """Put a recommender into the folder of plug-ins."""
        self.plugins.mkdir(exist_ok=True)
        (self.plugins / file).write_text(source)

    def arguments(self, *arguments: str) -> list[str]:
        """The options that every command takes, for these folders and the processor."""
        folders = ["--data-root", str(self.data), "--results-root", str(self.results)]
        plugins = ["--plugins", str(self.plugins)] if self.plugins.exists() else []
        return [*arguments, *folders, *plugins, "--device", "cpu"]

    def run(self, *arguments: str) -> int:
        """The exit code of the command in this process."""
        return main(self.arguments("--jobs", "1", *arguments))

    def rows(self, dataset: str, table: str = "runs") -> list[dict[str, str]]:
        """What a CSV of the results holds."""
        with (self.results / dataset / f"{table}.csv").open(newline="") as file:
            return list(csv.DictReader(file))


def small_bench(root: Path, monkeypatch: pytest.MonkeyPatch, draw: bool = False) -> Bench:
    """One data set called ``toy``, budgets of seconds, and a registry that is put back.

    Figures take longer than everything else, so they are left out by default.
    """
    if not draw:
        monkeypatch.setattr("benchmark.outputs.figures.save", lambda *_: None)
        monkeypatch.setattr("benchmark.outputs.study_plots.drawn", lambda _: b"")
    do_not_wait_for_the_disk(monkeypatch)
    for folder in ("models", "baselines"):
        discover(Path(__file__).parents[1] / folder)
    monkeypatch.setattr(registry, "_REGISTRY", registered())
    monkeypatch.setattr(registry, "_LABELS", dict(registry._LABELS))
    grid = {"learning_rate": (1e-2, 5e-2), "reg": (1e-4,)}
    quick = Preset("quick", epochs=3, patience=2, seeds=1, grid=grid, steps=4)
    monkeypatch.setitem(PRESETS, "quick", quick)
    grid = {"learning_rate": (2e-2,), "reg": (1e-4,)}
    monkeypatch.setitem(PRESETS, "paper", Preset("paper", 2, patience=2, seeds=2, grid=grid))
    bench = Bench(root)
    bench.add("toy")
    return bench


def do_not_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of results and studies need not survive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _: None)

    class Hasty(optuna.storages.RDBStorage):
        def __init__(self, url: str) -> None:
            super().__init__(url)
            self.engine.dispose()  # the next connection is the first to be hasty
            event.listen(self.engine, "connect", self.connected)

        @staticmethod
        def connected(sqlite: Any, _: object) -> None:
            sqlite.execute("PRAGMA synchronous = OFF")

    monkeypatch.setattr(optuna.storages, "RDBStorage", Hasty)


def numbers(rows: list[dict[str, str]]) -> dict[tuple[str, str], dict[str, str]]:
    """What has to be equal whenever a run is repeated: all but times, memory and order."""
    volatile = {"train_seconds", "peak_memory_mib", "started", "commit"}
    return {
        (row["variant"], row["seed"]): {k: v for k, v in row.items() if k not in volatile}
        for row in rows
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
