from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.metrics import all_metrics
from benchmark.paper import checks as paper_checks
from benchmark.paper.check import Check, agreement
from benchmark.paper.ndcg_bound import largest_ndcg
from benchmark.paper.table2_checks import (
    first_place,
    hits_by_rank,
    positives_per_hit,
    printed_improvements,
    standard_ndcg,
)
from benchmark.paper.text_checks import density, percentages, shared_cells, thresholds, words
from models.errors import UsageError

KS = (1, 5, 10)


def cell(check: Check, dataset: str, metric: str, place: str) -> tuple[float, float, str]:
    (row,) = (row for row in check.rows if row[:3] == (dataset, metric, place))
    return row.printed, row.computed, row.verdict


def simulated(seed: int) -> dict[str, float]:
    """Means of metrics over users whose lists are as good, and as rich, as chance has it."""
    generator = np.random.default_rng(seed)
    users = int(generator.integers(5, 400))
    positives = generator.geometric(generator.uniform(0.05, 0.9), users)
    if seed % 3 == 0:
        positives += int(generator.integers(0, 30))
    taste = generator.uniform(0, 1, (users, 1)) * generator.uniform(0.1, 1, 10)
    hits = generator.random((users, 10)) < np.sort(taste)[:, :: -1 if seed % 2 else 1]
    hits &= hits.cumsum(axis=1) <= positives[:, None]
    metrics = all_metrics(torch.from_numpy(hits), torch.from_numpy(positives), KS)
    return {name: float(each.mean()) for name, each in metrics.items()}


def bound(means: dict[str, float], k: int, decimals: int) -> float:
    precision, recall = (
        {c: round(means[f"{name}@{c}"], decimals) for c in KS} for name in ("precision", "recall")
    )
    return largest_ndcg(k, precision, recall, 0.5 * 10**-decimals)


@pytest.mark.parametrize("seed", range(40))
def test_no_ranking_exceeds_the_bound(seed: int) -> None:
    means = simulated(seed)
    for k in KS:
        for decimals in (2, 4):
            assert means[f"ndcg@{k}"] <= bound(means, k, decimals) + 1e-6


def test_the_bound_is_tight_where_the_means_leave_no_choice() -> None:
    # everybody has one positive and it is first
    assert largest_ndcg(10, dict(zip(KS, (1, 0.2, 0.1), strict=True)), dict.fromkeys(KS, 1), 0) == (
        pytest.approx(1)
    )
    # nobody has a hit
    assert largest_ndcg(10, dict.fromkeys(KS, 0), dict.fromkeys(KS, 0), 0) == pytest.approx(0)
    # one hit each, at ranks 2 to 5, of one positive: at best all at rank 2
    found = largest_ndcg(
        5, dict(zip(KS, (0, 0.2, 0.1), strict=True)), dict(zip(KS, (0, 1, 1), strict=True)), 0
    )
    assert found == pytest.approx(1 / np.log2(3))


def test_many_positives_make_no_recall() -> None:
    # a hit at rank 1 for all, recall 0: each has infinitely many positives
    found = largest_ndcg(1, {1: 1.0}, {1: 0.0}, 0)
    assert found == pytest.approx(1)
    ideal = sum(1 / np.log2(rank + 1) for rank in range(1, 6))
    found = largest_ndcg(5, {1: 1.0, 5: 0.2}, {1: 0.0, 5: 0.0}, 0)
    assert found == pytest.approx(1 / ideal)


def test_rounding_widens_the_bound() -> None:
    means = simulated(1)
    assert bound(means, 10, 4) < bound(means, 10, 2)


def test_impossible_means_are_refused() -> None:
    with pytest.raises(UsageError, match="no evaluation has precision"):
        largest_ndcg(10, {1: 0.5, 10: 0.01}, {1: 0.1, 10: 0.1})  # hits at 1 are lost by 10


@pytest.mark.parametrize(
    ("dataset", "metric", "printed", "largest"),
    [
        ("movielens", "ndcg@5", 0.2258, 0.1796),
        ("movielens", "ndcg@10", 0.2677, 0.2023),
        ("tiktok", "ndcg@10", 0.0769, 0.0587),
        ("kwai", "ndcg@10", 0.0778, 0.0439),
    ],
)
def test_the_papers_ndcg_is_above_its_bound(
    dataset: str, metric: str, printed: float, largest: float
) -> None:
    value, computed, verdict = cell(standard_ndcg(), dataset, metric, "HUIGN")
    assert value == printed
    assert computed == pytest.approx(largest, abs=5e-5)
    assert verdict == "impossible"


def test_a_single_ndcg_can_be_standard() -> None:
    check = standard_ndcg()
    possible = [row[:3] for row in check.rows if row.verdict == "possible"]
    assert possible == [("tiktok", "ndcg@5", "VBPR")]
    assert len(check.rows) == 48
    assert "47 of 48" in check.verdict


@pytest.mark.parametrize(
    ("percent", "above", "below", "expected"),
    [
        ("25.00", 0.1, 0.08, "equal"),
        ("13.77", 0.0496, 0.0436, "within rounding"),  # 13.76; 0.04964 / 0.04363 is 13.77
        ("7.47", 0.0619, 0.0581, "different"),  # 6.54, at most 6.73
        ("7.5", 0.0619, 0.0576, "equal"),  # 7.47
    ],
)
def test_how_a_percentage_fits(percent: str, above: float, below: float, expected: str) -> None:
    assert agreement(percent, above, below) == expected


@pytest.mark.parametrize(
    ("dataset", "metric", "baseline", "gain", "verdict"),
    [
        ("movielens", "precision@10", "MacridVAE", 7.47, "equal"),
        ("movielens", "precision@10", "MMGCN", 6.54, "different"),
        ("movielens", "recall@10", "MacridVAE", 10.32, "equal"),
        ("movielens", "recall@10", "MMGCN", 7.55, "different"),
        ("movielens", "ndcg@10", "MMGCN", 6.36, "different"),
        ("movielens", "ndcg@10", "MacridVAE", 9.85, "different"),
        ("tiktok", "recall@10", "MacridVAE", 8.73, "different"),
        ("kwai", "precision@1", "NGCF", 0.52, "equal"),
    ],
)
def test_printed_improvements(
    dataset: str, metric: str, baseline: str, gain: float, verdict: str
) -> None:
    _, computed, found = cell(printed_improvements(), dataset, metric, baseline)
    assert computed == pytest.approx(gain, abs=0.005)
    assert found == verdict


def test_four_improvements_are_not_over_the_best_baseline() -> None:
    check = printed_improvements()
    wrong = check.shown[check.shown["verdict"] == "different"]
    assert list(zip(wrong["dataset"], wrong["metric"], strict=True)) == [
        ("movielens", "precision@10"), ("movielens", "recall@10"), ("movielens", "ndcg@10"),
        ("tiktok", "recall@10"),
    ]  # fmt: skip
    matched = wrong["printed value is over"].tolist()
    assert matched[:2] == ["MacridVAE", "MacridVAE"]
    assert all(text.startswith("none") for text in matched[2:])
    assert check.verdict.startswith("4 of 27 differ.")
    assert len(check.rows) == 27 * 7


def test_recall_of_ngcf_stands_out() -> None:
    printed, ratio, verdict = cell(positives_per_hit(), "movielens", "recall@5", "NGCF")
    assert printed == 0.1071
    assert ratio == pytest.approx(0.1071 / (5 * 0.0635))
    assert verdict == "outlier"
    assert cell(positives_per_hit(), "movielens", "recall@5", "HUIGN")[2] == "usual"
    # 5 x 0.0635 x the lowest and highest ratios: HUIGN's 0.1649 / 0.395, MacridVAE's 0.1501 / 0.32
    assert "makes 0.1325 to 0.1489" in positives_per_hit().verdict


def test_hits_per_place() -> None:
    check = hits_by_rank()
    band = "hits per place, ranks 6-10"
    _, computed, verdict = cell(check, "tiktok", band, "VBPR")
    assert computed == pytest.approx((10 * 0.0118 - 5 * 0.0106) / 5)
    assert verdict
    assert not cell(check, "tiktok", band, "NGCF")[2]  # 0.0131 over 0.0130: rounding
    assert not cell(check, "tiktok", "hits per place, rank 1", "VBPR")[2]


def test_cells_that_have_to_be_equal_are() -> None:
    for check, number in ((first_place(), 24), (shared_cells(), 15)):
        assert [row.verdict for row in check.rows] == ["equal"] * number


def test_percentages_of_the_text() -> None:
    check = percentages()
    _, computed, verdict = cell(check, "kwai", "recall@10", "32-8-4 over 32")
    assert computed == pytest.approx(7.692, abs=1e-3)
    assert verdict == "different"
    assert check.shown["of the higher"].tolist()[-1] == "7.14 %"
    assert cell(check, "kwai", "ndcg@10", "HUIGN over VBPR")[2] == "within rounding"


def test_claims_are_counted_in_the_tables() -> None:
    check = words()
    assert cell(check, "movielens", "table2", "HUIGN is above all baselines")[2] == "63 of 63"
    # on Movielens the visual modality alone is above all together, in all three metrics
    claim = "All modalities together are above each single one"
    assert cell(check, "movielens", "table4", claim)[2] == "6 of 9"
    claim = "32-8-4 is the best structure"  # but for a tie in precision, and NDCG 0.0787
    assert cell(check, "kwai", "table3", claim)[2] == "10 of 12"


def test_density_and_the_item_graph() -> None:
    check = density()
    assert cell(check, "movielens", "density", "")[1] == pytest.approx(1239508 / (55485 * 5986))
    at_most = cell(check, "kwai", "items with an edge, at most", "")[1]
    assert at_most == pytest.approx(0.8 * 298492 / 86483 / 5)
    assert "On kwai at most 55%" in check.verdict


def test_the_default_threshold_is_the_second_point() -> None:
    assert [row.verdict for row in thresholds().rows] == ["", "default", "", "", ""]
    assert "point 2 of 5" in thresholds().verdict


def test_the_page_and_its_numbers_are_written(tmp_path: Path) -> None:
    paper_checks.write(tmp_path)
    page = (tmp_path / "paper_checks.md").read_text(encoding="utf-8")
    assert page.count("\n## ") == page.count("**Verdict.** ") == len(paper_checks.CHECKS)
    with (tmp_path / "paper_checks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(check().rows) for check in paper_checks.CHECKS)
    ours = next(r for r in rows if r["check"] == "standard_ndcg" and r["place"] == "HUIGN")
    assert (ours["metric"], ours["printed"], ours["verdict"]) == ("ndcg@5", "0.2258", "impossible")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    paper_checks.write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_command_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(paper_checks.__file__)), run_name="__main__")
    assert "47 of 48" in capsys.readouterr().out


def test_every_file_of_the_project_that_the_page_names_is_there() -> None:
    page = paper_checks.markdown([check() for check in paper_checks.CHECKS])
    named = [part for part in page.split("`") if part.startswith("benchmark/")]
    assert named
    assert all((Path(__file__).parents[1] / name).exists() for name in named)
