"""One scaling of item features for all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.datasets.dataset import missing_rows
from benchmark.presets import FEATURE_SCALING
from models.errors import UsageError


def select_modalities(
    features: Mapping[str, NDArray[Any]], names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """The features of the named modalities, in the order of ``names``.

    Raises:
        UsageError: If a modality is not in the data.
    """
    for name in names:
        if name not in features:
            raise UsageError(
                f"modality '{name}' is not in the data; choose among "
                f"{', '.join(sorted(features)) or 'none: the data has no features'}"
            )
    return {name: features[name] for name in names}


def scale_features(features: Mapping[str, NDArray[Any]], how: str) -> dict[str, Tensor]:
    r"""Scale every modality, so that extractors with large values have no advantage.

    - ``l2_row``: :math:`x_i / \lVert x_i \rVert_2`;
    - ``zscore_col``: :math:`(x_{ij} - \mu_j) / \sigma_j` over the items that have the modality,
      0 in a constant column;
    - ``none``: as delivered.

    Args:
        features: Per modality ``[num_items, feature_dim]``; a row of zeros or of NaN is missing.
        how: One of :data:`benchmark.presets.FEATURE_SCALING`.

    Returns:
        Per modality a float32 tensor of the same shape; missing rows are zero.

    Raises:
        UsageError: If ``how`` is unknown.
    """
    if how not in FEATURE_SCALING:
        raise UsageError(
            f"feature scaling '{how}' is unknown; choose among {', '.join(FEATURE_SCALING)}"
        )
    return {name: _scale(matrix, how) for name, matrix in features.items()}


def _scale(matrix: NDArray[Any], how: str) -> Tensor:
    present = torch.from_numpy(~missing_rows(matrix))
    scaled = torch.from_numpy(np.array(matrix, dtype=np.float32))
    scaled[~present] = 0
    if how == "l2_row":
        # in float64, where the squares of no float32 value overflow or vanish
        norm = torch.linalg.vector_norm(scaled, dim=1, keepdim=True, dtype=torch.float64)
        scaled = scaled.div_(norm.masked_fill(norm == 0, 1))
    elif how == "zscore_col":
        # in float64 the mean of equal float32 values is exact, so a constant column gives 0
        rows = scaled[present].double()
        centred = rows - rows.mean(0)
        deviation = centred.square().mean(0).sqrt()
        scaled[present] = (centred / deviation.masked_fill(deviation == 0, 1)).float()
    return scaled
