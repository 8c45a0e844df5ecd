from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from benchmark import machine
from benchmark.machine import PeakMemory, choose_device, commit, device_name, versions
from models.errors import UsageError

CPU = torch.device("cpu")


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("auto", 0, "cpu"), ("auto", 1, "cuda"), ("cpu", 1, "cpu"), ("cuda", 1, "cuda"),
        ("cuda:1", 2, "cuda:1"),
    ],
)  # fmt: skip
def test_devices(name: str, count: int, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, count)
    assert str(choose_device(name)) == expected


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("cuda", 0, r"--device 'cuda': torch sees no CUDA GPU; use --device cpu or auto"),
        ("cuda:2", 2, r"--device 'cuda:2' does not exist: torch sees 2 GPUs"),
        ("gpu", 1, r"--device 'gpu' is unknown: use auto, cpu or cuda"),
        ("", 1, r"--device '' is unknown"),
        ("meta", 1, r"--device 'meta' is not supported"),
    ],
)
def test_devices_that_are_not_there(
    name: str, count: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, count)
    with pytest.raises(UsageError, match=message):
        choose_device(name)


def test_versions_and_names() -> None:
    found = versions()
    assert found["torch"].startswith(torch.__version__.split("+")[0])
    assert re.match(r"3\.\d+\.\d+", found["python"])
    assert {"numpy", "optuna", "pandas"} <= found.keys()
    assert f"{torch.get_num_threads()} threads" in device_name(CPU)


def test_a_missing_package_or_processor_name_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PACKAGES", ("torch", "no-such-package"))
    assert set(versions()) == {"python", "torch"}
    monkeypatch.setattr(machine, "_read", lambda path: "")
    assert device_name(CPU)


def test_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"([0-9a-f]{12,40}\+?)?", commit())
    monkeypatch.setenv("PATH", "")  # no git
    assert commit() == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_only_changes_of_code_are_local_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=A", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(machine, "__file__", str(tmp_path / "benchmark" / "machine.py"))
    for name in ("models", "baselines", "benchmark", "results"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    git("init")
    git("add", "results")
    git("commit", "-m", "a checkout of something else")
    assert commit() == ""
    git("add", ".")
    git("commit", "-m", "ours")
    clean = commit()
    assert re.fullmatch("[0-9a-f]{12,40}", clean)
    (tmp_path / "results" / "file").write_text("a row")
    assert commit() == clean
    (tmp_path / "baselines" / "mine.py").touch()
    assert commit() == f"{clean}+"


def test_peak_memory_sees_what_is_allocated() -> None:
    memory = PeakMemory(CPU)
    before = memory.read()
    block = torch.ones(100 * 2**20, dtype=torch.uint8)
    assert memory.read() - before > 90
    del block
    assert memory.read() - before > 90  # a peak stays one


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux forgets a process's peak"
)
def test_peak_memory_begins_anew() -> None:
    block = torch.ones(200 * 2**20, dtype=torch.uint8)
    peak = PeakMemory(CPU).read()
    del block
    assert PeakMemory(CPU).read() < peak - 100


def test_peak_memory_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = PeakMemory(CPU)
    linux = memory.read()
    monkeypatch.setattr(machine, "_read", lambda path: "")
    assert linux / 2 < memory.read() < 20 * linux
