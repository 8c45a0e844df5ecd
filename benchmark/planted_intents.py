"""Whether HUIGN's intents are those that were planted, where the data know them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix
from sklearn.preprocessing import normalize

from benchmark.datasets import Dataset
from benchmark.datasets.synthetic import TRUTH
from benchmark.features import scale_features
from benchmark.intents import Kept
from benchmark.splits import seed_of, split
from models.item_graph import co_interaction_graph

COLUMNS = [
    "run_id", "modality", "level", "planted", "items_by", "groups",
    "nmi", "ari", "purity", "chance_nmi", "chance_purity",
]  # fmt: skip
"""What is known of a grouping, see :func:`compared`."""

SHUFFLES = 5
"""How often items are dealt out at random to know what chance finds."""


def planted(dataset: Dataset) -> list[NDArray[np.int64]]:
    """The planted intents of every level, fine ones first, each ``[num_items]``; else none.

    Columns of these names that do not number a group for every item are something else.
    """
    table = dataset.item_table
    if table is None or not set(TRUTH) <= set(table):
        return []
    columns = [
        pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        for name in TRUTH
    ]
    if not all(((np.abs(each) < 2**31) & (each == np.floor(each))).all() for each in columns):
        return []
    return [each.astype(np.int64) for each in columns]


def sizes(truth: Sequence[NDArray[np.int64]]) -> list[int]:
    """The number of planted intents of every level."""
    return [len(np.unique(each)) for each in truth]


def of_run(
    run_id: str, kept: Kept, truth: Sequence[NDArray[np.int64]]
) -> Iterator[dict[str, object]]:
    """Rows of :data:`COLUMNS` about a run: of every modality and level, by both ways to group.

    Args:
        run_id: The run.
        kept: What was kept of its intents.
        truth: Planted intents of all items by level.
    """
    counts = sizes(truth)
    for modality in kept.assignments:
        for level, weights in enumerate(kept.distributions(modality), start=1):
            wanted = weights.shape[1]
            nearest = min(range(len(counts)), key=lambda n: abs(math.log(wanted / counts[n])))
            true = truth[nearest][kept.items]
            about = {"run_id": run_id, "modality": modality, "level": level}
            for way, found in (
                ("strongest intent", weights.argmax(1)),
                ("k-means of H", clusters(weights - weights.mean(0), counts[nearest])),
            ):
                yield {**about, **compared(found, true), "items_by": way}


def of_features(
    dataset: Dataset,
    identity: Mapping[str, str],
    kept: Kept,
    truth: Sequence[NDArray[np.int64]],
    min_co_users: int,
) -> Iterator[dict[str, object]]:
    """Rows of :data:`COLUMNS` about what HUIGN is given: features, and those of neighbours.

    Args:
        dataset: Holds the features.
        identity: Of the runs; tells scaling and split.
        kept: Tells the items and modalities.
        truth: Planted intents of all items by level.
        min_co_users: Of the item graph.
    """
    features = scale_features(
        {name: dataset.features[name] for name in kept.assignments}, identity["feature_scaling"]
    )
    seed = seed_of(identity["split_seed"])
    train = split(dataset, features, seed, identity["split_method"]).train
    graph = co_interaction_graph(train, min_co_users)
    scale = sp.diags_array(1 / np.sqrt(np.maximum(graph.sum(axis=1), 1)))
    for modality, matrix in train.features.items():
        x = matrix.double().numpy()
        ways = {"features": x, "features of neighbours": scale @ (graph @ (scale @ x))}
        for level, all_true in enumerate(truth, start=1):
            true = all_true[kept.items]
            about = {"run_id": "", "modality": modality, "level": level}
            for way, rows in ways.items():
                found = clusters(rows[kept.items], len(np.unique(all_true)))
                yield {**about, **compared(found, true), "items_by": f"k-means of {way}"}


def clusters(rows: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """k-means of the rows' directions, ``[num_items]``; fewer groups where fewer rows differ."""
    directions = normalize(rows)
    count = min(count, len(np.unique(directions, axis=0)))
    found: NDArray[np.int64] = KMeans(count, n_init=3, random_state=0).fit_predict(directions)
    return found


def compared(found: NDArray[np.int64], true: NDArray[np.int64]) -> dict[str, int | float]:
    """How well groups agree with the planted ones, in numbers of :data:`COLUMNS`.

    Args:
        found: Each item's group, ``[num_items]``.
        true: Each item's planted intent, ``[num_items]``.

    Returns:
        Numbers of planted intents and of groups; normalised mutual information and purity, in
        ``[0, 1]``, and the adjusted Rand index, in ``[-0.5, 1]``; and what the first two are on
        average if items are dealt out at random.
    """
    random = np.random.default_rng(0)
    dealt = [random.permutation(found) for _ in range(SHUFFLES)]
    return {
        "planted": len(np.unique(true)),
        "groups": len(np.unique(found)),
        "nmi": normalized_mutual_info_score(true, found),
        "ari": adjusted_rand_score(true, found),
        "purity": purity(found, true),
        "chance_nmi": float(np.mean([normalized_mutual_info_score(true, x) for x in dealt])),
        "chance_purity": float(np.mean([purity(x, true) for x in dealt])),
    }


def purity(found: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    r"""The share of items with the commonest intent of their group, in ``(0, 1]``.

    .. math:: \frac{1}{M} \sum_g \max_k |\{i : g_i = g, k_i = k\}|
    """
    return float(contingency_matrix(found, true).max(axis=1).sum() / len(true))
