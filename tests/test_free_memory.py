from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil  # type: ignore[import-untyped]
import pytest
import torch

from benchmark import free_memory as module
from benchmark.free_memory import free_memory

CPU = torch.device("cpu")


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 1000 bytes available, and no control groups yet."""
    available = SimpleNamespace(available=1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    monkeypatch.setattr(module, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(module, "MEMBERSHIP", tmp_path / "membership")
    return tmp_path / "groups"


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content + "\n")


def test_the_machine_alone(groups: Path) -> None:
    assert free_memory(CPU) == 1000


def test_a_container(groups: Path) -> None:
    module.MEMBERSHIP.write_text("0::/box/inner\n")
    write(groups / "box", memory__max="700", memory__current="300", memory__stat="inactive_file 50")
    write(groups / "box/inner", memory__max="max", memory__current="9", memory__stat="file 1")
    assert free_memory(CPU) == 700 - 300 + 50


def test_a_container_that_sees_itself_as_the_root(groups: Path) -> None:
    module.MEMBERSHIP.write_text("0::/somewhere/else\n")
    write(groups, memory__max="500", memory__current="100", memory__stat="file 0")
    assert free_memory(CPU) == 400


def test_groups_of_the_older_kind(groups: Path) -> None:
    module.MEMBERSHIP.write_text("3:cpu,cpuacct:/job\n2:memory:/job\n0::/job\n")
    write(
        groups / "memory/job",
        memory__limit_in_bytes="600", memory__usage_in_bytes="450",
        memory__stat="cache 7\ntotal_inactive_file 30",
    )  # fmt: skip
    unlimited = str(2**63 - 4096)
    write(
        groups / "memory",
        memory__limit_in_bytes=unlimited, memory__usage_in_bytes="450", memory__stat="file 0",
    )  # fmt: skip
    assert free_memory(CPU) == 180


def test_a_limit_above_what_is_there_does_not_help(groups: Path) -> None:
    module.MEMBERSHIP.write_text("0::/\n")
    write(groups, memory__max="5000", memory__current="100", memory__stat="file 0")
    assert free_memory(CPU) == 1000


def test_this_machine() -> None:
    assert 2**20 < free_memory(CPU) <= psutil.virtual_memory().total


def test_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (300, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert free_memory(torch.device("cuda:0")) == 330
