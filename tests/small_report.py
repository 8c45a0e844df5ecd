"""Made-up runs with all that a report tells of them, and a page as a test sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import small_record

HUIGN, VBPR = "111111111111", "222222222222"


def run(configuration: str, variant: str, value: float, seed: int = 0, **others: Any) -> Any:
    """A row of ``runs.csv`` with nothing left out."""
    told = {
        "run_id": f"{configuration}-{seed}",
        "switches": "",
        "params": json.dumps({"epochs": 40, "patience": 10, "learning_rate": 0.01, "seed": seed}),
        "validation_recall@10": value,
        "train_seconds": 12.34,
        "peak_memory_mib": 1234.5,
        "device": "cpu",
        "versions": json.dumps({"python": "3.11", "torch": "2.13"}),
        "commit": "abcdef123456",
        "started": "2026-01-02T03:04:05+00:00",
    }
    return small_record.run(variant, value, seed, **{**told, **others})


@dataclass
class Page(HTMLParser):
    """What a page holds.

    Args:
        ids: Of its elements.
        links: What its links lead to.
        tags: Names of all its elements.
        attributes: Names and values of all attributes.
        cells: Of every table row the texts, each with the link in it if there is one.
        words: All texts.
        in_cell: Whether a cell of a table is being read.
    """

    text: str
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    cells: list[list[tuple[str, str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    in_cell: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes += given.items()
        self.ids += [given["id"]] if "id" in given else []
        if tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append(("", ""))
            self.in_cell = True
        elif tag == "a":
            self.links.append(given["href"])
            if self.in_cell:
                self.cells[-1][-1] = (self.cells[-1][-1][0], given["href"])

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.in_cell:
            text, link = self.cells[-1][-1]
            self.cells[-1][-1] = ((text + data).strip(), link)

    @property
    def prose(self) -> str:
        """All words in their order, with single spaces between them."""
        return " ".join(" ".join(self.words).split())

    def row(self, first: str, place: int = 0) -> list[tuple[str, str]]:
        """The cells after the first of the row that starts so; several may."""
        return [row for row in self.cells if row and row[0][0] == first][place][1:]
