from __future__ import annotations

from fault_matrix import PAGE, declared, page

FAULTS = (
    "kill -9", "SIGTERM", "Ctrl-C", "full disk", "read-only folder", "out of memory (CPU)",
    "out of memory (CUDA)", "two processes on one results folder", "a lost data base of studies",
    "a damaged data base of studies", "a damaged journal of studies", "clock jump",
    "a damaged table of runs", "a damaged table of trials", "a damaged file of a run",
    "a lost history", "a damaged manifest", "a killed worker",
)  # fmt: skip


def test_the_page_is_what_tests_declare() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/fault_matrix.py writes it anew"


def test_every_fault_has_a_test() -> None:
    rows = list(declared())
    assert set(FAULTS) <= {row["fault"] for row in rows}
    assert all(row.keys() == {"fault", "how", "again", "says", "test"} for row in rows)
