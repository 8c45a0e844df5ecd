"""The README's way from a CSV of clicks and one .npy to Table 2 and recommendations is true."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from planted import ITEMS, USERS, small_bench

from benchmark import data, recommend, run
from benchmark.experiments import default_models
from models.registry import label

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
[BLOCK] = [block for block in re.findall(r"```sh\n(.*?)```", README, re.S) if "clicks.csv" in block]
COPY, *COMMANDS = BLOCK.splitlines()
MAINS: dict[str, Callable[[Sequence[str]], int]] = {
    "benchmark.data": data.main,
    "benchmark.run": run.main,
    "benchmark.recommend": recommend.main,
}


def what_a_user_has(folder: Path) -> None:
    """Clicks on items of the user's parity, and what the items look like."""
    generator = np.random.default_rng(0)
    clicks = [
        f"{user},{item}\n"
        for user in range(USERS)
        for item in range(ITEMS)
        if (user + item) % 2 == 0 and generator.random() < 0.6
    ]
    (folder / "clicks.csv").write_text("user,item\n" + "".join(clicks))
    np.save(folder / "image.npy", generator.normal(size=(ITEMS, 4)).astype(np.float32))


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a POSIX shell")
def test_the_commands_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_bench(tmp_path / "elsewhere", monkeypatch)  # for its small budget
    monkeypatch.delenv("HUIGN_DATA_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    what_a_user_has(tmp_path)
    subprocess.run(COPY, shell=True, check=True)
    called = []
    for command in COMMANDS:
        python, option, module, *arguments = shlex.split(command)
        assert (python, option) == ("python", "-m")
        # other processes would not have the small budget
        more = ["--jobs", "1"] if module == "benchmark.run" else []
        assert MAINS[module]([*arguments, *more]) == 0
        called.append(module)
    assert called == list(MAINS)
    assert "a table of interactions (interactions.csv)" in capsys.readouterr().out

    with (tmp_path / "results" / "my-shop" / "table2.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {"recall@10", "precision@10", "ndcg@10"} <= {row["metric"] for row in table}
    recall = next(row for row in table if row["metric"] == "recall@10")
    for name in default_models():
        assert 0 < float(recall[label(name)]) <= 1
    for ending in ("md", "tex"):
        assert (tmp_path / "results" / "my-shop" / f"table2.{ending}").exists()

    with (tmp_path / "recommended.csv").open(newline="") as file:
        lists = list(csv.DictReader(file))
    with (tmp_path / "clicks.csv").open(newline="") as file:
        clicked = {(row["user"], row["item"]) for row in csv.DictReader(file)}
    assert len(lists) == 10 * USERS
    assert not {(row["user"], row["item"]) for row in lists} & clicked
