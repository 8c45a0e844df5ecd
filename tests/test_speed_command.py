from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.speed import limits, report, scaling, timing
from benchmark.speed.__main__ import main
from benchmark.speed.catalogue import SIZES, WORKS, Settings
from benchmark.speed.compare import Effort, compare, reason
from benchmark.speed.limits import Limit
from benchmark.speed.sizes import draw
from benchmark.speed.timing import Form, Timing, alternate
from benchmark.speed.work import Work
from benchmark.speed.works import MAKERS

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


def test_help_and_mistakes_do_not_load_torch() -> None:
    code = (
        "import sys; from benchmark.speed.__main__ import main, parser; parser().format_help();"
        "assert main(['--works', 'bpm']) == 2; assert main(['--list']) == 0;"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--works 'bpm' is unknown: choose from sampling, bpr, vbpr" in done.stderr
    for name in (*WORKS, *SIZES):
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "huge"], "--sizes 'huge' is unknown: choose from tiny, movielens-100k"),
        (["--repetitions", "0"], "needs a whole number from 1 (got '0')"),
        (["--quick", "--device", "gpu"], "--device 'gpu' is unknown"),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_every_work_is_described_and_made() -> None:
    assert list(MAKERS) == list(WORKS)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("recbole")
    monkeypatch.setitem(sys.modules, "cornac", None)
    monkeypatch.setitem(sys.modules, "implicit", None)
    out = tmp_path / "speed" / "speed.csv"
    works = ["sampling", "evaluation", "propagation", "huign"]
    assert main(["--quick", "--works", *works, "--out", str(out)]) == 0
    found = pd.read_csv(out)
    assert list(found["work"].unique()) == works
    assert (found["seconds"] > 0).all()
    assert (found["threads"] == 1).all()
    done = found[found["status"] == "ok"]
    assert list(done["ratio"]) == pytest.approx(list(done["peer_seconds"] / done["seconds"]), 1e-4)
    missing = found[found["peer"].isin(["Cornac", "implicit"])]
    assert sorted(missing["status"]) == [
        "not installed: pip install cornac",
        "not installed: pip install implicit",
    ]
    assert len(done) + 2 == len(found)
    shown = capsys.readouterr().out
    assert "| sampling    | tiny   |" in shown
    assert "Limit: 2 x (a row, an index" in out.with_suffix(".md").read_text(encoding="utf-8")
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_scaling(tmp_path: Path) -> None:
    out = tmp_path / "speed.csv"
    assert main(["--quick", "--scaling", "--works", "sampling", "huign", "--out", str(out)]) == 0
    found = pd.read_csv(tmp_path / "scaling.csv")
    counts = found.groupby(["work", "factor"]).size().to_dict()
    ours = {("huign", factor): 4 for factor in scaling.FACTORS}
    assert counts == ours | {("sampling", name): 4 for name in ("interactions", "users", "items")}
    density = found[found["factor"] == "density"]["value"]
    assert density.is_monotonic_increasing
    assert density.between(0, 1).all()
    assert (tmp_path / "scaling.png").exists()


def test_a_power_law_is_found_again() -> None:
    frame = pd.DataFrame(
        [
            {"work": "w", "factor": "users", "value": x, "seconds": 3e-4 * x**1.5}
            for x in (10, 20, 40, 80)
        ]
    )
    found = scaling.fitted(frame)
    assert list(found["exponent"]) == pytest.approx([1.5] * 4)
    assert list(found["r_squared"]) == pytest.approx([1] * 4)


def test_drawn_interactions_are_distinct_and_have_long_tails() -> None:
    users, items = draw(300, 200, 6_000, seed=1)
    assert len(set(zip(users.tolist(), items.tolist(), strict=True))) == 6_000
    assert set(users.tolist()) == set(range(300))
    assert 0 <= items.min() <= items.max() < 200
    counts = pd.Series(items).value_counts()
    assert counts.iloc[:20].sum() > 2.5 * 6_000 / 10  # a tenth of the items
    again, other = draw(300, 200, 6_000, seed=1), draw(300, 200, 6_000, seed=2)
    assert (again[0] == users).all()
    assert (again[1] == items).all()
    assert (other[1] != items).any()


@pytest.mark.parametrize("count", [9, 51])
def test_impossible_numbers_of_interactions_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=rf"in 10..50, .*\(got {count}\)"):
        draw(10, 10, count, seed=0)


def test_forms_take_turns_and_failures_are_left_out() -> None:
    done: list[str] = []

    def fail(parts: int) -> None:
        raise RuntimeError("too large")

    def note(name: str) -> Form:
        return Form(name, lambda parts: done.extend(name))

    forms = [note("a"), Form("b", fail), note("c")]
    a, b, c = alternate(forms, 3, 1, CPU)
    assert done == ["a", "a", "c", "c"] + 3 * ["a", "c"]
    assert isinstance(a, Timing)
    assert isinstance(c, Timing)
    assert len(a.wall) == len(a.cpu) == 3
    assert isinstance(b, RuntimeError)
    assert reason(b) == "failed: RuntimeError: too large"


def test_an_epoch_is_extrapolated_from_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def take(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(timing, "_now", lambda device: (clock[0], clock[0] / 2))
    form = Form("a", lambda parts: take(0.25 * parts), 100, lambda: take(3))
    (found,) = alternate([form], 2, 7.1, CPU)
    assert isinstance(found, Timing)
    # a part and its share of the start take 0.28 s, so that 25 are done in 7.1 s
    assert found.parts == 25
    assert found.wall == [pytest.approx(3 + 25)] * 2
    assert found.cpu == [pytest.approx(14)] * 2


def test_processor_time_of_processes_that_go_on_is_not_told() -> None:
    forms = [Form("a", lambda parts: None), Form("b", lambda parts: None, cpu_known=False)]
    known, unknown = alternate(forms, 2, 1, CPU)
    assert isinstance(known, Timing)
    assert isinstance(unknown, Timing)
    assert not np.isnan(known.cpu).any()
    assert np.isnan(unknown.cpu).all()
    assert not np.isnan(unknown.wall).any()


def test_limits_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def bandwidth(exponent: int, device: torch.device) -> float:
        asked.append(exponent)
        return 1e9

    monkeypatch.setattr(limits, "bandwidth", bandwidth)
    monkeypatch.setattr(limits, "flop_rate", lambda device: 1e10)
    assert Limit("f", [(1.5e9, 2**22 - 1), (5e8, 3)], flops=3e10).estimate(CPU) == 5
    assert Limit("f", [(1e9, 1e12)]).estimate(CPU) == 1
    assert Limit("f", seconds=0.5).estimate(CPU) == 0.5
    assert asked == [22, 20, 28]


def test_the_hardware_is_measured() -> None:
    assert 1e7 < limits.bandwidth(20, CPU) < 1e13
    assert 1e7 < limits.flop_rate(CPU) < 1e15


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(7200, "2 h"), (90, "1.5 min"), (2, "2 s"), (0.0123, "12.3 ms"), (3e-7, "0.3 us"),
     (math.nan, "")],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert report.duration(seconds) == shown


def test_work_that_cannot_be_made_is_a_row() -> None:
    def fail() -> Work:
        raise MemoryError("no room")

    (row,) = compare(fail, {"work": "huign", "size": "tiny"}, Effort(1, 0), Settings())
    assert row["status"] == "failed: MemoryError: no room"
    assert report.line(row)["ours"] == row["status"]
