"""Everything in the table of hostile input, done to every kind of file of every reader."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hostile_page
import pytest
from hostile_inputs import ALL, FILES, INPUTS, READ, REFUSED, Input, bomb_that_lies, one_bomb
from hostile_targets import LAYOUTS, Layout, check_message
from planted import contents

from models.errors import UsageError

CASES = [
    pytest.param(LAYOUTS[layout], file, outcome, each, id=f"{each.title}-{layout}-{file}")
    for each in INPUTS
    for kind, outcome in each.outcomes.items()
    for layout, file in FILES[kind]
]


@pytest.fixture(scope="session")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Layout], tuple[Path, str]]:
    """A layout's files as they should be, and what is read of them; each is made once."""
    known: dict[str, tuple[Path, str]] = {}

    def whole(layout: Layout) -> tuple[Path, str]:
        if layout.title not in known:
            folder = layout.made(tmp_path_factory.mktemp("whole") / "root")
            known[layout.title] = folder, layout.read(folder)
        return known[layout.title]

    return whole


@pytest.mark.parametrize(("layout", "file", "outcome", "spoilt"), CASES)
def test_input(
    layout: Layout,
    file: str,
    outcome: str,
    spoilt: Input,
    wholes: Callable[[Layout], tuple[Path, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip(layout.needs)
    monkeypatch.setattr("benchmark.datasets.reading.memory", lambda: 2**25)  # of Parquet alone
    monkeypatch.chdir(tmp_path)
    whole, said = wholes(layout)
    folder = tmp_path / "data" / "shop"
    for name, data in contents(whole).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    spoilt.spoil(folder / file)
    before = names(tmp_path)
    try:
        found = layout.read(folder)
    except UsageError as error:
        assert outcome != READ
        check_message(error, folder if outcome != REFUSED else folder / file)
    else:
        # what is damaged among stored results is set aside, and the call goes on without it
        assert outcome != REFUSED or (folder / f"{file}.damaged-1").exists()
        assert outcome != READ or found == said
    assert names(tmp_path) == before


def names(folder: Path) -> set[str]:
    """What is in a folder, by the names it had before anything was set aside."""
    return {
        re.sub(r"\.damaged-1$", "", str(path)) for path in folder.rglob("*") if path.name != ".lock"
    }


@pytest.mark.parametrize(
    ("layout", "file"), [(layout, file) for kind in ALL for layout, file in FILES[kind]]
)
def test_files_that_may_not_be_read(
    layout: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(LAYOUTS[layout].needs)
    folder = LAYOUTS[layout].made(tmp_path)
    (folder / file).chmod(0)
    if os.access(folder / file, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UsageError, match=r"[Pp]ermission denied"):
        LAYOUTS[layout].read(folder)


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
import hostile_inputs, hostile_targets
from models.errors import UsageError
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of the program itself
for layout, folder, file in zip(*[iter(sys.argv[3:])] * 3):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        hostile_targets.LAYOUTS[layout].read(Path(folder))
    except UsageError as error:
        assert file in str(error), error
        print("refused")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its memory")
def test_bombs_stay_within_a_gigabyte(tmp_path: Path) -> None:
    """Three that unpack to 3 GB in one member, less than is refused at once; three that lie."""
    arguments = list[str]()
    for spoil in (one_bomb, bomb_that_lies):
        for layout, file in FILES["archive"]:
            folder = LAYOUTS[layout].made(tmp_path / f"{spoil.__name__} {len(arguments)}")
            spoil(folder / file)
            assert (folder / file).stat().st_size < 2**25
            arguments += [layout, str(folder), str(folder / file)]
    tests = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tests.parent), str(tests), *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *lines, peak = done.stdout.split()
    assert lines == ["refused"] * 6
    assert int(peak) < 2**20  # KiB


def test_the_page_is_what_is_tested() -> None:
    assert hostile_page.PAGE.read_text(encoding="utf-8") == hostile_page.text()
