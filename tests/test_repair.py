"""Damaged files are set aside, what can be read stays, and the next call makes up for the rest."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from killed import outcome
from planted import Bench, contents
from small_record import run

from benchmark.repair import is_set_aside
from benchmark.store import Store
from benchmark.writing import StoreError

CALL = ("--models", "huign", "popularity", "--dataset", "toy")
ASIDE = "damaged-1"

# Up to Python 3.10 the csv module refuses a zero byte itself.
ZERO = "column 'run_id'" if sys.version_info >= (3, 11) else "line contains NUL"


def stored(folder: Path) -> bytes:
    """The table of three runs, a row each."""
    store = Store(folder)
    for variant in "ABC":
        store.append("runs", {**run(variant, 0.5), "reason": "so, so"})
    return (folder / "runs.csv").read_bytes()


@pytest.mark.fault(
    "a damaged table",
    how="bytes of a row garbled, lost or cut off: 7 kinds",
    again="that row's training",
    says="`'...' is damaged (row 2: ...): set aside as 'runs.csv.damaged-1'; rows that can be "
    "read are kept (2), the others are run again`",
)
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"B-0,ok", b"B-0", "another length"),
        (b"B-0,ok", b"B-0,ok,", "another length"),
        (b"B-0,ok", b"\xff-0,ok", "decode"),
        (b"B-0,ok", b"B\0-0,ok", ZERO),
        (b"B-0,ok", b",ok", "column 'run_id'"),
        (b"B-0,ok", b'"B-0,ok', "expected after"),
        (b",0.5,", b",O.5,", "could not convert"),
    ],
    ids=("short", "long", "bytes", "zero", "no id", "quote", "number"),
)
def test_rows_that_can_be_read_stay(
    old: bytes, new: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored(tmp_path)
    first, second, third, fourth = before.splitlines(keepends=True)
    damaged = first + second + third.replace(old, new) + fourth
    assert damaged != before
    (tmp_path / "runs.csv").write_bytes(damaged)
    capsys.readouterr()
    store = Store(tmp_path)
    assert list(store.rows("runs")["run_id"]) == ["A-0", "C-0"]
    [line] = capsys.readouterr().err.splitlines()
    assert "runs.csv' is damaged (row 2: " in line
    assert why in line
    assert f"set aside as 'runs.csv.{ASIDE}'; rows that can be read are kept (2)" in line
    assert (tmp_path / f"runs.csv.{ASIDE}").read_bytes() == damaged
    Store(tmp_path)
    assert capsys.readouterr().err == ""
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


@pytest.mark.parametrize("cut", [0, 10, 300, -1, -30])
def test_a_table_that_is_cut_off(cut: int, tmp_path: Path) -> None:
    before = stored(tmp_path)
    (tmp_path / "runs.csv").write_bytes(before[:cut])
    kept = [] if 0 <= cut <= 300 else ["A-0", "B-0"]
    rows = Store(tmp_path).rows("runs")
    assert (list(rows["run_id"]) if len(rows) else []) == kept
    assert (tmp_path / f"runs.csv.{ASIDE}").read_bytes() == before[:cut]


@pytest.mark.parametrize("table", ["runs", "trials"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no column 'model'"),
        (b"run_id,status\n1,ok\n", "no column 'model'"),
        (b"run_id,variant,model\na,b\n", "row 1"),
        (b"run_id,variant,model\na,b,c,d\n", "row 1"),
        (b"run_id,variant,model,seed\na,b,c,zero\n", "'zero'"),
        (b"run_id,variant,model\n\xff\xfe,b,c\n", "decode"),
        (b'run_id,variant,model\n"a,b,c\n', "end of data"),
    ],
    ids=("empty", "columns", "short row", "long row", "number", "binary", "cut off"),
)
def test_no_row_can_be_read(
    content: bytes, why: str, table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"{table}.csv"
    path.write_bytes(content)
    assert Store(tmp_path).rows(table).empty
    [line] = capsys.readouterr().err.splitlines()
    assert why in line
    assert f"set aside as '{table}.csv.{ASIDE}'; rows that can be read are kept (0)" in line
    assert path.with_name(f"{table}.csv.{ASIDE}").read_bytes() == content
    assert not path.exists()


def test_any_damage_is_survived(whole: Bench, tmp_path: Path) -> None:
    """Whatever becomes of bytes, the record opens, all in it can be read, and nothing is gone."""
    moments = random.Random(0)
    names = ["runs.csv", "trials.csv", *(
        str(path.relative_to(whole.results / "toy"))
        for folder in ("lists", "history", "intents")
        for path in sorted((whole.results / "toy" / folder).iterdir())
    )]  # fmt: skip
    for number in range(60):
        folder = tmp_path / str(number)
        shutil.copytree(whole.results / "toy", folder)
        path = folder / moments.choice(names)
        content = bytearray(path.read_bytes())
        place = moments.randrange(len(content))
        if moments.random() < 0.3:
            content = content[:place]
        else:
            content[place : place + moments.choice((1, 1, 8, 64))] = moments.randbytes(1)
        path.write_bytes(content)
        store = Store(folder)
        aside = path.with_name(f"{path.name}.{ASIDE}")
        assert (aside if aside.exists() else path).read_bytes() == content
        for name in ("runs", "trials"):
            store.rows(name)
        for kept in folder.glob("lists/*.npz"):
            store.lists(kept.stem)
        for kept in folder.glob("history/*.csv"):
            store.history(kept.stem)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def garble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = len(content) // 2
    content[place : place + 64] = b"?" * 64
    path.write_bytes(content)


@pytest.mark.fault(
    "a damaged file of a run",
    how="`lists`, `history`, `popularity`, `intents` cut off or garbled",
    again="that run, without tuning",
    says="`'...' is damaged (...): set aside as '....damaged-1'; its run is repeated when it is "
    "asked for`",
)
@pytest.mark.fault(
    "a damaged table of runs",
    how="`runs.csv` cut off",
    again="that row's training",
    says="`'...' is damaged (...): set aside as 'runs.csv.damaged-1'; rows that can be read are "
    "kept (...), the others are run again`",
)
@pytest.mark.fault(
    "a damaged table of trials",
    how="`trials.csv` cut off",
    again="nothing",
    says="`'...' is damaged (...): set aside as 'trials.csv.damaged-1'; rows that can be read are "
    "kept (...), the others are run again`",
)
@pytest.mark.fault(
    "a damaged manifest", how="`manifest.json` cut off", again="nothing", says="nothing"
)
@pytest.mark.fault(
    "a lost history", how="a file of `history` deleted", again="that run, without tuning",
    says="nothing",
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("runs.csv", cut), ("trials.csv", cut), ("studies.db", garble), ("manifest.json", cut),
        ("lists/*.npz", garble), ("history/*.csv", cut), ("intents/*.npz", garble),
        ("intents/*.csv", cut), ("popularity/*.csv", cut), ("history/*.csv", Path.unlink),
    ],
)  # fmt: skip
def test_the_next_call_makes_up_for_it(
    name: str, damage: Callable[[Path], None], whole: Bench, bench: Bench,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.copytree(whole.results, bench.results)
    path = min((bench.results / "toy").glob(name))
    damage(path)
    damaged = path.read_bytes() if path.exists() else b""
    capsys.readouterr()
    assert bench.run(*CALL) == 0
    assert outcome(bench, ["table2"]) == outcome(whole, ["table2"])
    aside, said = path.with_name(f"{path.name}.{ASIDE}"), capsys.readouterr().err
    if name in ("studies.db", "manifest.json") or not damaged:  # not needed; written anew
        assert "damaged" not in said
        assert not list(bench.results.rglob("*.damaged-*"))
    else:
        assert said.count(f"{path.name}' is damaged") == said.count(aside.name) == 1
        assert aside.read_bytes() == damaged
        assert not is_set_aside(path)
    if path.suffix == ".npz":
        original = whole.results / path.relative_to(bench.results)
        assert path.read_bytes() == original.read_bytes()
    assert len(pd.read_csv(path)) if path.suffix == ".csv" else path.exists()
    if path.parent.name != "lists":
        return
    before = contents(bench.results / "toy" / "history")
    assert bench.run(*CALL) == 0  # once, and not again
    assert contents(bench.results / "toy" / "history") == before
    assert "damaged" not in capsys.readouterr().err


def test_what_was_asked_for_counts_when_it_is_repeated(bench: Bench) -> None:
    """And not what another call has stored since."""
    call = ("--models", "bpr_mf", "--dataset", "toy")
    assert bench.run(*call) == 0
    assert bench.run(*call, "--sampler", "tpe", "--trials", "1") == 0
    store = Store(bench.results / "toy")
    asked_for, asked_since = store.rows("runs")["run_id"]
    garble(store.folder / "lists" / f"{asked_for}.npz")
    assert bench.run(*call) == 0
    assert list(store.current({"dataset": "toy"})["run_id"]) == [asked_for] != [asked_since]


def test_lists_that_were_deleted_are_not_missed(whole: Bench, bench: Bench) -> None:
    shutil.copytree(whole.results, bench.results)
    for path in (bench.results / "toy" / "lists").iterdir():
        path.unlink()
    assert bench.run(*CALL) == 0
    assert not list((bench.results / "toy" / "lists").iterdir())


def test_a_table_that_is_damaged_meanwhile_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "runs.csv").write_bytes(b"run_id,variant,model\na,b\n")
    with pytest.raises(StoreError, match=r"runs\.csv.*row 1.*the same command sets it aside"):
        store.ids("runs")
