"""Features from words: latent semantic analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from models.errors import UsageError

DIM = 64
"""Numbers per item, where there is nothing to say otherwise."""

SMALL = 500
"""Fewer items or tokens are small data."""


def latent_semantics(documents: Sequence[list[str]], dim: int | None = None) -> NDArray[np.float32]:
    """Latent semantic analysis of bags of tokens: TF-IDF, then a truncated SVD.

    Tokens of a single document say nothing about its likeness to others and are dropped; a
    document without any other token becomes a row of zeros.

    Args:
        documents: The tokens of every item.
        dim: Number of singular vectors, less than the number of items and of kept tokens
            (default: :data:`DIM`, or as many as there can be).

    Returns:
        ``[num_items, dim]``

    Raises:
        UsageError: If the documents do not share as many tokens.
    """
    try:
        weights = TfidfVectorizer(analyzer=list, min_df=2).fit_transform(documents)
        largest = min(weights.shape) - 1
    except ValueError:  # no token is left
        largest = 0
    if largest < 1:
        raise UsageError(
            f"the texts of {len(documents)} items do not share two words; add columns or text"
        )
    dim = min(DIM, largest) if dim is None else dim
    if dim > largest:
        raise UsageError(
            f"--dim {dim} is too large for {weights.shape[0]} items that share "
            f"{weights.shape[1]} words; use at most {largest}"
        )
    # Where singular values are equal, as in small data, ARPACK goes on from vectors of its own that
    # no seed reaches, and the same call gives something else.
    algorithm = "arpack" if largest >= SMALL else "randomized"
    svd = TruncatedSVD(dim, algorithm=algorithm, n_iter=20, random_state=0)
    matrix: NDArray[Any] = svd.fit_transform(weights)
    # Vectors are defined up to their sign, and the last digits depend on the machine: without
    # both steps the same data would have another fingerprint elsewhere.
    largest_weights = np.abs(svd.components_).argmax(axis=1)
    matrix = matrix * np.sign(svd.components_[np.arange(dim), largest_weights])
    return (matrix.round(6) + 0.0).astype(np.float32)  # adding zero turns -0.0 into 0.0
