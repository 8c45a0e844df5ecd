"""Importing the program has torch ask for large pages, unless the user has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
PAGES = 16_384
"""Small ones in 64 MiB."""

COUNT = f"""
import resource
import benchmark
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

torch.ones(1)
before = faults()
numbers = torch.ones({PAGES} * 1024)
print(faults() - before)
"""


@pytest.mark.skipif(
    not SETTING.exists() or "[madvise]" not in SETTING.read_text(),
    reason="not a Linux that gives large pages to those who ask",
)
@pytest.mark.parametrize(("said", "large"), [({}, True), ({"THP_MEM_ALLOC_ENABLE": "0"}, False)])
def test_page_faults_of_a_large_tensor(said: dict[str, str], large: bool) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    found = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=environment | said,
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (int(found.stdout) < PAGES / 4) is large
