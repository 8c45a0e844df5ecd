from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.bpr_mf import BPRMF
from baselines.popularity import Popularity
from benchmark.code_version import code_version
from benchmark.evaluation import Evaluation
from benchmark.store import Store, digest
from benchmark.writing import StoreError, write_atomic
from models import registry
from models.registry import discover, registered

IDENTITY = {"dataset": "toy", "data_fingerprint": "00123e4567890123", "split_seed": "0"}


def row(run_id: str, **more: Any) -> dict[str, Any]:
    return {"run_id": run_id, "status": "ok", **IDENTITY, "variant": "A", "model": "a"} | more


def ids(store: Store) -> list[str]:
    return list(store.current(IDENTITY)["run_id"])


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.fault(
    "killed between a write and its rename",
    how="the process is gone before the rename",
    again="the training under way",
    says="nothing",
)
def test_a_crash_before_the_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.append("runs", row("x-0"))
    before = (tmp_path / "runs.csv").read_bytes()

    def crash(self: Path, target: Path) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # nobody cleans up after SIGKILL
        with pytest.raises(Crash):
            store.append("runs", row("x-1"))
    assert (tmp_path / "runs.csv").read_bytes() == before
    assert len(list(tmp_path.glob(".*.tmp"))) == 1
    assert ids(Store(tmp_path)) == ["x-0"]
    store.append("runs", row("x-1"))
    [left] = tmp_path.glob(".*.tmp")
    os.utime(left, (0, 0))
    assert ids(Store(tmp_path)) == ["x-0", "x-1"]
    assert not left.exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"file.*No space left on device.*--results-root"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def append_many(folder: Path, name: str, count: int, together: Barrier) -> None:
    store = Store(folder)
    together.wait()
    for number in range(count):
        store.append("runs", row(f"{name}-{number}", variant=name))


@pytest.mark.fault(
    "two processes on one table",
    how="each adds twenty rows at once",
    again="nothing",
    says="nothing",
)
def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    workers = [
        context.Process(target=append_many, args=(tmp_path, name, 20, together)) for name in "ab"
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert Store(tmp_path).ids("runs") == {
        f"{name}-{number}" for name in "ab" for number in range(20)
    }


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    store, value = Store(tmp_path), 0.1 + 0.2
    reason = 'a, "b"\nNA'
    store.append("runs", row("1e5-0", reason=reason, seed=0, **{"recall@10": value}))
    store.append("runs", row("000-1", status="failed", reason="None", seed=None))
    store.append("runs", row("nan-1", seed=2, epochs=3, **{"recall@10": np.float64(1 / 3)}))
    rows = store.rows("runs")
    assert list(rows["run_id"]) == ["1e5-0", "000-1", "nan-1"]
    assert list(rows["data_fingerprint"]) == [IDENTITY["data_fingerprint"]] * 3
    assert list(rows["reason"]) == [reason, "None", ""]
    assert rows["recall@10"].tolist()[::2] == [value, 1 / 3]
    assert rows["recall@10"].isna().tolist() == [False, True, False]
    text = (tmp_path / "runs.csv").read_text()
    assert ",0," in text  # a seed stays a whole number beside an empty one
    assert "0.0," not in text


def test_a_row_is_replaced_where_it_stands(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for run_id in ("a", "b", "c"):
        store.append("trials", row(run_id))
    store.append("trials", row("b", value=0.5))
    assert list(store.rows("trials")["run_id"]) == ["a", "b", "c"]
    assert store.rows("trials")["value"].tolist()[1] == 0.5
    store.remove("trials", "b")
    store.remove("trials", "unknown")
    assert store.ids("trials") == {"a", "c"}


def test_only_rows_of_the_same_identity_count(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append("runs", row("a-0", variant="A"))
    store.append("runs", {**row("b-0", variant="B"), "split_seed": "1"})
    store.append("runs", {**row("c-0", variant="C"), "ks": "5"})  # a column that came later
    assert ids(store) == ["a-0", "c-0"]
    assert store.current({**IDENTITY, "ks": "5"})["run_id"].tolist() == ["c-0"]
    assert store.current({**IDENTITY, "preset": "paper"}).empty


def test_the_newest_configuration_counts_with_all_its_seeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for run_id in ("old-0", "old-1", "other-0"):
        store.append("runs", row(run_id, variant="B" if run_id == "other-0" else "A"))
    assert ids(store) == ["old-0", "old-1", "other-0"]
    store.append("runs", row("new-0"))
    assert ids(store) == ["other-0", "new-0"]
    # the change is taken back: nothing is run again, and the table follows
    assert store.reuse("old-0", IDENTITY, "")
    assert set(ids(store)) == {"old-0", "old-1", "other-0"}
    text = (tmp_path / "runs.csv").read_bytes()
    assert store.reuse("old-1", IDENTITY, "")
    assert not store.reuse("never-0", IDENTITY, "")
    assert (tmp_path / "runs.csv").read_bytes() == text


def test_a_run_belongs_to_the_study_that_asked_for_it_last(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append("runs", row("a-0", study="grid"))
    store.append("runs", row("b-0", variant="B", study="grid"))
    assert store.reuse("a-0", IDENTITY, "tpe")
    assert dict(store.rows("runs")[["run_id", "study"]].to_numpy()) == {"a-0": "tpe", "b-0": "grid"}
    assert ids(store) == ["a-0", "b-0"]


def test_rows_older_than_a_column_still_count(tmp_path: Path) -> None:
    store, since = Store(tmp_path), {**IDENTITY, "vary": "both", "switches": ""}
    store.append("runs", row("a-0"))
    assert store.current(since)["run_id"].tolist() == ["a-0"]
    store.append("runs", row("b-0", variant="B", vary="both"))  # now the older row has it, empty
    assert store.current(since)["run_id"].tolist() == ["a-0", "b-0"]
    assert store.current({**IDENTITY, "vary": "sampling"}).empty


def test_a_failure_stands_beside_older_results(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append("runs", row("closed", status="failed", seed=None))
    assert ids(store) == ["closed"]
    store.append("runs", row("a-0"))
    assert ids(store) == ["closed", "a-0"]


def test_an_empty_record(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "folder")
    assert store.current(IDENTITY).empty
    assert store.rows("trials").empty
    assert not store.reuse("a-0", IDENTITY, "")
    assert not list(store.folder.glob("[!.]*"))


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    left, fresh = tmp_path / "lists" / ".a-0.npz.1.tmp", tmp_path / ".runs.csv.2.tmp"
    for path in (left, fresh):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    os.utime(left, (0, 0))
    Store(tmp_path)
    assert not left.exists()
    assert fresh.exists()


def test_lists_come_back_as_they_were(tmp_path: Path) -> None:
    store, generator = Store(tmp_path), torch.Generator().manual_seed(0)
    hits = torch.rand(30, 20, generator=generator) < 0.2
    positives = hits.sum(1) + torch.randint(1, 9, (30,), generator=generator)
    evaluation = Evaluation(torch.arange(30) * 2, hits, positives, (1, 5, 20))
    store.save_lists("a-0", evaluation)
    found = store.lists("a-0")
    assert found.users.tolist() == evaluation.users.tolist()
    assert found.means == evaluation.means
    for name, values in evaluation.per_user.items():
        assert torch.equal(found.per_user[name], values)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"\x93NUMPY"])
def test_lists_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=r"take the row 'a-0' out of runs\.csv"):
        store.lists("a-0")
    write_atomic(tmp_path / "lists" / "a-0.npz", content)
    with pytest.raises(StoreError, match=r"lists.a-0\.npz"):
        store.lists("a-0")


def test_digest_depends_on_every_part() -> None:
    assert digest(a=1, b="x") == digest(b="x", a=1)
    assert len({digest(a=1), digest(a=2), digest(b=1), digest(a="1")}) == 4


RECOMMENDER = """
from baselines.popularity import Popularity
from models.registry import register
{more}
@register("{name}")
class {name}(Popularity):
    pass
"""
FILES = {
    "__init__.py": "",
    "constants.py": "WIDTH = 8\n",
    "layers.py": "from .constants import WIDTH\ndef width():\n    return WIDTH\n",
    "first.py": RECOMMENDER.format(name="first", more="import PACKAGE.layers"),
    "second.py": RECOMMENDER.format(name="second", more="from . import layers as used"),
    "third.py": RECOMMENDER.format(name="third", more=""),
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of recommenders, two of which import a module that imports a constant."""
    monkeypatch.setattr(registry, "_REGISTRY", registered())
    monkeypatch.setattr(registry, "_LABELS", dict(registry._LABELS))
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / f"plugins{tmp_path.name.replace('-', '_')}"
    folder.mkdir()
    for file, source in FILES.items():
        (folder / file).write_text(source.replace("PACKAGE", folder.name))
    discover(folder)
    return folder


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("first.py", {"first"}),
        ("second.py", {"second"}),
        ("third.py", {"third"}),
        ("layers.py", {"first", "second"}),
        ("constants.py", {"first", "second"}),
    ],
)
def test_code_version_follows_the_files_a_model_is_made_of(
    file: str, stale: set[str], package: Path
) -> None:
    def versions() -> dict[str, str]:
        return {name: code_version(registered()[name]) for name in ("first", "second", "third")}

    before = versions()
    assert len(set(before.values())) == 3
    assert versions() == before
    path = package / file
    path.write_text(path.read_text() + "# another\n")
    assert {name for name, version in versions().items() if version != before[name]} == stale


def test_code_version_covers_the_library(monkeypatch: pytest.MonkeyPatch, package: Path) -> None:
    read: set[str] = set()
    original = Path.read_bytes

    def spy(self: Path) -> bytes:
        read.add(f"{self.parent.name}/{self.name}")
        return original(self)

    monkeypatch.setattr(Path, "read_bytes", spy)
    code_version(BPRMF)
    assert {"baselines/bpr_mf.py", "models/training.py", "models/sampling.py"} <= read
    assert {"models/losses.py", "models/ranking.py", "models/interactions.py"} <= read
    assert not read & {"baselines/vbpr.py", "baselines/popularity.py", "models/huign.py"}
    read.clear()
    code_version(Popularity)
    assert "models/training.py" not in read
    read.clear()
    code_version(registered()["third"])  # a plug-in that is built on a baseline
    assert {f"{package.name}/third.py", "baselines/popularity.py"} <= read
