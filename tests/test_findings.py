from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from small_record import IDENTITY, closed, run, small_record

import models.huign  # noqa: F401  # its label
from benchmark.report.findings import caveats, headline

NOT_TESTED = pd.DataFrame()


def test_best_model_and_huigns_place(tmp_path: Path) -> None:
    values = {"VBPR": 0.2, "MMGCN": 0.1, "EASE": 0.4, "HUIGN": 0.25, "Popularity": 0.3}
    stored = small_record(tmp_path, [run(name, value) for name, value in values.items()])
    assert headline(stored, NOT_TESTED) == [
        "On the test data of toy, EASE has the highest recall@10, 0.4000, of 5 models.",
        "HUIGN has 0.2500: place 3 of 5, and place 1 among the 3 of the paper's Table 2.",
        "Of the paper's other models VBPR is the strongest, with 0.2000; HUIGN is 25.0 % above it.",
    ]


def test_means_over_seeds_and_no_variants_decide(tmp_path: Path) -> None:
    rows = [run("VBPR", 0.4), run("VBPR", 0.2, 1), run("HUIGN", 0.15),
            run("HUIGN 32", 0.9, model="huign", tuned_as="HUIGN")]  # fmt: skip
    first, *_, last = headline(small_record(tmp_path, rows), NOT_TESTED)
    assert "VBPR has the highest recall@10, 0.3000, of 2 models" in first
    assert last.endswith("HUIGN is 50.0 % below it.")


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        ([closed("VBPR", "failed", "why")], ["No model has a result on toy yet."]),
        (
            [run("VBPR", 0.2), closed("HUIGN", "failed", "why")],
            ["On the test data of toy, VBPR has the highest recall@10, 0.2000, of 1 model.",
             "HUIGN has no result."],
        ),
        (
            [run("HUIGN", 0.2)],
            ["On the test data of toy, HUIGN has the highest recall@10, 0.2000, of 1 model.",
             "HUIGN has 0.2000: place 1 of 1, and place 1 among the 1 of the paper's Table 2."],
        ),
    ],
    ids=("no result", "without HUIGN", "HUIGN alone"),
)  # fmt: skip
def test_there_is_little_to_say(
    tmp_path: Path, rows: list[dict[str, object]], sentences: list[str]
) -> None:
    assert headline(small_record(tmp_path, rows), NOT_TESTED) == sentences


@pytest.mark.parametrize(("p", "told"), [(0.0123, "p = 0.012"), (0.0002, "p < 0.001")])
def test_the_difference_is_told_with_its_interval(tmp_path: Path, p: float, told: str) -> None:
    stored = small_record(tmp_path, [run("HUIGN", 0.2), run("VBPR", 0.3)])
    row = {"metric": "recall@10", "variant": "HUIGN", "reference": "VBPR", "difference": -0.1}
    row |= {"difference_low": -0.15, "difference_high": -0.05, "p_holm": p}
    others = [{**row, "metric": "ndcg@10"}, {**row, "variant": "EASE"}]
    last = headline(stored, pd.DataFrame([*others, row]))[-1]
    assert last == (
        "Over the users, its difference from VBPR is -0.1000, with a 95 % confidence interval "
        f"from -0.1500 to -0.0500 and {told} after Holm's correction."
    )


def test_the_strongest_baseline_itself_has_no_difference(tmp_path: Path) -> None:
    stored = small_record(tmp_path, [run("HUIGN", 0.2), run("VBPR", 0.3)])
    row = {"metric": "recall@10", "variant": "HUIGN", "p_holm": float("nan")}
    assert len(headline(stored, pd.DataFrame([row]))) == 3


def test_nothing_limits_the_numbers(tmp_path: Path) -> None:
    identity = {**IDENTITY, "preset": "paper"}
    rows = [run("VBPR", 0.1, seed, preset="paper", commit="abc", device="cpu") for seed in (0, 1)]
    assert caveats(replace(small_record(tmp_path, rows), identity=identity)) == []


def test_what_limits_the_numbers_is_said(tmp_path: Path) -> None:
    identity = {**IDENTITY, "evaluation_protocol": "official"}
    rows = [
        run("VBPR", 0.1, commit="abc", device="cpu"),
        run("HUIGN", 0.1, commit="abd+", device="gpu", params=json.dumps({"seed": 0})),
    ]
    rows = [{**row, "evaluation_protocol": "official"} for row in rows]
    stored = replace(small_record(tmp_path, rows), identity=identity)
    stored.store.save_history("HUIGN-0", [{"epoch": 1, "isolated_items": 0.235}])
    text = "\n".join(caveats(stored))
    for part in ("on the test data", "“quick”", "One seed", "23.5 %", "2 commits",
                 "uncommitted changes", "several devices"):  # fmt: skip
        assert part in text


def test_a_share_that_rounds_to_nothing_is_not_told(tmp_path: Path) -> None:
    stored = small_record(tmp_path, [run("HUIGN", 0.2)])
    stored.store.save_history("HUIGN-0", [{"epoch": 1, "isolated_items": 1 / 3260}])
    assert not [each for each in caveats(stored) if "no neighbour" in each]
