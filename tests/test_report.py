from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
from small_record import closed, small_dataset, small_record
from small_report import HUIGN, VBPR, Page, run

import baselines.vbpr  # noqa: F401  # its label
import models.huign  # noqa: F401  # its label
from benchmark.experiments import Variant, table2, table3
from benchmark.outputs import tables
from benchmark.record import Record
from benchmark.report import page as report

EXPERIMENTS = [table2(["vbpr", "huign"]), table3(Variant("HUIGN", "huign"))]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcff9f"
    "a11e000782027f3dc848ef0000000049454e44ae426082"
)
HOSTILE = "<script>alert(1)</script>"


def rows() -> list[Any]:
    return [
        run(VBPR, "VBPR", 0.1),
        run(VBPR, "VBPR", 0.2, seed=1),
        run(HUIGN, "HUIGN", 0.3),
        run("333333333333", "HUIGN 32", 0.4, model="huign", tuned_as="HUIGN"),
    ]


def record(folder: Path, *more: Any, **given: Any) -> Record:
    return small_record(folder / "toy", [*rows(), *more], EXPERIMENTS, **given)


def written(stored: Record) -> Page:
    tables.write(stored)
    report.write(stored)
    return Page((stored.folder / "report.html").read_text(encoding="utf-8"))


def test_every_number_leads_to_its_runs(tmp_path: Path) -> None:
    page = written(record(tmp_path))
    assert page.row("Recall@10") == [
        ("0.1500 ± 0.0707", f"#runs-{VBPR}"),
        ("0.3000", f"#run-{HUIGN}-0"),
        ("+100.00 %", f"#run-{HUIGN}-0"),
    ]
    assert page.row("32") == [("0.4000", "#run-333333333333-0")] * 4
    assert page.row("32-8-4") == [("0.3000", f"#run-{HUIGN}-0")] * 4
    targets = [unquote(link[1:]) for link in page.links if link.startswith("#")]
    assert set(targets) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_a_run_is_told_in_full(tmp_path: Path) -> None:
    page = written(record(tmp_path))
    cells = [text for text, _ in page.row(f"{VBPR}-1")]
    assert cells == ["1", "0.2000", "0.2000", "0.2000", "12", "12.3", "1,234", "cpu", "set 1",
                     "abcdef123456", "2026-01-02 03:04"]  # fmt: skip
    assert "learning_rate 0.01" in page.prose
    assert "python 3.11, torch 2.13" in page.prose


def test_a_page_is_whole_and_may_load_nothing(tmp_path: Path) -> None:
    stored = record(tmp_path, trials={"vbpr": 2})
    (stored.folder / "table2.png").write_bytes(PIXEL)
    (stored.folder / "studies").mkdir()
    for model in ("any", "of_another_study"):
        (stored.folder / "studies" / f"{model}.png").write_bytes(PIXEL)
    page = written(stored)
    sources = [value for name, value in page.attributes if name == "src"]
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in sources)
    policies = [value for name, value in page.attributes if name == "content"]
    assert any(policy.startswith("default-src 'none'; ") for policy in policies)
    assert not {"script", "iframe", "object", "form"} & set(page.tags)
    alts = [value for name, value in page.attributes if name == "alt"]
    assert len(alts) == 2
    assert all(alts)


def test_what_data_and_models_say_is_no_html(tmp_path: Path) -> None:
    attack = f"\"'>{HOSTILE}<img src=x onerror=alert(1)> $x^2$ {{{{ 1 }}}}"
    mine = run("444444444444", attack, 0.5, model="mine", commit=attack, device=attack)
    failed = closed(HOSTILE, "failed", attack)
    stored = record(tmp_path, mine, failed, dataset=small_dataset(name=HOSTILE, source=attack))
    (stored.folder / "intents.md").write_text(f"# {attack}\n\n| a |\n|---|\n| {attack} |\n")
    page = written(stored)
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.prose.count(HOSTILE) >= 5
    assert page.prose.count("{{ 1 }}") >= 3
    text = (stored.folder / "report.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("    ")]  # no code
    assert "<" not in "".join(lines)
    assert "&lt;script&gt;" in text


def test_settings_are_said_in_words(tmp_path: Path) -> None:
    prose = written(record(tmp_path)).prose
    assert "Seeds of initialisation and sampling Cut-offs 5, 10" in prose
    assert "Split by per_user with seed 7 Features visual, textual" in prose
    assert "vary" not in prose


def test_a_tables_legend_is_about_its_own_runs(tmp_path: Path) -> None:
    prose = written(record(tmp_path)).prose
    assert "protocol corrected; mean ± standard deviation over 1 to 2 seeds" in prose  # Table 2
    assert "1 seed. Best in bold, second underlined. Hyper-parameters as tuned for HUIGN." in prose


def test_files_of_other_runs_are_left_out(tmp_path: Path) -> None:
    stored = record(tmp_path)
    tables.write(stored)
    table = pd.read_csv(stored.folder / "table3.csv")
    table.assign(runs="999999999999-0").to_csv(stored.folder / "table4.csv", index=False)
    (stored.folder / "table4.png").write_bytes(PIXEL)
    report.write(stored)
    page = Page((stored.folder / "report.html").read_text(encoding="utf-8"))
    assert "There is no table4.csv of these runs." in page.prose
    assert "999999999999" not in page.text
    assert "table4" not in " ".join(page.links).replace("#table4", "")


def test_files_that_somebody_else_put_there_do_no_harm(tmp_path: Path) -> None:
    stored = record(tmp_path)
    (stored.folder / "empty.csv").touch()
    (stored.folder / "ragged.csv").write_text("a,b\n1,2,3\n4,5,6,7\n")
    (stored.folder / "notes.md").write_bytes("über".encode("latin-1"))
    for name in ("old.csv", "old.md", "old.png"):
        (stored.folder / name).mkdir()
    assert written(stored).row("32") == [("0.4000", "#run-333333333333-0")] * 4


def test_what_is_missing_is_said_with_the_command(tmp_path: Path) -> None:
    stored = record(tmp_path, closed("CB2CF", "skipped", "needs textual modality"))
    page = written(stored)
    assert "CB2CF skipped: needs textual modality" in page.prose
    assert "5 of 5 cells lack a run or some of their seeds" in page.prose
    assert "--models huign --experiments table3 --dataset toy" in page.prose
    for name in ("statistics.md", "figure4.png", "curves.png", "studies.md", "protocol.md"):
        assert f"There is no {name} of these runs." in page.prose


def test_what_others_wrote_is_part_of_the_page(tmp_path: Path) -> None:
    stored = record(tmp_path)
    for name in ("studies", "comparison", "protocol", "table1"):
        (stored.folder / f"{name}.md").write_text(f"# {name}\n\nSeen: {name}.\n")
    (tmp_path / "paper_checks.md").write_text("# Checks\n\n## 1. One\n\nSeen: checks.\n")
    page = written(stored)
    for name in ("studies", "comparison", "protocol", "table1", "checks"):
        assert f"Seen: {name}." in page.prose


def test_marks_of_significance_are_those_of_the_statistics(tmp_path: Path) -> None:
    stored = record(tmp_path)
    metrics = [f"{name}@{k}" for name in tables.METRICS for k in stored.ks]
    tested = pd.DataFrame({"metric": metrics, "variant": "HUIGN", "reference": "VBPR"})
    tested = tested.assign(
        difference=0.1, difference_low=0.05, difference_high=0.15, p_holm=0.03,
        runs=f"{HUIGN}-0",
    )  # fmt: skip
    tested.to_csv(stored.folder / "statistics.csv", index=False)
    page = written(stored)
    assert page.row("Recall@10")[1] == ("0.3000*", f"#run-{HUIGN}-0")
    assert "from +0.0500 to +0.1500 and p = 0.030 after Holm's correction." in page.prose


def test_no_run_came_to_a_result(tmp_path: Path) -> None:
    rows = [closed("VBPR", "failed", "DivergedError: loss is nan")]
    stored = small_record(tmp_path / "toy", rows, EXPERIMENTS)
    report.write(stored)
    page = Page((stored.folder / "report.html").read_text(encoding="utf-8"))
    assert "No model has a result on toy yet." in page.prose
    assert "VBPR failed: DivergedError: loss is nan" in page.prose


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    stored = record(tmp_path)
    written(stored)
    first = [(stored.folder / name).read_bytes() for name in ("report.html", "report.md")]
    report.write(stored)
    assert [(stored.folder / name).read_bytes() for name in ("report.html", "report.md")] == first


def test_the_markdown_links_to_what_there_is(tmp_path: Path) -> None:
    stored = record(tmp_path)
    (stored.folder / "table2.png").write_bytes(PIXEL)
    written(stored)
    text = (stored.folder / "report.md").read_text(encoding="utf-8")
    linked = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert {"report.html", "table2.png", "table3.csv", "table3.md", "runs.csv"} <= set(linked)
    for name in linked:
        assert (stored.folder / name).exists()
    assert "\n    python -m benchmark.run --models huign --experiments table3" in text


def test_headings_do_not_skip_a_level(tmp_path: Path) -> None:
    stored = record(tmp_path)
    (stored.folder / "statistics.md").write_text("Words\n\n## Part\n\n### Detail\n")
    page = written(stored)
    levels = [int(tag[1]) for tag in page.tags if tag in ("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
