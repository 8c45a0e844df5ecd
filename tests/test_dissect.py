"""``python -m benchmark.dissect``: ids and intents of a stored HUIGN, against slow ways."""

from __future__ import annotations

import csv
from contextlib import nullcontext
from itertools import combinations

import numpy as np
import pytest
import torch
from planted import Bench, contents
from small_huign import all_scores, built, sample
from torch import Tensor

from benchmark.dissect import main
from benchmark.dissection import check_intents, dissected
from benchmark.stored_models import Row
from benchmark.tuning import Tuner
from models.errors import UsageError
from models.huign import HUIGN
from models.interactions import Interactions
from models.recommender import Recommender


@pytest.fixture
def train() -> Interactions:
    return sample(40, 12, 0.4)


@pytest.fixture
def model(train: Interactions) -> HUIGN:
    return built(train)


def scores(model: HUIGN) -> tuple[Tensor, Tensor]:
    """By ids and by intents, ``[num_users, num_items]`` each."""
    with torch.no_grad():
        user, item = model()
    width = model.embedding_dim
    return user[:, :width] @ item[:, :width].T, user[:, width:] @ item[:, width:].T


def test_each_part_is_ranked_by_itself(model: HUIGN, train: Interactions) -> None:
    judged: list[Tensor] = []

    def validate(other: Recommender) -> float:
        assert isinstance(other, HUIGN)
        judged.append(all_scores(other, train))
        return float(len(judged))

    before = {name: value.clone() for name, value in model.state_dict().items()}
    parts = dissected(model, train, validate)
    assert [parts[n] for n in ("all", "ids", "intents", "mean_intents")] == [1.0, 2.0, 3.0, 4.0]
    ids, intents = scores(model)
    expected = [ids + intents, ids, intents, ids + intents.mean(0)]
    for found, wanted in zip(judged, expected, strict=True):
        torch.testing.assert_close(found, wanted)
    assert not any(torch.equal(judged[0], other) for other in judged[1:])
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


def test_what_is_said_about_the_parts(model: HUIGN, train: Interactions) -> None:
    parts = dissected(model, train, lambda _: 0.0)
    ids, intents = (part.numpy().astype(float) for part in scores(model))
    wide = [np.mean([row.std() for row in part]) for part in (intents, ids)]
    assert parts["spread"] == pytest.approx(wide[0] / wide[1], rel=1e-4)
    counts = np.bincount(train.items.numpy(), minlength=train.num_items)
    correlation = np.corrcoef(intents.mean(0), np.log(1 + counts))[0, 1]
    assert parts["popularity"] == pytest.approx(correlation, rel=1e-3)
    means = []
    for z in model.aggregated:
        rows = [row for row in z.numpy().astype(float) if row.any()]
        lengths = [float(np.sqrt(row @ row)) for row in rows]
        pairs = combinations(range(len(rows)), 2)
        means.append(np.mean([rows[a] @ rows[b] / lengths[a] / lengths[b] for a, b in pairs]))
    assert parts["cosine"] == pytest.approx(np.mean(means), rel=1e-4)


def test_the_command(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run("--models", "huign", "bpr_mf", "--dataset", "toy") == 0
    runs = {row["variant"]: row for row in bench.rows("toy")}
    stored = contents(bench.results)
    file = bench.root / "parts.csv"
    call = bench.arguments(runs["HUIGN"]["run_id"], "--out", str(file))
    capsys.readouterr()
    assert main(call) == 0
    assert "with the test metrics of the stored run" in capsys.readouterr().err
    with file.open(newline="") as lines:
        [row] = csv.DictReader(lines)
    assert row["run_id"] == runs["HUIGN"]["run_id"]
    validation = float(runs["HUIGN"]["validation_recall@10"])
    assert float(row["all"]) == pytest.approx(validation, abs=1e-6)
    assert all(0 <= float(row[name]) <= 1 for name in ("ids", "intents", "mean_intents"))
    left = contents(bench.results).items()
    assert {k: v for k, v in left if "/models/" not in k and ".lock" not in k} == {
        k: v for k, v in stored.items() if ".lock" not in k
    }

    monkeypatch.setattr(Tuner, "trained", None)
    assert main(call) == 0  # from what is kept
    assert main(bench.arguments(runs["BPR-MF"]["run_id"])) == 2
    assert "is of 'BPR-MF', which has no intents: take one of HUIGN" in capsys.readouterr().err


@pytest.mark.parametrize(("modalities", "is_refused"), [("null", False), ("[]", True)])
def test_a_run_without_intents_is_refused(modalities: str, is_refused: bool) -> None:
    params = f'{{"modalities": {modalities}}}'
    row: Row = {"run_id": "a-0", "variant": "HUIGN", "model": "huign", "params": params}
    with pytest.raises(UsageError) if is_refused else nullcontext():
        check_intents(row)
