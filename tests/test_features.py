from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.features import scale_features, select_modalities
from benchmark.presets import FEATURE_SCALING
from models.errors import UsageError

NAN = np.nan
RAW = np.array([[3, 4], [0, 0], [NAN, NAN], [6, 8]])


def scale(matrix: object, how: str) -> torch.Tensor:
    return scale_features({"image": np.asarray(matrix)}, how)["image"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("none", [[3, 4], [0, 0], [0, 0], [6, 8]]),
        ("l2_row", [[0.6, 0.8], [0, 0], [0, 0], [0.6, 0.8]]),
        ("zscore_col", [[-1, -1], [0, 0], [0, 0], [1, 1]]),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_scaling_by_hand(how: str, expected: list[list[float]], dtype: str) -> None:
    torch.testing.assert_close(scale(RAW.astype(dtype), how), torch.tensor(expected).float())


@pytest.mark.parametrize("how", FEATURE_SCALING)
def test_the_raw_features_stay(how: str) -> None:
    raw = RAW.astype(np.float32)
    raw.flags.writeable = False
    scale(raw, how)
    np.testing.assert_array_equal(raw, RAW)


@pytest.mark.parametrize("value", [0.1, 1e6, 1e-30])
def test_a_constant_column_becomes_zero(value: float) -> None:
    matrix = np.full((1000, 2), value, dtype=np.float32)
    matrix[:, 1] = np.arange(1000)
    scaled = scale(matrix, "zscore_col")
    assert not scaled[:, 0].any()
    assert scaled[:, 1].std(correction=0).item() == pytest.approx(1)


@pytest.mark.parametrize("value", [1e30, 1e-30])
def test_no_square_overflows_or_vanishes(value: float) -> None:
    unit = scale(np.full((2, 4), value, dtype=np.float32), "l2_row")
    torch.testing.assert_close(unit, torch.full((2, 4), 0.5))


@pytest.mark.parametrize("how", FEATURE_SCALING)
def test_a_modality_that_every_item_lacks(how: str) -> None:
    assert not scale(np.zeros((3, 2)), how).any()


def test_unknown_scaling() -> None:
    with pytest.raises(UsageError, match=r"'minmax' is unknown; choose among l2_row, none, zsc"):
        scale(RAW, "minmax")


def test_select_modalities() -> None:
    features = {"image": RAW, "text": RAW, "audio": RAW}
    assert list(select_modalities(features, ["text", "image"])) == ["text", "image"]
    assert select_modalities(features, []) == {}
    with pytest.raises(UsageError, match=r"'video' is not in the data; .* audio, image, text"):
        select_modalities(features, ["image", "video"])
    with pytest.raises(UsageError, match=r"the data has no features"):
        select_modalities({}, ["image"])
