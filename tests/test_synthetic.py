from __future__ import annotations

import re
from dataclasses import replace
from math import erf

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from baselines.bpr_mf import BPRMF
from baselines.duif import DUIF
from baselines.vbpr import VBPR
from benchmark.datasets import Dataset
from benchmark.datasets.dataset import missing_rows
from benchmark.datasets.synthetic import (
    LEAST,
    SIZES,
    TRUTH,
    World,
    activity,
    item_table,
    mixtures,
    synthetic,
)
from benchmark.features import scale_features
from benchmark.outputs.keywords import documents, keywords
from benchmark.planted_intents import clusters, compared
from benchmark.splits import split
from models.errors import UsageError
from models.huign import HUIGN
from models.interactions import Interactions
from models.training import TrainedRecommender, Training

BUDGET = Training(learning_rate=1e-2, epochs=25, batch_size=256, reg=1e-2)
CLEAR = World(noise=0.1, common=0, missing=0, dominance=0.95)


def truth(data: Dataset) -> NDArray[np.int64]:
    """Planted intents, ``[items, 3]``."""
    assert data.item_table is not None
    return data.item_table[list(TRUTH)].to_numpy()


def gini(counts: NDArray[np.int64]) -> float:
    """0 if all are equal, near 1 if one has everything."""
    difference = np.abs(counts[:, None] - counts)
    return float(difference.mean() / (2 * counts.mean()))


def found(data: Dataset) -> list[float]:
    """NMI of k-means on every modality's features with the planted intents, by level."""
    planted = truth(data).T
    return [
        compared(clusters(matrix.astype(float), len(np.unique(true))), true)["nmi"]
        for matrix in data.features.values()
        for true in planted
    ]


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_counts_are_exact_and_pairs_distinct(size: str) -> None:
    data, shape = synthetic(size), SIZES[size]
    assert data.name == f"synthetic-{size}"
    assert data.labels is None
    assert data.duplicates == 0
    assert (data.num_users, data.num_items) == (shape.users, shape.items)
    pairs = set(zip(data.users.tolist(), data.items.tolist(), strict=True))
    assert len(pairs) == len(data) == shape.interactions
    of_users = np.bincount(data.users, minlength=shape.users)
    assert len(of_users) == shape.users
    assert LEAST <= of_users.min() <= of_users.max() <= shape.items // 2
    of_items = np.bincount(data.items, minlength=shape.items)
    assert len(of_items) == shape.items
    assert of_items.min() >= 1
    widths = {name: matrix.shape for name, matrix in data.features.items()}
    assert widths == {name: (shape.items, dim) for name, dim in shape.dims.items()}
    assert {matrix.dtype for matrix in data.features.values()} == {np.dtype(np.float32)}


def test_the_large_sizes_are_those_of_the_paper() -> None:
    paper = {
        "movielens": (55_485, 5_986, 1_239_508, [2048, 128, 100]),
        "tiktok": (36_656, 76_085, 726_065, [128, 128, 128]),
        "kwai": (7_010, 86_483, 298_492, [2048]),
    }
    for name, numbers in paper.items():
        each = SIZES[name]
        assert (each.users, each.items, each.interactions, [*each.dims.values()]) == numbers
        assert each.branches == (4, 2, 4)


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(UsageError, match=r"'synthetic-huge' is unknown.*synthetic-tiny"):
        synthetic("huge")


def test_a_seed_gives_one_data_set() -> None:
    first = synthetic("tiny", seed=3)
    assert first.fingerprint == synthetic("tiny", seed=3).fingerprint
    assert first.fingerprint != synthetic("tiny", seed=4).fingerprint
    assert "seed 3" in first.source
    assert "noise 0.7" in first.source


def test_content_can_change_while_interactions_stay() -> None:
    default, noisy = synthetic("tiny"), synthetic("tiny", world=World(noise=5))
    np.testing.assert_array_equal(default.users, noisy.users)
    np.testing.assert_array_equal(default.items, noisy.items)
    np.testing.assert_array_equal(truth(default), truth(noisy))
    assert not np.array_equal(default.features["visual"], noisy.features["visual"])


def test_features_are_the_same_on_every_machine() -> None:
    for matrix in synthetic("tiny").features.values():
        # sums of multiples of 1/256 that need fewer than the 24 digits of float32
        assert (matrix * 256 == np.round(matrix * 256)).all()
        assert np.abs(matrix).max() < 2**15


def test_items_and_users_have_long_tails() -> None:
    data = synthetic("small")
    of_items, of_users = (np.bincount(ids) for ids in (data.items, data.users))
    # a log-normal distribution of deviation s has a Gini coefficient of erf(s / 2)
    assert 0.4 < gini(of_items) < erf(1.2 / 2)
    assert 0.3 < gini(of_users) < erf(1.0 / 2)
    even = synthetic("small", world=World(popularity=0, activity=0))
    assert gini(np.bincount(even.items)) < gini(of_items) - 0.2
    assert gini(np.bincount(even.users)) < 0.2


def test_a_user_cannot_have_more_than_half_of_the_items() -> None:
    shape = replace(SIZES["tiny"], interactions=9_000)  # of 10,000 at most
    counts = activity(np.random.default_rng(0), shape, 2.0)
    assert counts.sum() == 9_000
    assert counts.max() == 50


def test_intents_are_nested_and_equally_frequent() -> None:
    fine, middle, coarse = truth(synthetic("small")).T
    assert set(zip(fine, middle, coarse, strict=True)) == {
        (each, each // 4, each // 8) for each in range(32)
    }
    assert set(np.bincount(fine)) == {18, 19}


def test_one_intent_dominates_a_mixture() -> None:
    weights = mixtures(np.random.default_rng(0), SIZES["tiny"], World(dominance=0.6))
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights.max(1) >= 0.6).all()
    assert (np.sort(weights, axis=1)[:, -2] > 0.05).mean() > 0.5


def test_titles_and_genres_tell_the_intent() -> None:
    table = item_table(np.array([0, 12, 31]), (4, 2, 4))
    assert table["title"].tolist() == ["item 0 of AAA", "item 1 of BBA", "item 2 of DBD"]
    assert table["genres"].tolist()[1] == "coarse-B middle-BB fine-BBA"
    assert table[list(TRUTH)].to_numpy().tolist() == [[0, 0, 0], [12, 3, 1], [31, 7, 3]]


def test_the_words_of_an_intent_are_found() -> None:
    data = synthetic("small")
    fine = truth(data)[:, 0]
    groups = {each: np.flatnonzero(fine == each).tolist() for each in range(32)}
    for each, words in keywords(documents(data), groups, count=3).items():
        [name] = {word for word in words if word.startswith("fine-")}
        letters = re.sub("fine-", "", name)
        place = [ord(letter) - ord("a") for letter in letters]
        assert place == [each // 8, each // 4 % 2, each % 4]
        assert f"middle-{letters[:2]}" in words


def test_features_show_the_intents_unless_they_are_noise() -> None:
    assert min(found(synthetic("small", world=CLEAR))) > 0.9
    data = synthetic("small", world=replace(CLEAR, noise=1e9))
    by_chance = [0.35, 0.06, 0.04] * len(data.features)  # many small groups agree by chance
    assert (np.array(found(data)) < by_chance).all()


def test_noise_lies_between() -> None:
    levels = [np.mean(found(synthetic("small", world=World(noise=x)))) for x in (0.2, 0.7, 2)]
    assert levels[0] > levels[1] + 0.05 > levels[2] + 0.3


def test_intents_lie_around_the_middle_ones_and_these_around_the_coarse_ones() -> None:
    data = synthetic("small", world=CLEAR)
    fine = truth(data)[:, 0]
    for matrix in data.features.values():
        centres = np.stack([matrix[fine == each].mean(0) for each in range(32)])
        apart = np.linalg.norm(centres[:, None] - centres, axis=2)
        ids = np.arange(32)
        middle = ids[:, None] // 4 == ids // 4
        coarse = ids[:, None] // 8 == ids // 8
        siblings = apart[middle & (apart > 0)].mean()
        cousins = apart[coarse & ~middle].mean()
        assert 1.2 * siblings < cousins < 0.9 * apart[~coarse].mean()


def test_a_share_of_the_items_lacks_a_modality() -> None:
    data = synthetic("small", world=World(missing=0.3))
    missing = np.stack([missing_rows(matrix) for matrix in data.features.values()])
    assert (np.abs(missing.mean(1) - 0.3) < 0.06).all()
    assert abs(missing.all(0).mean() - 0.3**3) < 0.03  # drawn for each modality on its own
    assert not any(missing_rows(m).any() for m in synthetic("tiny", world=CLEAR).features.values())


def same_intent(data: Dataset) -> list[float]:
    """How much likelier two items of a user have the same intent than any two interactions have.

    Returns:
        By level, fine first; 1 if users have no taste.
    """
    shares = []
    for intent in truth(data).T:
        table = np.zeros((data.num_users, intent.max() + 1))
        np.add.at(table, (data.users, intent[data.items]), 1)
        size, pairs = table.sum(1), table * (table - 1)
        within = (pairs.sum(1) / (size * (size - 1))).mean()
        shares.append(within / np.square(table.sum(0) / table.sum()).sum())
    return shares


def test_users_follow_the_hierarchy() -> None:
    fine, middle, coarse = same_intent(synthetic("small"))
    assert coarse > 1.7  # of about 4 at most
    assert middle > 1.3 * coarse
    assert fine > 1.3 * middle


def test_users_without_taste_follow_nothing() -> None:
    for world in (World(focus=(1e6, 1e6, 1e6)), World(visible=0)):
        assert max(same_intent(synthetic("small", world=world))) < 1.25


def cold_auc(model: TrainedRecommender, content: bool) -> float:
    """How well a model ranks items with two training interactions each, among themselves.

    Args:
        model: Not yet trained.
        content: Whether items keep their features; else these are dealt out at random.
    """
    data = synthetic("tiny", world=replace(CLEAR, visible=1))
    random = np.random.default_rng(0)
    cold = random.random(data.num_items) < 0.3
    order = random.permutation(len(data))
    users, items = data.users[order], data.items[order]
    nth = pd.Series(items).groupby(items).cumcount().to_numpy()
    kept = torch.from_numpy(~cold[items] | (nth < 2))
    features = scale_features(data.features, "l2_row")
    if not content:
        dealt = torch.from_numpy(random.permutation(data.num_items))
        features = {name: matrix[dealt] for name, matrix in features.items()}
    pairs = torch.from_numpy(users), torch.from_numpy(items)
    sizes = data.num_users, data.num_items
    model.fit(Interactions(pairs[0][kept], pairs[1][kept], *sizes, features))
    liked = np.zeros(sizes, dtype=bool)
    liked[data.users, data.items] = True
    known = np.zeros(sizes, dtype=bool)
    known[users[kept.numpy()], items[kept.numpy()]] = True
    scores = model.score(torch.arange(data.num_users)).detach().numpy()
    each = [
        roc_auc_score(liked[user, cold & ~known[user]], row[cold & ~known[user]])
        for user, row in enumerate(scores)
        if 0 < liked[user, cold & ~known[user]].sum() < (cold & ~known[user]).sum()
    ]
    assert len(each) > 100
    return float(np.mean(each))


def test_content_decides_on_items_that_hardly_anybody_knows() -> None:
    by_ids = cold_auc(BPRMF(**BUDGET), content=True)
    assert by_ids < 0.68
    for model in (VBPR(**BUDGET), DUIF(hidden=(32,), **BUDGET)):
        assert cold_auc(model, content=True) > by_ids + 0.08, type(model).__name__
        assert cold_auc(model, content=False) < by_ids, type(model).__name__


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_item_graph_is_neither_empty_nor_complete(size: str) -> None:
    data = synthetic(size)
    model = HUIGN(levels=(4, 2))
    model.build(split(data, scale_features(data.features, "l2_row"), 0).train)
    found = model.diagnostics()
    density = found["edges"] / (data.num_items * (data.num_items - 1) / 2)
    assert 0.1 < density < 0.35
    assert 0.01 < found["isolated_items"] < 0.35
