from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_record import closed, run, small_record, table_lines

import baselines.vbpr  # noqa: F401  # knows its label
from benchmark.experiments import Experiment, Variant
from benchmark.outputs import protocol_table
from benchmark.protocols import SWITCHES

SHOWN = ["corrected", *SWITCHES, "official"]
VALUES = {
    # corrected, select_on_test, late_stop, known_validation, soft_mask, official
    "VBPR": (0.2, 0.3, 0.2, 0.19, 0.2, 0.31),
    "HUIGN": (0.25, 0.25, 0.25, 0.2, 0.25, 0.32),
    "Popularity": (0.3, 0.3, 0.3, 0.1, 0.31, 0.1),
}


def experiment(names: tuple[str, ...]) -> Experiment:
    cells = []
    for name in names:
        base = Variant(name, name.lower())
        for switch in SHOWN:
            other = Variant(f"{name}, {switch}", base.model, {}, base)
            place = {"model": name, "switch": switch}
            cells.append((place, base if switch == "corrected" else other))
    return Experiment("protocol", "Fidelity to the released code", cells)


def rows(*names: str) -> list[dict[str, Any]]:
    return [
        run(
            name if switch == "corrected" else f"{name}, {switch}", value, model=name.lower(),
            tuned_as="" if switch == "corrected" else name,
        ) | {"ndcg_hits@10": 2 * value}
        for name in names
        for switch, value in zip(SHOWN, VALUES[name], strict=True)
    ]  # fmt: skip


def written(folder: Path, *names: str) -> tuple[pd.DataFrame, str, str]:
    names = names or ("Popularity", "HUIGN", "VBPR")
    protocol_table.write(small_record(folder, rows(*names), [experiment(names)]))
    text, tex = ((folder / f"protocol.{kind}").read_text() for kind in ("md", "tex"))
    return pd.read_csv(folder / "protocol.csv"), text, tex


def test_every_switch_is_a_column_with_its_change(tmp_path: Path) -> None:
    exact, text, tex = written(tmp_path)
    recall, precision, ndcg = table_lines(text, "VBPR")
    assert recall == precision == [
        "0.2000", "**0.3000** (+50.00 %)", "0.2000 (+0.00 %)",
        "<u>0.1900</u> (\N{MINUS SIGN}5.00 %)", "0.2000 (+0.00 %)", "<u>0.3100</u> (+55.00 %)",
    ]  # fmt: skip
    assert ndcg[-2:] == ["0.4000 (+100.00 %)", "<u>0.6200</u> (+210.00 %)"]
    assert [cells[-2:] for cells in table_lines(text, "model")] == [
        ["soft_mask", "official"], ["soft_mask", "official"], ["ndcg_hits", "official"],
    ]  # fmt: skip
    assert table_lines(tex, "VBPR")[0][3] == r"\underline{0.1900} ($-$5.00 \%)"
    assert exact["model"].unique().tolist() == ["VBPR", "HUIGN", "Popularity"]
    assert len(exact) == 3 * 7
    official = exact[(exact["model"] == "HUIGN") & (exact["switch"] == "official")].iloc[0]
    assert official[["recall@10", "ndcg@10"]].tolist() == pytest.approx([0.32, 0.64])


def test_who_wins_and_the_rank_correlation_stand_below(tmp_path: Path) -> None:
    _, text, tex = written(tmp_path)
    best = ["Popularity", "VBPR and Popularity", "Popularity", "HUIGN", "Popularity", "HUIGN"]
    assert table_lines(text, "best model")[0] == table_lines(tex, "best model")[0] == best
    of_paper = ["HUIGN", "VBPR", "HUIGN", "HUIGN", "HUIGN", "HUIGN"]
    assert table_lines(text, "best of the paper's models")[0] == of_paper
    minus = "\N{MINUS SIGN}0.33"  # of three pairs two are turned round
    # with select_on_test VBPR ties with Popularity and passes HUIGN: one pair each way
    tau = ["1.00", "0.00", "1.00", minus, "1.00", minus]
    assert table_lines(text, "Kendall's tau")[0] == tau


def test_a_sentence_says_what_each_switch_is_and_does(tmp_path: Path) -> None:
    _, text, tex = written(tmp_path)
    names = (*SWITCHES, "ndcg_hits", "official")
    lines = [line for line in text.splitlines() if line.startswith(tuple(f"- {n}:" for n in names))]
    assert [line[2:].split(":")[0] for line in lines] == [*SWITCHES, "ndcg_hits", "official"]
    for line, meaning in zip(lines, SWITCHES.values(), strict=False):
        assert f": {meaning}. Recall@10 changes by " in line
    low = "\N{MINUS SIGN}"
    assert lines[2].endswith(
        f"Recall@10 changes by {low}30.56 % on average, from {low}66.67 % (Popularity) to {low}5.00"
        " % (VBPR); the best model is HUIGN instead of Popularity; the best of the paper's models "
        "is still HUIGN."
    )
    assert "NDCG@10 changes by +100.00 % for every model" in lines[4]
    assert lines[5].count("on average") == 2  # recall and NDCG
    assert rf"\item \texttt{{soft\_mask}}: {SWITCHES['soft_mask']}" in tex
    assert tex.count("{") == tex.count("}")
    assert tex.count(r"\begin{table*}") == tex.count(r"\end{table*}") == 3


def test_the_legend_says_what_was_trained_again(tmp_path: Path) -> None:
    _, text, _ = written(tmp_path)
    assert "trained again for select_on_test, late_stop and official, so" in text


def test_one_kind_of_models_has_one_best(tmp_path: Path) -> None:
    _, text, _ = written(tmp_path, "VBPR", "HUIGN")
    assert "best of the paper's" not in text
    assert len(table_lines(text, "best model")) == 3


def test_what_is_missing_is_a_dash_and_a_note(tmp_path: Path) -> None:
    found = [row for row in rows("VBPR", "HUIGN") if row["variant"] != "HUIGN, late_stop"]
    found = [row for row in found if not row["variant"].startswith("VBPR,")]
    found.append(closed("HUIGN, late_stop", "failed", "out of luck"))
    protocol_table.write(small_record(tmp_path, found, [experiment(("VBPR", "HUIGN"))]))
    text = (tmp_path / "protocol.md").read_text()
    assert table_lines(text, "VBPR")[0] == ["<u>0.2000</u>", *["—"] * 4]  # no column for late_stop
    assert "- HUIGN, late_stop: failed, out of luck.\n" in text
    assert text.endswith(
        "\n- Not run yet: VBPR, select_on_test; VBPR, late_stop; VBPR, known_validation; "
        "VBPR, soft_mask; VBPR, official.\n"
    )
    assert "- late_stop" not in text


def test_only_corrected_rows_so_far(tmp_path: Path) -> None:
    found = [row for row in rows("VBPR", "HUIGN") if "," not in row["variant"]]
    protocol_table.write(small_record(tmp_path, found, [experiment(("VBPR", "HUIGN"))]))
    text = (tmp_path / "protocol.md").read_text()
    assert [len(cells) for cells in table_lines(text, "HUIGN")] == [1, 1, 2]
    assert text.endswith("\n- Not run yet: 10 of 12 cells, of VBPR, HUIGN.\n")


def test_nothing_to_compare_with(tmp_path: Path) -> None:
    found = [row for row in rows("VBPR", "HUIGN") if row["variant"].endswith(("official", "stop"))]
    protocol_table.write(small_record(tmp_path, found, [experiment(("VBPR", "HUIGN"))]))
    text = (tmp_path / "protocol.md").read_text()
    assert table_lines(text, "HUIGN")[2] == ["**0.2500**", "**0.6400**"]
    assert table_lines(text, "Kendall's tau")[0] == ["—", "—"]
    assert "Recall@10 cannot be compared with corrected values." in text


def test_nothing_is_written_without_a_run_or_unless_asked_for(tmp_path: Path) -> None:
    protocol_table.write(small_record(tmp_path, [run("EASE", 0.1)], [experiment(("VBPR",))]))
    protocol_table.write(small_record(tmp_path, rows("VBPR")))
    assert not list(tmp_path.glob("protocol*"))
