"""Every mistake gets one line that says how to mend it, and costs no earlier result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import ITEMS, USERS, Bench, contents, small_bench

from benchmark.run import main
from models.training import TrainedRecommender

RUN = ("--models", "bpr_mf", "--dataset", "toy")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With results of an earlier run, and a trap for everything that trains."""
    bench = small_bench(tmp_path, monkeypatch)
    assert bench.run("--models", "popularity", "--dataset", "toy") == 0

    def trained(*_: object) -> None:
        raise AssertionError("a mistake showed only after training had begun")

    monkeypatch.setattr(TrainedRecommender, "fit", trained)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return bench


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    line: str
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--all", "--models", "--list")),
        (("--models", "bpr"), ("unknown model 'bpr'", "bpr_mf", "popularity")),
        (("--models", "bpr_mf", "--dataset", "toys"), ("'toys'", "toy", "--data-root")),
        (("--models", "bpr_mf", "--datasets", "toy", "toys"), ("'toys'", "--data-root")),
        ((*RUN, "--modalities", "smell"), ("'smell'", "textual, visual")),
        ((*RUN, "--ks", "5", "41"), ("--ks", "41", "'toy' has 40")),
        ((*RUN, "--ks", "0"), ("--ks", "from 1", "'0'")),
        ((*RUN, "--ks", "ten"), ("--ks", "'ten'")),
        ((*RUN, "--seeds", "0"), ("--seeds", "from 1", "'0'")),
        ((*RUN, "--seeds", "-3"), ("--seeds", "from 1", "'-3'")),
        ((*RUN, "--seeds", "1.5"), ("--seeds", "'1.5'")),
        ((*RUN, "--split-seed", "-1"), ("--split-seed", "from 0", "'-1'")),
        ((*RUN, "--preset", "huge"), ("--preset", "'huge'", "quick", "paper")),
        ((*RUN, "--feature-scaling", "log"), ("--feature-scaling", "'log'", "l2_row")),
        ((*RUN, "--device", "cuda"), ("--device", "'cuda'", "no CUDA GPU", "cpu")),
        ((*RUN, "--device", "tpu"), ("--device", "'tpu'", "cpu")),
        ((*RUN, "--plugins", "no/such/folder"), ("no/such/folder", "does not exist")),
        ((*RUN, "--colour"), ("--colour", "--help")),
        ((*RUN, "--storage", "nonsense"), ("--storage 'nonsense'", "journal:PATH")),
        ((*RUN, "--storage", "oracle+none://me@host/x"), ("--storage", "of no known kind")),
        ((*RUN, "--experiments", "table3"), ("nothing to run on 'toy'", "table3", "needs huign")),
        (
            (*RUN, "--experiments", "protocol", "--protocol", "official"),
            ("nothing to run on 'toy'", "protocol", "needs --protocol corrected"),
        ),
        ((*RUN, "--all"), ("--all", "--models")),
        (("--models",), ("--models",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_options(
    arguments: tuple[str, ...],
    words: tuple[str, ...],
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents(bench.results)
    capsys.readouterr()
    folders = ["--data-root", str(bench.data), "--results-root", str(bench.results)]
    assert main([*folders, *arguments]) == 2
    line = complaint(capsys)
    for word in words:
        assert word in line
    assert contents(bench.results) == before


def inter(*rows: str, header: str = "userID\titemID\tx_label") -> Callable[[Path], object]:
    return lambda folder: (folder / "bad.inter").write_text("\n".join((header, *rows)) + "\n")


def feature(matrix: object) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / "visual_feat.npy", np.asarray(matrix))


def edit(old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / "bad.inter").read_text()
        assert old in text
        (folder / "bad.inter").write_text(text.replace(old, new))

    return change


def bad_value(value: float) -> Callable[[Path], object]:
    matrix = np.ones((ITEMS, 3), dtype=np.float32)
    matrix[7, 1] = value
    return feature(matrix)


def folder_in_place_of_file(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


@pytest.mark.parametrize(
    ("spoil", "words"),
    {
        "ragged": (inter("0\t1\t0", "1\t2"), ("bad.inter", "line 3", "2", "3", "mend")),
        "too long": (inter("0\t1\t0\t7"), ("bad.inter", "line 2", "4 tab-separated")),
        "text": (inter("0\tcat\t0"), ("bad.inter", "line 2", "'cat'", "itemID", "integer")),
        "fraction": (inter("0\t1.5\t0"), ("bad.inter", "line 2", "'1.5'", "integer")),
        "negative": (inter("0\t-1\t0"), ("bad.inter", "itemID", "-1", "count ids from 0")),
        "huge id": (inter("9999999999\t1\t0"), ("bad.inter", "userID", "9999999999")),
        "label": (inter("0\t1\t3"), ("bad.inter", "x_label", "3", "2 test")),
        "no column": (inter("0\t1", header="user\titem"), ("bad.inter", "userID")),
        "nothing": (inter(), ("bad.inter", "no interaction")),
        "0 bytes": (lambda folder: (folder / "bad.inter").write_text(""), ("bad.inter", "empty")),
        "binary": (lambda folder: (folder / "bad.inter").write_bytes(b"\xff\xfe\x00"), ("UTF-8",)),
        "no train": (edit("\t0\n", "\t1\n"), ("bad.inter", "train", "empty")),
        "no validation": (edit("\t1\n", "\t0\n"), ("bad.inter", "validation", "empty")),
        "no test": (edit("\t2\n", "\t0\n"), ("bad.inter", "test", "empty")),
        "few": (inter("0\t1", "1\t2", header="userID\titemID"), ("'bad'", "larger data set")),
        "out of range": (
            edit("\t39\t", "\t40\t"),
            ("bad.inter", "40", "textual_feat.npy", "40 rows", "renumber"),
        ),
        "row count": (feature(np.ones((ITEMS + 2, 3))), ("visual_feat.npy 42", "textual", "40")),
        "nan": (bad_value(np.nan), ("visual_feat.npy", "row 7", "NaN", "zero")),
        "inf": (bad_value(np.inf), ("visual_feat.npy", "row 7", "infinity", "mend")),
        "object": (feature(np.array([[None]] * ITEMS)), ("visual_feat.npy", "float32")),
        "strings": (feature(np.array([["a"]] * ITEMS)), ("visual_feat.npy", "numbers", "float32")),
        "vector": (feature(np.ones(ITEMS)), ("visual_feat.npy", "shape (40,)", "[items, dim]")),
        "no array": (
            lambda folder: (folder / "visual_feat.npy").write_text("features"),
            ("visual_feat.npy", ".npy format"),
        ),
        "unreadable features": (folder_in_place_of_file("visual_feat.npy"), ("visual_feat.npy",)),
        "unreadable pairs": (folder_in_place_of_file("bad.inter"), ("bad.inter", "cannot be read")),
        "no pairs": (lambda folder: (folder / "bad.inter").unlink(), ("*.inter", "none")),
        "few items": (
            lambda folder: (
                [path.unlink() for path in folder.glob("*.npy")],
                inter(*(f"{u}\t{i}\t{(u + i) % 3}" for u in range(9) for i in range(9)))(folder),
            ),
            ("hyper-parameters", "recall at cut-off 10", "'bad' has 9: use more data"),
        ),
    }.items(),
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_data(
    spoil: str | tuple[Callable[[Path], object], tuple[str, ...]],
    words: tuple[Callable[[Path], object], tuple[str, ...]],
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mistake, expected = words
    mistake(bench.add("bad"))
    before = contents(bench.results)
    capsys.readouterr()
    assert bench.run("--models", "bpr_mf", "--datasets", "toy", "bad", "--ks", "5") == 2
    line = complaint(capsys)
    for word in expected:
        assert word in line
    assert contents(bench.results) == before


def test_results_root_is_a_file(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    file = bench.root / "file"
    file.write_text("precious")
    capsys.readouterr()
    arguments = ["--data-root", str(bench.data), "--results-root", str(file)]
    assert main([*RUN, *arguments, "--device", "cpu"]) == 2
    line = complaint(capsys)
    assert "cannot write" in line
    assert "--results-root" in line
    assert file.read_text() == "precious"


@pytest.mark.parametrize("option", ["--data-root", "HUIGN_DATA_ROOT"])
def test_data_root_is_no_folder(
    option: str, bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bench.root / "file"
    file.touch()
    capsys.readouterr()
    if option == "--data-root":
        arguments = [option, str(file)]
    else:
        monkeypatch.setenv(option, str(file))
        arguments = []
    assert main([*RUN, *arguments, "--results-root", str(bench.results)]) == 2
    line = complaint(capsys)
    assert option in line
    assert "cannot be read" in line


def test_results_cannot_be_written(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.open

    def read_only(self: Path, mode: str = "r", *more: object, **others: object) -> object:
        if "w" in mode:
            raise PermissionError(13, "Permission denied", str(self))
        return original(self, mode, *more, **others)  # type: ignore[call-overload]

    before = contents(bench.results)
    capsys.readouterr()
    monkeypatch.setattr(Path, "open", read_only)
    assert bench.run(*RUN) == 2
    line = complaint(capsys)
    assert "Permission denied" in line
    assert "--results-root" in line
    monkeypatch.undo()
    assert contents(bench.results) == before


def test_the_disk_fills_up_during_the_run(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row blames the model for it."""
    before = (bench.results / "toy" / "runs.csv").read_bytes()
    original, written = os.fsync, [0]

    def full(descriptor: int) -> None:
        written[0] += 1
        if written[0] > 1:
            raise OSError(28, "No space left on device")
        original(descriptor)

    shutil.copytree(bench.data / "toy", bench.data / "second")
    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    assert bench.run("--models", "vbpr", "popularity", "--dataset", "toy", "--ks", "3") == 2
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert (bench.results / "toy" / "runs.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_module\n", ("line 1", "no_such_module")),
        ("x = (\n", ("SyntaxError",)),
        ("from models.registry import register\nfrom baselines.popularity import Popularity\n"
         "register('vbpr')(type('Other', (Popularity,), {}))\n", ("line 3", "'vbpr'", "rename")),
    ],
    ids=("import", "syntax", "name"),
)  # fmt: skip
def test_plug_ins(
    source: str, words: tuple[str, ...], bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.plug_in("mine.py", source)
    before = contents(bench.results)
    capsys.readouterr()
    assert bench.run(*RUN) == 2
    line = complaint(capsys)
    for word in ("mine.py", *words):
        assert word in line
    assert contents(bench.results) == before


def test_the_planted_data_is_as_small_as_the_tables_above_say(bench: Bench) -> None:
    from benchmark.datasets import load

    dataset = load("toy", bench.data)
    assert (dataset.num_users, dataset.num_items) == (USERS, ITEMS)
