"""The protocol's switches: what each of them changes in a run, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch
from planted import Bench
from torch import Tensor

from benchmark.evaluation import Evaluator
from benchmark.protocols import SOFT_MASK, SWITCHES, deciding
from models.interactions import Interactions
from models.recommender import Recommender, Validate
from models.training import TrainedRecommender

CALL = ("--models", "bpr_mf", "popularity", "--dataset", "toy")


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[TrainedRecommender]:
    """Every model that is trained."""
    found: list[TrainedRecommender] = []
    original = TrainedRecommender.fit

    def fit(
        self: TrainedRecommender, train: Interactions, validate: Validate | None = None
    ) -> TrainedRecommender:
        found.append(self)
        return original(self, train, validate)

    monkeypatch.setattr(TrainedRecommender, "fit", fit)
    return found


def by_variant(bench: Bench) -> dict[str, dict[str, str]]:
    return {row["variant"]: row for row in bench.rows("toy")}


def test_every_switch_is_a_row_and_only_training_switches_train(
    bench: Bench, trainings: list[TrainedRecommender]
) -> None:
    assert bench.run(*CALL, "--experiments", "table2", "protocol") == 0
    # two trials, of which the better is the corrected run; one training serves both masks
    assert [model.patience for model in trainings] == [2, 2, 2, 4, 2, 4]
    rows = by_variant(bench)
    assert {row["switches"] for row in rows.values()} == {"", *SWITCHES, "+".join(SWITCHES)}
    base = rows["BPR-MF"]
    for switch in SWITCHES:
        row = rows[f"BPR-MF, {switch}"]
        assert (row["status"], row["tuned_as"], row["study"]) == ("ok", "BPR-MF", base["study"])
        told = {name: json.loads(row["params"])[name] for name in ("learning_rate", "reg")}
        assert told == {name: json.loads(base["params"])[name] for name in told}
    masks = [rows[f"BPR-MF, {switch}"] for switch in ("known_validation", "soft_mask")]
    for row in masks:
        assert row["validation_recall@10"] == base["validation_recall@10"]
        assert row["params"] == base["params"]
    # more candidates: no list gets better, some get worse
    assert float(masks[0]["recall@10"]) < float(base["recall@10"])


def test_selection_on_test_is_what_it_says(bench: Bench) -> None:
    bench.run(*CALL, "--experiments", "table2", "protocol")
    rows = by_variant(bench)
    for name in ("BPR-MF, select_on_test", "BPR-MF, official"):
        # what chose the epoch is what is reported
        assert rows[name]["validation_recall@10"] == rows[name]["recall@10"]
        assert rows[name]["validation_recall@10"] != rows["BPR-MF"]["validation_recall@10"]
    chosen, honest = rows["BPR-MF, select_on_test"], rows["BPR-MF"]
    assert float(chosen["recall@10"]) >= float(honest["recall@10"])


def test_the_official_protocol_is_kept_apart(bench: Bench) -> None:
    bench.run(*CALL)
    before = (bench.results / "toy" / "table2.csv").read_bytes()
    assert bench.run(*CALL, "--protocol", "official") == 0
    official = (bench.results / "toy" / "table2.csv").read_bytes()
    assert official != before
    rows = [row for row in bench.rows("toy") if row["evaluation_protocol"] == "official"]
    assert [row["variant"] for row in rows] == ["BPR-MF", "Popularity"]
    assert rows[0]["validation_recall@10"] == rows[0]["recall@10"]
    assert {row["switches"] for row in rows} == {"+".join(SWITCHES)}
    assert len({row["study"] for row in bench.rows("toy")} - {""}) == 2
    bench.run(*CALL)
    assert (bench.results / "toy" / "table2.csv").read_bytes() == before


def test_cut_offs_without_10_can_be_selected_on(bench: Bench) -> None:
    assert bench.run(*CALL, "--protocol", "official", "--ks", "3") == 0
    assert {row["status"] for row in bench.rows("toy")} == {"ok"}


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        ("both", [(0, None), (1, None)]),
        ("initialisation", [(0, 0), (1, 0)]),
        ("sampling", [(0, 0), (0, 1)]),
    ],
)
def test_seeds_vary_what_is_asked_for(
    vary: str, expected: list[tuple[int, int | None]], bench: Bench
) -> None:
    assert bench.run(*CALL[:2], *CALL[3:], "--seeds", "2", "--vary", vary) == 0
    rows = bench.rows("toy")
    params = [json.loads(row["params"]) for row in rows]
    assert [(each["seed"], each["sampling_seed"]) for each in params] == expected
    assert [row["seed"] for row in rows] == ["0", "1"]
    assert len({row["run_id"].partition("-")[0] for row in rows}) == 1
    assert len({row["recall@10"] for row in rows}) == 2


def test_seeds_of_all_kinds_share_a_study(bench: Bench) -> None:
    studies = []
    for vary in ("both", "sampling", "initialisation"):
        assert bench.run(*CALL[:2], *CALL[3:], "--vary", vary) == 0
        studies.append(bench.rows("toy", "trials"))
    assert len(studies[0]) == 2
    assert studies == [studies[0]] * 3
    rows = bench.rows("toy")
    assert len({row["run_id"] for row in rows}) == 3
    assert len({row["study"] for row in rows}) == 1


def test_what_training_notices() -> None:
    assert deciding(["known_validation", "soft_mask"]) == ()
    assert deciding(["soft_mask", "late_stop"]) == ("late_stop",)
    assert deciding(["select_on_test", "soft_mask"]) == ("select_on_test", "soft_mask")


class Fixed(Recommender):
    def __init__(self, scores: Sequence[float]) -> None:
        self.scores = torch.tensor(scores)

    def fit(self, train: Interactions, validate: Validate | None = None) -> Fixed:
        return self

    def score(self, users: Tensor) -> Tensor:
        return self.scores.expand(len(users), -1)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # item 0 is known; at 1e-5 it is above what scores below that, and a miss
        ([9.0, -1.0, -2.0], [0, 1]),
        ([9.0, 1.0, -2.0], [1, 1]),
        ([9.0, SOFT_MASK / 2, -2.0], [0, 1]),
    ],
)
def test_known_items_at_the_soft_mask(scores: list[float], expected: list[int]) -> None:
    def one(item: int) -> Interactions:
        return Interactions(torch.tensor([0]), torch.tensor([item]), 1, 3)

    evaluator = Evaluator(one(1), one(0), ks=(1, 2), mask=SOFT_MASK)
    found = evaluator(Fixed(scores)).means
    assert [found["recall@1"], found["recall@2"]] == expected
