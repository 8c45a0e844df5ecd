from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import models.huign  # noqa: F401  # its label
from benchmark.datasets import Dataset
from benchmark.evaluation import Evaluation
from benchmark.experiments import (
    ABLATIONS,
    MIN_CO_USERS,
    PAPER_MODELS,
    Experiment,
    Variant,
    experiments,
)
from benchmark.metrics import METRICS
from benchmark.paper import comparison
from benchmark.paper.claims import CLAIMS, OTHERS, SMOOTHER, Claim, at_threshold
from benchmark.paper.published import values
from benchmark.paper.shape import (
    Measured,
    agreement_of_order,
    lead,
    measured,
    outcome,
    p_value,
    smoothness,
    spread,
)
from benchmark.record import Record
from benchmark.store import Store
from models.registry import label

IDENTITY = {"dataset": "toy", "data_fingerprint": "0123456789abcdef", "preset": "quick"}
KS = (1, 5, 10)

Value = Callable[[Experiment, Mapping[str, Any], Variant], float | None]


@pytest.fixture(autouse=True)
def _do_not_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def data(users: int = 30, items: int = 20, interactions: int = 200) -> Dataset:
    numbers = np.arange(interactions)
    return Dataset.from_pairs(
        name="toy", source="made up", users=numbers % users, items=numbers // users,
        num_users=users, num_items=items, features={},
    )  # fmt: skip


def record(
    root: Path,
    value: Value,
    asked: tuple[str, ...] = ("table2", "table3", "table4", "figure3"),
    names: tuple[str, ...] = (*PAPER_MODELS, "popularity"),
    modalities: tuple[str, ...] = ("image", "audio", "text"),
    seeds: int = 1,
    dataset: Dataset | None = None,
    spread: float = 0.001,
) -> Record:
    """Stored rows in which every metric of a variant is the value that is said."""
    store = Store(root)
    wanted = [each for each in experiments(names, modalities) if each.name in asked]
    for experiment in wanted:
        for place, variant in experiment.cells:
            level = value(experiment, place, variant)
            if level is None or f"{variant.label}-0" in store.ids("runs"):
                continue  # HUIGN as it is stands in every table
            for seed in range(seeds):
                noise = spread * (seed - (seeds - 1) / 2)
                metrics = {f"{name}@{k}": level + noise for name in METRICS for k in KS}
                # would be taken for the paper's NDCG by mistake
                metrics.update({f"ndcg@{k}": 0.9 for k in KS})
                row = {
                    "run_id": f"{variant.label}-{seed}", "status": "ok", "reason": "", **IDENTITY,
                    "modalities": "+".join(modalities),
                    "variant": variant.label, "model": variant.model, "seed": seed,
                    "tuned_as": variant.tuned_as.label if variant.tuned_as else "", **metrics,
                }  # fmt: skip
                store.append("runs", row)
    identity = {**IDENTITY, "modalities": "+".join(modalities)}
    return Record(store, dataset or data(), wanted, KS, identity)


def like_the_paper(dataset: str, factor: float = 1.0) -> Value:
    """Everywhere the paper's recall@10, times a factor; in Figure 3 straight lines, two flat."""

    def value(experiment: Experiment, place: Mapping[str, Any], variant: Variant) -> float | None:
        if variant.model not in PAPER_MODELS:
            return 0.5  # an anchor above all
        if experiment.name == "table2":
            printed = {name.lower(): each for name, each in values("table2", dataset).items()}
            return factor * printed[variant.model]["recall@10"]
        if experiment.name == "figure3":
            slope = 0.0 if "-I" in place["variant"] else 0.001
            level = factor * values("table2", dataset)["HUIGN"]["recall@10"]
            level -= 0.01 * float(place["variant"].count("-"))
            return level + slope * float(place["min_co_users"] - 5)
        (name,) = place.values()
        name = {"image": "visual", "audio": "acoustic", "text": "textual"}.get(name, name)
        return factor * values(experiment.name, dataset)[name]["recall@10"]

    return value


def found(root: Path, **where: str) -> pd.DataFrame:
    rows = pd.read_csv(root / "comparison.csv", keep_default_na=False)
    for column, wanted in where.items():
        rows = rows[rows[column] == wanted]
    return rows


def one(root: Path, **where: str) -> pd.Series[Any]:
    rows = found(root, **where)
    assert len(rows) == 1, rows
    return rows.iloc[0]


def test_the_papers_own_numbers_have_the_papers_shape(tmp_path: Path) -> None:
    comparison.write(record(tmp_path, like_the_paper("tiktok", factor=2)))
    order = one(
        tmp_path, experiment="table2", what="order", metric="recall@10", paper_dataset="tiktok"
    )
    assert float(order["ours"]) == pytest.approx(1)
    assert float(order["p_value"]) == pytest.approx(2 / math.factorial(8))
    for place, rank in {"HUIGN": 1, "MacridVAE": 2, "DUIF": 8}.items():
        row = one(
            tmp_path, what="rank", place=place, metric="recall@10", paper_dataset="tiktok",
            experiment="table2",
        )  # fmt: skip
        assert float(row["ours"]) == float(row["paper"]) == rank
    for table, percent in {
        "table2": 100 * (884 / 813 - 1), "table3": 100 * (884 / 865 - 1),
        "table4": 100 * (884 / 796 - 1),
    }.items():  # fmt: skip
        row = one(
            tmp_path, experiment=table, what="lead_percent", metric="recall@10",
            paper_dataset="tiktok",
        )  # fmt: skip
        assert float(row["ours"]) == pytest.approx(percent)
        assert float(row["paper"]) == pytest.approx(percent)
    row = one(
        tmp_path, experiment="table3", what="spread_percent", metric="recall@10",
        paper_dataset="tiktok",
    )  # fmt: skip
    assert float(row["ours"]) == pytest.approx(100 * (884 / 830 - 1))
    assert found(tmp_path, what="value").empty  # other data
    assert found(tmp_path, place="popularity").empty


def test_the_papers_ndcg_is_held_against_ndcg_hits(tmp_path: Path) -> None:
    kwai = data(7010, 86483, 298492)
    comparison.write(record(tmp_path, lambda *_: 0.2, dataset=kwai, asked=("table2",)))
    row = one(tmp_path, what="value", place="HUIGN", metric="ndcg@10")
    assert row["paper_dataset"] == "kwai"  # though it is called toy
    assert float(row["ours"]) == 0.2
    assert float(row["paper"]) == 0.0778
    assert float(row["difference"]) == pytest.approx(0.1222)
    assert float(row["ratio"]) == pytest.approx(0.2 / 0.0778)
    assert len(found(tmp_path, what="value")) == 9 * 8
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "the numbers of the paper's kwai" in page
    assert "| ndcg@10      | HUIGN     | 0.0778  | 0.2000 | +0.1222      | 2.57    |" in page
    assert "never with `ndcg`" in page


@pytest.mark.parametrize(
    ("name", "interactions"),
    [("kwai", 298_491), ("synthetic-kwai", 298_492)],
    ids=("one interaction short", "drawn"),
)
def test_no_values_beside_each_other_where_the_data_differ(
    name: str, interactions: int, tmp_path: Path
) -> None:
    kwai = replace(data(7010, 86_483, interactions), name=name)
    comparison.write(record(tmp_path, lambda *_: 0.2, dataset=kwai, asked=("table2",)))
    assert found(tmp_path, what="value").empty
    assert "values cannot be compared" in (tmp_path / "comparison.md").read_text(encoding="utf-8")


def test_claims_on_planted_rows(tmp_path: Path) -> None:
    comparison.write(record(tmp_path, like_the_paper("tiktok"), seeds=3, spread=1e-6))
    claims = found(tmp_path, what="claim").drop_duplicates("place").set_index("place")
    verdicts = dict(claims["verdict"])
    assert verdicts["HUIGN is above all baselines"] == "holds"
    assert verdicts["All modalities together are above each single one"] == "holds"
    assert verdicts["One level more is better, from one to three"] == "does not hold"
    assert verdicts["HUIGN is above HUIGN-C at every threshold"] == "holds"
    assert verdicts["HUIGN-C is above HUIGN-C-I at every threshold"] == "holds"
    # HUIGN-I is flat, as is HUIGN-C-I: not smoother than that one
    assert verdicts[SMOOTHER.text] == "no evidence (no test)"
    assert float(claims["ours"][SMOOTHER.text]) == pytest.approx(2 / 3)


def test_one_seed_is_no_evidence_for_or_against(tmp_path: Path) -> None:
    comparison.write(record(tmp_path, like_the_paper("tiktok")))
    claims = found(tmp_path, what="claim").drop_duplicates("place").set_index("place")
    assert float(claims["ours"]["HUIGN is above all baselines"]) == 1
    tested = claims["verdict"].drop(SMOOTHER.text)
    assert set(tested) == {"no evidence (one seed)"}
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "What rests on a single seed cannot be tested" in page
    assert "Welch" not in page


def test_what_was_not_run_is_not_measured(tmp_path: Path) -> None:
    def value(experiment: Experiment, place: Mapping[str, Any], variant: Variant) -> float | None:
        return {"vbpr": 0.3, "huign": 0.2}.get(variant.model)

    comparison.write(record(tmp_path, value, asked=("table2",), names=PAPER_MODELS))
    verdicts = dict(found(tmp_path, what="claim")[["place", "verdict"]].to_numpy())
    assert verdicts["HUIGN is above all baselines"] == "no evidence (one seed)"
    assert verdicts["MacridVAE, with two levels, is above DisenGCN"] == "not measured"
    assert verdicts["32-8-4 is the best structure"] == "not measured"
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "The paper's only: DUIF, CB2CF, NGCF, MMGCN, DisenGCN, MacridVAE." in page
    assert "## Table 3" not in page


def test_nothing_is_written_without_runs_and_old_files_go(tmp_path: Path) -> None:
    for suffix in ("csv", "md"):
        (tmp_path / f"comparison.{suffix}").write_text("old")
    comparison.write(record(tmp_path, lambda *_: None))
    assert not list(tmp_path.glob("comparison.*"))


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    stored = record(tmp_path, like_the_paper("kwai"), asked=("table2", "table3", "figure3"))
    comparison.write(stored)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("comparison.*")}
    comparison.write(stored)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("comparison.*")} == before


def test_modalities_of_other_names_are_ours_only(tmp_path: Path) -> None:
    levels = {"text": 0.1, "knowledge": 0.3, "multiple": 0.2}
    stored = record(
        tmp_path,
        lambda _, place, __: levels[place["modality"]],
        asked=("table4",),
        modalities=("text", "knowledge"),
    )
    comparison.write(stored)
    ranks = found(tmp_path, what="rank", metric="recall@10", paper_dataset="tiktok")
    assert dict(zip(ranks["place"], ranks["ours"].astype(float), strict=True)) == {
        "textual": 2, "multiple": 1,
    }  # fmt: skip
    # over the best single one that both have, on either side
    gain = one(tmp_path, what="lead_percent", metric="recall@10", paper_dataset="tiktok")
    assert float(gain["ours"]) == pytest.approx(100)
    printed = values("table4", "tiktok")
    recall = {name: printed[name]["recall@10"] for name in ("multiple", "textual")}
    assert float(gain["paper"]) == pytest.approx(100 * (recall["multiple"] / recall["textual"] - 1))
    assert found(tmp_path, what="order").empty  # two places have but two orders
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "Ours only: knowledge." in page
    assert "The paper's only: visual, acoustic." in page


def test_means_and_deviations_over_seeds(tmp_path: Path) -> None:
    stored = record(tmp_path, lambda *_: 0.2, asked=("table2",), names=("vbpr",), seeds=3)
    ours = measured(stored.experiments[0], stored.done, KS)
    mean, sd, seeds = ours.cell("recall@5", "VBPR")
    assert mean == pytest.approx(0.2)
    assert sd == pytest.approx(0.001)
    assert seeds == 3
    assert list(ours.mean.index[-3:]) == ["ndcg@1", "ndcg@5", "ndcg@10"]


def test_seeds_that_some_cells_lack_do_not_count(tmp_path: Path) -> None:
    """As in the tables: HUIGN as it is has more seeds where Table 2 alone was run with them."""
    stored = record(tmp_path, like_the_paper("tiktok"))
    before = comparison.everything(stored)["table3"].mean
    [row] = stored.store.rows("runs", variant="HUIGN").to_dict("records")
    better = {f"{name}@{k}": 0.9 for name in METRICS for k in KS}
    more = {str(name): each for name, each in row.items()} | better
    stored.store.append("runs", {**more, "run_id": "HUIGN-1", "seed": 1})
    again = replace(stored)
    assert comparison.everything(again)["table2"].seeds["HUIGN"] == 2
    pd.testing.assert_frame_equal(comparison.everything(again)["table3"].mean, before)


def test_it_is_about_all_rows_whichever_call_comes_last(tmp_path: Path) -> None:
    stored = record(tmp_path, like_the_paper("tiktok"))
    comparison.write(stored)
    before = [path.read_bytes() for path in sorted(tmp_path.glob("comparison.*"))]
    comparison.write(replace(stored, experiments=experiments(["popularity"], ["image"])[:1]))
    assert [path.read_bytes() for path in sorted(tmp_path.glob("comparison.*"))] == before


def planted(**levels: tuple[float, float, int]) -> Measured:
    mean = pd.DataFrame({name: {"recall@10": level} for name, (level, _, _) in levels.items()})
    sd = pd.DataFrame({name: {"recall@10": sd} for name, (_, sd, _) in levels.items()})
    return Measured(mean, sd, {name: seeds for name, (_, _, seeds) in levels.items()})


def test_a_difference_is_clear_by_welchs_test() -> None:
    ours = planted(a=(0.30, 0.01, 5), b=(0.20, 0.01, 5), c=(0.299, 0.01, 5), d=(0.4, math.nan, 1))
    result = outcome(Claim("table2", "a is above b and c", [("a", "b"), ("a", "c")]), ours)
    assert (result.held, result.total, result.clear, result.clear_held) == (2, 2, 1, 1)
    assert (result.tested, result.verdict) == (2, "holds in part")
    result = outcome(Claim("table2", "a is above b", [("a", "b")]), ours)
    assert result.verdict == "holds"
    result = outcome(Claim("table2", "a is above c", [("a", "c")]), ours)
    assert (result.held, result.verdict) == (1, "no evidence (within noise)")
    result = outcome(Claim("table2", "b is above a", [("b", "a")]), ours)
    assert (result.held, result.clear, result.clear_held) == (0, 1, 0)
    assert result.verdict == "does not hold"
    result = outcome(Claim("table2", "d is above a", [("d", "a")]), ours)
    assert (result.held, result.tested, result.verdict) == (1, 0, "no evidence (one seed)")
    result = outcome(Claim("table2", "a is above e", [("a", "e")]), ours)
    assert (result.verdict, result.tested) == ("not measured", 0)


def test_one_of_many_comparisons_is_not_against_a_claim_by_chance() -> None:
    # p = 0.03 for itself, below 0.05; of two comparisons Holm's correction makes it 0.06
    ours = planted(a=(0.3, 0.01, 5), b=(0.3168, 0.01, 5), c=(0.3, 0.01, 5))
    assert p_value(ours, "recall@10", "a", "b") == pytest.approx(0.029, abs=0.002)
    alone = outcome(Claim("table2", "a is above b", [("a", "b")]), ours)
    assert alone.verdict == "does not hold"
    both = outcome(Claim("table2", "a is above b and c", [("a", "b"), ("a", "c")]), ours)
    assert both.verdict == "no evidence (within noise)"


def test_what_has_a_single_seed_does_not_hide_the_rest() -> None:
    ours = planted(a=(0.3, 0.01, 5), b=(0.4, 0.01, 5), c=(0.1, math.nan, 1))
    result = outcome(Claim("table2", "a is above b and c", [("a", "b"), ("a", "c")]), ours)
    assert (result.total, result.tested, result.verdict) == (2, 1, "does not hold")


def test_p_value_by_hand() -> None:
    # t = 1 with 2 degrees of freedom: p = 1 - t / sqrt(t^2 + 2)
    ours = planted(a=(0.3, 0.1, 2), b=(0.2, 0.1, 2))
    assert p_value(ours, "recall@10", "a", "b") == pytest.approx(1 - 1 / math.sqrt(3))
    still = planted(a=(0.3, 0.0, 2), b=(0.2, 0.0, 2), c=(0.3, 0.0, 2))
    assert p_value(still, "recall@10", "a", "b") == 0
    assert p_value(still, "recall@10", "a", "c") == 1


def test_several_seeds_tell_what_is_beyond_the_noise(tmp_path: Path) -> None:
    comparison.write(record(tmp_path, like_the_paper("movielens"), asked=("table2",), seeds=3))
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if "HUIGN is above all baselines" in line)
    assert "63 of 63" in line
    assert "63 for, 0 against" in line
    assert "single seed" not in page


def test_the_interval_over_users_is_taken_where_lists_are_stored(tmp_path: Path) -> None:
    stored = record(tmp_path, lambda *_: 0.2, asked=("table2",), names=("vbpr", "huign"))
    generator = torch.Generator().manual_seed(0)
    for run_id, chance in ((f"{label('vbpr')}-0", 0.05), ("HUIGN-0", 0.6)):
        hits = torch.rand((50, 10), generator=generator) < chance
        lists = Evaluation(torch.arange(50), hits, torch.full((50,), 10), KS)
        stored.store.save_lists(run_id, lists)
    comparison.write(stored)
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ndcg_hits@10")]
    assert len(lines) == 1
    assert label("vbpr") in lines[0]
    assert "< 0.001" in lines[0]


def test_kendalls_tau_by_hand() -> None:
    # of 6 pairs, (b, c) alone is the other way round: (5 - 1) / 6
    ours = pd.Series([4.0, 2.0, 3.0, 1.0], list("abcd"))
    paper = pd.Series([4.0, 3.0, 2.0, 1.0], list("abcd"))
    tau, p_value = agreement_of_order(ours, paper)
    assert tau == pytest.approx(4 / 6)
    # of 24 orders, 1 + 3 have at most one inversion, and as many at least five
    assert p_value == pytest.approx(8 / 24)
    tau, _ = agreement_of_order(ours, ours * 0 + 1)
    assert math.isnan(tau)


def test_lead_and_spread_by_hand() -> None:
    recall = pd.Series([0.2, 0.25, 0.1], ["HUIGN", "VBPR", "DUIF"])
    assert lead(recall, "HUIGN") == pytest.approx(-20)
    assert lead(recall, "VBPR") == pytest.approx(25)
    assert math.isnan(lead(recall, "NGCF"))
    assert spread(recall) == pytest.approx(150)
    assert math.isnan(spread(recall * [1, 1, 0]))


def test_only_whole_curves_are_judged_for_smoothness() -> None:
    levels = {f"HUIGN >={least}": (float(least), math.nan, 1) for least in MIN_CO_USERS}
    levels["HUIGN-I >=4"] = (1.0, math.nan, 1)
    curves = smoothness(planted(**levels))
    assert list(curves) == ["HUIGN"]
    assert curves["HUIGN"]["recall@10"] == pytest.approx(math.sqrt(2.5))  # of 4, 5, 6, 7, 8


def test_every_place_of_a_claim_is_one_of_the_papers() -> None:
    curves = {at_threshold(name, least) for name in ABLATIONS for least in MIN_CO_USERS}
    for claim in CLAIMS:
        known = curves if claim.table == "figure3" else set(values(claim.table, "movielens"))
        assert {place for pair in claim.pairs for place in pair} <= known | {OTHERS}
