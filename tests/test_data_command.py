"""``python -m benchmark.data`` on a data set whose numbers are known."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.data import main, parser
from benchmark.datasets import load
from benchmark.datasets.sources import SOURCES
from benchmark.inspection import draw_degrees, inspect

# six users like items 0 and 1, five of them item 2, one of them item 3; item 4 is only tested
TRAIN = [(u, 0) for u in range(6)] + [(u, 1) for u in range(6)] + [(u, 2) for u in range(5)]
TRAIN += [(0, 3)]
ROWS = [(*pair, 0) for pair in TRAIN] + [(1, 3, 1), (6, 4, 2), (0, 0, 2)]
IMAGE = np.array([[3, 4], [30, 40], [0, 0], [6, 8], [300, 400]], dtype=np.float32)
TEXT = np.full((5, 3), 1e-3)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root of its own, and no MovieLens from RecBole."""
    monkeypatch.setattr("benchmark.datasets.locate", lambda: None)
    folder = tmp_path / "data" / "shop"
    folder.mkdir(parents=True)
    lines = "".join("\t".join(map(str, row)) + "\n" for row in ROWS)
    (folder / "shop.inter").write_text("userID\titemID\tx_label\n" + lines)
    np.save(folder / "image_feat.npy", IMAGE)
    np.save(folder / "text_feat.npy", TEXT)
    return tmp_path / "data"


def run(root: Path, *arguments: str) -> int:
    return main([*arguments, "--data-root", str(root)])


def test_inspection_in_numbers(root: Path) -> None:
    report: dict[str, Any] = inspect(load("shop", root))
    assert report["counts"] == {
        "users": 7, "items": 5, "interactions": 20, "density": 20 / 35, "duplicates_removed": 1,
    }  # fmt: skip
    assert report["split"] == {
        "how": "shipped", "seed": None, "train": 18, "validation": 1, "test": 1,
        "users_without_train": 1, "items_without_train": 1,
    }  # fmt: skip
    assert list(report["per_item"].values()) == [0, 0.2, 1, 5, 6, 6, 6]
    assert (report["per_user"]["median"], report["per_user"]["max"]) == (3, 4)
    assert report["modalities"]["image"] == {
        "dim": 2, "type": "float32", "coverage": 0.8,
        "norm_min": 5, "norm_median": 30, "norm_max": 500,
    }  # fmt: skip
    # items 0 and 1 share six users, 0 and 2 five, 1 and 2 five
    edges = {row["min_co_users"]: row["edges"] for row in report["item_graph"]}
    assert edges == {4: 3, 5: 3, 6: 1, 7: 0, 8: 0}
    isolated = {row["min_co_users"]: row["isolated_share"] for row in report["item_graph"]}
    assert isolated == {4: 0.4, 5: 0.4, 6: 0.6, 7: 1, 8: 1}
    memory = list(report["memory_mib"].values())
    sizes = [320, 4 * 5 * 5, 16 * 64 * 12, 16 * 3 + 4 * 5, 4 * 7 * 5]
    assert memory == [round(size / 2**20, 3) for size in sizes]


def test_inspection_in_words(root: Path) -> None:
    remarks = "\n".join(inspect(load("shop", root))["remarks"])
    for words in ("1 users have no training", "1 items have no training", "1 repeated pairs",
                  "20.0% of the items lack 'image'", "lengths of 'image' differ wildly, from 5 to",
                  f"'image' is {30 / math.sqrt(3e-6):.0f} times as long as 'text'"):  # fmt: skip
        assert words in remarks
    assert "no edge" not in remarks
    assert "'text' differ wildly" not in remarks


def test_inspect_prints_tables(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "inspect", "shop") == 0
    text = capsys.readouterr().out
    for words in ("shop: files in the MMRec layout", load("shop", root).fingerprint, "image",
                  "80.00%", "co-interaction", "embeddings of width 64", "! 1 users"):  # fmt: skip
        assert words in text


def test_inspect_as_json_and_plot(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = root.parent / "out" / "tails.png"
    assert run(root, "inspect", "shop", "--json", "--plot", str(plot)) == 0
    assert json.loads(capsys.readouterr().out) == inspect(load("shop", root))
    first = plot.read_bytes()
    with Image.open(plot) as image:
        assert image.size == (700, 480)
    assert run(root, "inspect", "shop", "--json", "--plot", str(plot)) == 0
    assert plot.read_bytes() == first


def test_the_plot_shows_shares_of_all(root: Path) -> None:
    [axes] = draw_degrees(load("shop", root)).axes
    lines = {str(line.get_label()): line for line in axes.lines}
    x, y = (np.asarray(values).tolist() for values in lines["items (5)"].get_data())
    assert x == [1, 5, 6]
    assert y == pytest.approx([0.8, 0.6, 0.4])


def test_a_drawn_split_has_a_seed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "shop" / "shop.inter"
    lines = [line.rpartition("\t")[0] for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
    assert run(root, "inspect", "shop", "--split-seed", "3", "--json") == 0
    split = json.loads(capsys.readouterr().out)["split"]
    assert (split["how"], split["seed"], split["test"]) == ("drawn 8 : 1 : 1", 3, 2)


def test_list_shows_what_is_there_and_what_is_wrong(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "list") == 0
    text = capsys.readouterr().out
    for words in ("shop", "20", "0.5714", "image (2-d, 1 items missing)", "shop.inter"):
        assert words in text
    (root / "bad[red]").mkdir()
    (root / "bad[red]" / "x.inter").write_text("nothing\n")
    (root / "no data").mkdir()
    assert run(root, "list", "--json") == 1
    good, wrong = sorted(json.loads(capsys.readouterr().out), key=len, reverse=True)
    assert good["interactions"] == 20
    assert wrong["name"] == "bad[red]"
    assert "'bad[red]' is no name for them" in wrong["error"]
    assert run(root, "list") == 1
    assert "bad[red]: " in capsys.readouterr().out


def test_nothing_to_list(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = root / "shop" / "empty"
    empty.mkdir()
    assert run(empty, "list") == 0
    assert capsys.readouterr().out.startswith("there are no data sets here\n")


def test_convert_writes_a_data_set(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fast = root / "fast"
    assert run(root, "convert", "shop", "--to", str(fast)) == 0
    text = capsys.readouterr().out
    assert f"--dataset fast --data-root {root}" in text
    original = load("shop", root)
    assert load("fast", root).fingerprint == original.fingerprint in text
    assert not any(b"pickle" in path.read_bytes() for path in fast.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("required",)),
        (("show",), ("show", "list")),
        (("inspect",), ("NAME",)),
        (("inspect", "shops"), ("'shops'", "shop", "--data-root")),
        (("inspect", "shop", "--plot", "x.pdf"), ("x.pdf", ".png")),
        (
            ("inspect", "shop", "--plot", "{root}/shop/shop.inter/x.png"),
            ("--plot", "cannot be written", "another place"),
        ),
        (("convert", "shop", "--to", "{root}/a:b"), ("a:b", "no name for them", "rename")),
        (("convert", "shop", "--to", "{root}/synthetic-tiny"), ("synthetic-tiny", "rename")),
        (("inspect", "shop", "--split-seed", "-1"), ("--split-seed",)),
        (("convert", "shop"), ("--to",)),
        (("convert", "shop", "--to", "{root}/shop"), ("exists already", "new folder")),
        (("convert", "shop", "--to", "{root}/shop/shop.inter/new"), ("cannot be written", "place")),
    ],
)
def test_mistakes_get_one_line(
    arguments: tuple[str, ...],
    words: tuple[str, ...],
    root: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [each.replace("{root}", str(root)) for each in arguments]
    more = ("--data-root", str(root)) if given else ()
    assert main([*given, *more]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line


def test_help_teaches_every_layout_at_once() -> None:
    text = parser().format_help()
    for source in SOURCES:
        assert f"\n  {source.title} " in text
    code = (
        "import sys; from benchmark.data import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'numpy', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
