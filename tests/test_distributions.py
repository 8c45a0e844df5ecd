"""What a wheel and a source distribution hold; needs ``build``, which ``tox -e package`` has."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build.env")

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "baselines", "benchmark")


def files(*folders: str) -> set[str]:
    """Everything in these folders of the checkout but what Python leaves there."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both; the wheel is made from the sdist, so it is proof that nothing lacks."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True)
    return folder


def test_the_wheel_holds_the_program_and_what_it_reads(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == files(*PACKAGES)
    assert any(name.startswith("benchmark/report/templates/") for name in names)
    assert any(name.startswith("benchmark/paper/") and name.endswith(".csv") for name in names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_sdist_holds_the_sources_and_no_results(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = [member.name.partition("/")[2] for member in archive if member.isfile()]
    inside = {name for name in members if not name.startswith("huign_benchmark.egg-info/")}
    top = {name for name in inside if "/" not in name}
    assert top == {
        *("CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"),
        *("constraints-lowest.txt", "constraints.txt", "pyproject.toml", "setup.cfg", "tox.ini"),
    }
    assert inside - top == files(*PACKAGES, ".ci", "docs", "examples", "tests")
