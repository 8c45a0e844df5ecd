from __future__ import annotations

from pathlib import Path

import pandas as pd
from small_record import run, small_record

import models.huign  # noqa: F401  # its label
from benchmark.report.linked_tables import Cell, cells, fresh, table2, target

NO_MARKS = pd.DataFrame()


def test_one_run_is_led_to_itself_and_several_to_their_group() -> None:
    assert target(["abc-0"]) == "run-abc-0"
    assert target(["abc-0", "abc-1"]) == "runs-abc"
    assert target([]) == ""


def test_places_are_those_among_all_models_by_exact_values(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.12341), run("HUIGN", 0.12342), run("EASE", 0.12343)]
    paper, anchors = table2(small_record(tmp_path, rows), NO_MARKS).values()
    assert [row.title for row in paper.groups] == [""] * 4
    [recall] = [row for group in paper.groups for row in group.rows if row[0].text == "Recall@10"]
    assert recall[1:3] == [Cell("0.1234", "run-VBPR-0"), Cell("0.1234", "run-HUIGN-0", 2)]
    assert [row[1].place for group in anchors.groups for row in group.rows] == [1] * 8


def test_cells_with_two_names_are_grouped_by_the_first() -> None:
    frame = pd.DataFrame(
        {
            "model": ["A", "A", "B"],
            "switch": ["one", "two", "one"],
            "recall@10": ["0.1", "0.3", "0.2"],
            "recall@10_sd": ["0.0", "0.05", "0.0"],
            "recall@10_change_percent": ["", "200", "-0.5"],
            "runs": ["a-0", "b-0 b-1", "c-0"],
        }
    )
    found = cells(frame, ranked=True)
    assert found.columns == ["switch", "Recall@10", "change"]
    assert [group.title for group in found.groups] == ["A", "B"]
    assert list(found.groups[0].rows) == [
        [Cell("one"), Cell("0.1000", "run-a-0"), Cell("—", "run-a-0")],
        [Cell("two"), Cell("0.3000 ± 0.0500", "runs-b", 1), Cell("+200.00 %", "runs-b")],
    ]
    [[_, value, change]] = found.groups[1].rows
    assert (value.place, change.text) == (2, "\N{MINUS SIGN}0.50 %")
    assert all(
        cell.place == 0
        for group in cells(frame, ranked=False).groups
        for row in group.rows
        for cell in row
    )


def test_places_called_after_an_option_are_words() -> None:
    frame = pd.DataFrame(
        {"variant": ["A"], "min_co_users": ["4"], "recall@10": ["0.1"], "recall@10_sd": ["0.0"],
         "runs": ["a-0"]}
    )  # fmt: skip
    assert cells(frame, ranked=True).columns == ["common users, at least", "Recall@10"]


def test_rows_of_other_runs_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    assert fresh(path, {"a-0"}) is None
    path.write_text("structure,runs\n32,a-0 a-1\n")
    assert fresh(path, {"a-0"}) is None
    frame = fresh(path, {"a-0", "a-1", "b-0"})
    assert frame is not None
    assert frame["structure"].tolist() == ["32"]
    path.write_text("item,run_id\n1,b-0\n")  # as of Figure 4
    assert fresh(path, {"a-0"}) is None
    assert fresh(path, {"b-0"}) is not None
    path.write_text("title\nNA\n")
    frame = fresh(path, set())
    assert frame is not None
    assert frame["title"].tolist() == ["NA"]
