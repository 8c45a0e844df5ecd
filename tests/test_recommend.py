"""``python -m benchmark.recommend`` on the toy data and on data with names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from planted import ITEMS, USERS, Bench

from benchmark.datasets import Dataset, load
from benchmark.recommend import main, parser, shown
from benchmark.recommendations import excluded, write
from benchmark.splits import Split, interactions_of, split
from benchmark.store import Store
from benchmark.writing import harmless
from models.interactions import Interactions
from models.registry import discover

COLUMNS = ["user", "rank", "item", "title", "score"]
WIDE_OPEN = """
import torch

from models.recommender import Recommender
from models.registry import register


@register("descending")
class Descending(Recommender):
    def fit(self, train, validate=None):
        self.num_items = train.num_items
        return self

    def score(self, users):
        return -torch.arange(self.num_items).float().repeat(len(users), 1)
"""


def recommend(bench: Bench, *arguments: str) -> int:
    return main(bench.arguments("--dataset", "toy", *arguments))


def lists(bench: Bench, *arguments: str, dataset: str = "toy") -> pd.DataFrame:
    """What the command writes."""
    out = bench.root / "out.csv"
    assert main(bench.arguments("--dataset", dataset, *arguments, "--out", str(out))) == 0
    table = pd.read_csv(out, dtype={"user": str, "item": str}, keep_default_na=False)
    assert list(table.columns) == COLUMNS
    return table


def parts(bench: Bench) -> tuple[Interactions, Interactions, Interactions]:
    found = split(load("toy", bench.data), {}, 0)
    return found.train, found.validation, found.test


def had(*some: Interactions) -> set[tuple[str, str]]:
    """The pairs, as text."""
    return {
        (str(user), str(item))
        for each in some
        for user, item in zip(each.users.tolist(), each.items.tolist(), strict=True)
    }


def pairs(table: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(table["user"], table["item"], strict=True))


def test_lists_are_those_that_were_tested(bench: Bench) -> None:
    """With the items known at test time left out, the hits are the stored ones, place by place."""
    assert bench.run("--models", "bpr_mf", "popularity", "--dataset", "toy") == 0
    store, (train, validation, test) = Store(bench.results / "toy"), parts(bench)
    for row in store.rows("runs").to_dict("records"):
        asked = ("--model", row["model"], "--users", "all", "-k", "20", "--exclude", "known")
        table = lists(bench, *asked)
        assert not pairs(table) & had(train, validation)
        hits, stored = np.zeros((USERS, 20), dtype=bool), store.lists(row["run_id"])
        found = zip(table["user"], table["item"], table["rank"], strict=True)
        for user, item, rank in found:
            hits[int(user), rank - 1] = (user, item) in had(test)
        assert stored.hits.any()
        np.testing.assert_array_equal(hits[stored.users], stored.hits.numpy())


def test_items_of_the_user_are_left_out(bench: Bench) -> None:
    bench.plug_in("descending.py", WIDE_OPEN)
    discover(bench.plugins)
    assert bench.run("--models", "descending", "--dataset", "toy") == 0
    train, validation, test = parts(bench)
    everything = had(train, validation, test)
    table = lists(bench, "--model", "descending", "--users", "7", "3", "7", "-k", str(ITEMS))
    for user in ("7", "3"):
        mine = table[table["user"] == user]
        new = [str(item) for item in range(ITEMS) if (user, str(item)) not in everything]
        assert mine["item"].tolist() == new  # and no empty places at the end
        assert mine["rank"].tolist() == list(range(1, len(new) + 1))
        assert mine["score"].tolist() == [-int(item) for item in new]
    assert table["user"].unique().tolist() == ["7", "3"]
    table = lists(bench, "--model", "descending", "--users", "7", "-k", "3", "--exclude", "nothing")
    assert table["item"].tolist() == ["0", "1", "2"]


def test_items_in_no_part_are_left_out() -> None:
    """Where items are held out, users without a training item are in none of the parts."""
    data = Dataset.from_pairs(
        name="one each", source="made up", users=np.arange(30), items=np.arange(30),
        num_users=30, num_items=30, features={},
    )  # fmt: skip
    everything = {(str(number), str(number)) for number in range(30)}
    labels = np.zeros(30, dtype=np.int8)
    labels[:4] = 1, 2, 3, 3
    parts = Split(*(interactions_of(data, labels == part) for part in range(3)))
    for which, missing in (("seen", 0), ("known", 3)):
        left_out = excluded(data, parts, which)
        assert left_out is not None
        assert len(everything - had(left_out)) == missing
    assert excluded(data, parts, "nothing") is None


def test_a_model_is_trained_once_and_then_loaded(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run("--models", "huign", "--dataset", "toy") == 0
    runs = bench.rows("toy")
    asked = ("--model", "huign", "--users", "all")
    first = lists(bench, *asked)
    said = capsys.readouterr().err
    assert "trained again, with the test metrics of the stored run" in said
    kept = bench.results / "toy" / "models" / runs[0]["run_id"]
    assert {path.name for path in kept.iterdir()} == {"model.json", "model.safetensors"}

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    with monkeypatch.context() as patch:
        patch.setattr("benchmark.tuning.Tuner.fit", refuse)
        pd.testing.assert_frame_equal(lists(bench, *asked), first, check_exact=True)
        assert "loaded from" in capsys.readouterr().err
        some = lists(bench, "--model", "huign", "--users", "5")  # whoever else is asked for
        mine = first[first["user"] == "5"].reset_index(drop=True)
        pd.testing.assert_frame_equal(some, mine, check_exact=True)
    assert bench.rows("toy") == runs
    (kept / "model.safetensors").write_bytes(b"")
    assert recommend(bench, *asked) == 2
    assert f"delete '{kept}' to have the model trained again" in capsys.readouterr().err


def test_the_validation_data_choose_the_seed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run("--models", "bpr_mf", "--dataset", "toy", "--seeds", "3") == 0
    rows = bench.rows("toy")
    best = max(rows, key=lambda row: float(row["validation_recall@10"]))
    lists(bench, "--model", "bpr_mf", "--users", "0")
    [kept] = (bench.results / "toy" / "models").iterdir()
    assert kept.name == best["run_id"]
    other = next(row for row in rows if row is not best)
    lists(bench, "--run", other["run_id"], "--users", "0")
    assert (kept.parent / other["run_id"]).exists()
    assert f"seed {other['seed']}: trained again, with the test metrics" in capsys.readouterr().err
    assert bench.run("--models", "bpr_mf", "--dataset", "toy", "--preset", "paper") == 0
    newest = {row["run_id"] for row in bench.rows("toy")} - {row["run_id"] for row in rows}
    assert len(newest) == 2
    lists(bench, "--model", "bpr_mf", "--users", "0")
    assert newest & {path.name for path in kept.parent.iterdir()}


@pytest.mark.parametrize(
    "options",
    [
        ("--protocol", "official"),
        ("--vary", "sampling", "--seeds", "2"),
        ("--modalities", "visual", "--feature-scaling", "zscore_col", "--ks", "3", "7"),
    ],
)
def test_a_run_is_repeated_as_it_was_made(
    options: tuple[str, ...], bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever options it was made with; none of them has to be given again."""
    assert bench.run("--models", "vbpr", "--dataset", "toy", *options) == 0
    for row in bench.rows("toy"):
        lists(bench, "--run", row["run_id"], "--users", "0")
        assert "with the test metrics of the stored run" in capsys.readouterr().err


def test_a_run_on_another_split_can_be_used(bench: Bench) -> None:
    bench.add("drawn", shipped=False)
    split = ("--split-method", "per_user")
    assert bench.run("--models", "popularity", "--dataset", "drawn", *split) == 0
    [row] = bench.rows("drawn-per_user")
    assert len(lists(bench, "--run", row["run_id"], "--users", "0", dataset="drawn")) == 10


def test_variants_of_tables_can_be_used(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    models = ("--models", "huign", "--dataset", "toy")
    assert bench.run(*models, "--experiments", "table3") == 0
    row = next(row for row in bench.rows("toy") if row["variant"] == "HUIGN 32-8")
    lists(bench, "--run", row["run_id"], "--users", "0")
    said = capsys.readouterr().err
    assert "HUIGN 32-8, seed 0: trained again, with the test metrics of the stored run" in said


def test_another_processor_may_round_otherwise(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run("--models", "popularity", "--dataset", "toy") == 0
    path = bench.results / "toy" / "runs.csv"
    runs = pd.read_csv(path, dtype=str, keep_default_na=False)
    was = float(runs["recall@20"].iloc[0])
    runs["recall@20"] = "0.125"
    runs.to_csv(path, index=False)
    lists(bench, "--model", "popularity", "--users", "0")
    said = capsys.readouterr().err
    assert f"and test recall@20 is {was:.4f}, where the stored run has 0.1250" in said


def named_data(bench: Bench) -> None:
    """Users and items with names, of which some could do harm."""
    folder = bench.data / "shop"
    folder.mkdir()
    users = ["@ann", "bob", "-5", "=1+1"]
    pairs = [(user, f"{item:02}x") for user in users for item in range(12) if item != len(user)]
    lines = "".join(f"{user},{item}\n" for user, item in pairs)
    (folder / "interactions.csv").write_text("user,item\n" + lines)
    names = ["=HYPERLINK(0)", 'A, "b"', "", "\x1b[31mred"]
    quoted = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names]
    items = "".join(f"{item:02}x,{quoted[item - 2]}\n" for item in (2, 3, 4, 5))
    (folder / "items.csv").write_text("item,title\n" + items)


def test_names_and_titles_are_those_of_the_files(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    named_data(bench)
    assert bench.run("--models", "popularity", "--dataset", "shop", "--ks", "1") == 0
    wanted = bench.root / "wanted.txt"
    wanted.write_text("\ufeff=1+1\n\n@ann\n", encoding="utf-8")
    table = lists(
        bench, "--model", "popularity", "--users", f"@{wanted}", "bob", "-k", "1", dataset="shop"
    )
    assert table["user"].tolist() == ["'=1+1", "'@ann", "bob"]
    assert table["item"].tolist() == ["04x", "04x", "03x"]  # the one that each has not had
    assert table["title"].tolist() == ["", "", 'A, "b"']
    table = lists(bench, "--model", "popularity", "--users", "all", "-k", "1", dataset="shop")
    assert table["user"].tolist() == ["-5", "'=1+1", "'@ann", "bob"]
    assert table["item"].tolist() == ["02x", "04x", "04x", "03x"]
    assert table["title"].tolist() == ["'=HYPERLINK(0)", "", "", 'A, "b"']

    asked = ("--dataset", "shop", "--model", "popularity", "--users", "all")
    assert main(bench.arguments(*asked, "--exclude", "nothing")) == 0
    printed = capsys.readouterr().out
    assert "[31mred" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jaws", "Jaws"),
        ("", ""),
        ("=1", "'=1"),
        ("+cmd", "'+cmd"),
        ("-", "'-"),
        ("@a", "'@a"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\uff1d1", "'\uff1d1"),
        ("-5", "-5"),
        ("+1.5e3", "+1.5e3"),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
    ],
)
def test_no_cell_is_a_formula(text: str, expected: str) -> None:
    assert harmless(text) == expected


def test_the_terminal_is_not_steered() -> None:
    assert shown("a\x1b[2Jb\x07") == "a[2Jb"
    assert shown(3) == 3


def test_parquet_keeps_every_text(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = pd.DataFrame(
        {"user": ["@a"], "rank": [1], "item": ["-x"], "title": ["=1"], "score": [np.float32(0.1)]}
    )
    write(table, tmp_path / "lists.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "lists.parquet").astype({"score": "float32"}),
        table,
        check_dtype=False,
    )
    first = (tmp_path / "lists.parquet").read_bytes()
    write(table, tmp_path / "lists.parquet")
    assert (tmp_path / "lists.parquet").read_bytes() == first


def test_scores_are_written_to_the_last_bit(tmp_path: Path) -> None:
    scores = torch.rand(100, generator=torch.Generator().manual_seed(0)).numpy()
    text = ["a"] * 100
    frame = {"user": text, "rank": range(100), "item": text, "title": text, "score": scores}
    write(pd.DataFrame(frame), tmp_path / "lists.csv")
    again = pd.read_csv(tmp_path / "lists.csv")["score"].to_numpy(np.float32)
    np.testing.assert_array_equal(again, scores)
    assert b"\r" not in (tmp_path / "lists.csv").read_bytes()


MISTAKES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("--users", "0"), ("--model", "--run", "required")),
    (("--model", "popularity"), ("--users", "required")),
    (("--model", "popularity", "--run", "x", "--users", "0"), ("--run", "not allowed")),
    (("--model", "nobody", "--users", "0"), ("unknown model 'nobody'", "popularity")),
    (("--model", "popularity", "--users", "60", "3", "x"), ("2 of 3", "'60', 'x'", "'0' to '59'")),
    (("--model", "popularity", "--users", "@{root}/none"), ("{root}/none", "cannot be read")),
    (("--model", "popularity", "--users", "@{root}/empty"), ("none was given", "'all'")),
    (("--model", "popularity", "--users", "all", "-k", "0"), ("-k", "from 1")),
    (("--model", "popularity", "--users", "all", "-k", "41"), ("-k 41", "40 items")),
    (("--model", "popularity", "--users", "all", "--out", "a.txt"), ("a.txt", ".csv")),
    (("--model", "popularity", "--users", "all", "--out", "{root}/x.csv"), ("is a folder",)),
    (("--model", "vbpr", "--users", "all"), ("--models vbpr --dataset toy", "no finished run")),
    (("--run", "abc-0", "--users", "all"), ("no finished run 'abc-0'",)),
    (
        ("--model", "popularity", "--users", "0", "--results-root", "{root}/elsewhere"),
        (
            "holds no run of 'popularity'",
            "python -m benchmark.run --models popularity --dataset toy",
        ),
    ),
)
"""Arguments, with ``{root}`` for the folder of the test, and what the error has to say."""


def test_mistakes_get_one_line(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--models", "popularity", "--dataset", "toy", "--ks", "5") == 0
    (bench.root / "empty").touch()
    (bench.root / "x.csv").mkdir()
    capsys.readouterr()
    for arguments, words in MISTAKES:
        given = [each.replace("{root}", str(bench.root)) for each in arguments]
        assert main([*bench.arguments("--dataset", "toy"), *given]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        for word in words:
            assert word.replace("{root}", str(bench.root)) in line
    assert not (bench.root / "elsewhere").exists()


def test_runs_of_other_data_or_code_are_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.plug_in("descending.py", WIDE_OPEN)
    discover(bench.plugins)
    asked = ("--model", "descending", "--users", "0")
    assert bench.run("--models", "descending", "--dataset", "toy") == 0
    assert recommend(bench, *asked) == 0
    source = bench.plugins / "descending.py"
    source.write_text(WIDE_OPEN + "\n")
    assert recommend(bench, *asked) == 2
    assert "is of other code than that of 'descending' now" in capsys.readouterr().err
    source.write_text(WIDE_OPEN)
    inter = bench.data / "toy" / "toy.inter"
    inter.write_text(inter.read_text().rpartition("\n")[0].rpartition("\n")[0] + "\n")
    assert recommend(bench, *asked) == 2
    said = capsys.readouterr().err
    assert "is of other data (fingerprint" in said
    assert "python -m benchmark.run --models descending --dataset toy" in said


def test_a_row_that_was_edited(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--models", "popularity", "--dataset", "toy", "--ks", "5") == 0
    path = bench.results / "toy" / "runs.csv"
    runs = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in ("preset", "ks"):
        runs.assign(**{column: "strange"}).to_csv(path, index=False)
        assert recommend(bench, "--model", "popularity", "--users", "0") == 2
        said = capsys.readouterr().err
        assert f"row '{runs['run_id'].iloc[0]}' of runs.csv makes no sense" in said
    runs.assign(damage="image mask 0.3").to_csv(path, index=False)
    assert recommend(bench, "--model", "popularity", "--users", "0") == 2
    assert "is of other code" in capsys.readouterr().err  # its id is that of other data


def test_what_cannot_be_kept_is_still_of_use(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    hider = """
from baselines.bpr_mf import BPRMF
from models.registry import register


@register("hider")
class Hider(BPRMF):
    def fit(self, train, validate=None):
        super().fit(train, validate)
        self.secret = len(self.history)
        return self

    def score(self, users):
        return super().score(users) + getattr(self, "secret", 0)
"""
    bench.plug_in("hider.py", hider)
    discover(bench.plugins)
    assert bench.run("--models", "hider", "--dataset", "toy") == 0
    assert len(lists(bench, "--model", "hider", "--users", "0", "1", "-k", "3")) == 6
    assert "not kept: 'hider' cannot be saved" in capsys.readouterr().err.replace("\n", "")


def test_help_answers_at_once() -> None:
    assert "-k N" in parser().format_help()
    code = (
        "import sys; from benchmark.recommend import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'numpy', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
