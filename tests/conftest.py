"""Data and settings that several tests use."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from planted import Bench, small_bench
from small_data import POS_ITEMS, USERS, likes
from torch import Tensor

from models.interactions import Interactions

# the same examples in every run, however slow the machine
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
torch.set_num_threads(1)  # threads of a busy machine wait for each other
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a job in the background of a shell ignores Ctrl-C, and so would the commands that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def denormals() -> None:
    """What a command settled for its process, in an earlier test, is no setting of this one."""
    torch.set_flush_denormal(False)


@pytest.fixture
def checkerboard() -> Interactions:
    """Training data with one right answer: the best new item of user ``u`` is item ``u``.

    Even users have all even items and odd users all odd items, but for the diagonal. The features
    of every modality tell even from odd items, up to a little noise.
    """
    size = 30
    ids = torch.arange(size)
    same_parity = (ids[:, None] + ids) % 2 == 0
    users, items = torch.nonzero(same_parity & (ids[:, None] != ids)).unbind(1)
    parity = torch.nn.functional.one_hot(ids % 2, 2).float()  # [size, 2]
    generator = torch.Generator().manual_seed(0)
    features = {
        modality: parity + 0.1 * torch.randn(parity.shape, generator=generator)
        for modality in ("visual", "acoustic", "textual")
    }
    return Interactions(users, items, size, size, features)


@pytest.fixture
def train() -> Interactions:
    """Four users and six items; user 2 and items 4 and 5 have no interaction."""
    users = torch.tensor([0, 0, 1, 1, 1, 3])
    items = torch.tensor([0, 1, 1, 2, 3, 1])
    return Interactions(users, items, num_users=4, num_items=6)


@pytest.fixture
def small() -> Interactions:
    """Four users, five items, two modalities; item 3 has no interaction and no feature."""
    generator = torch.Generator().manual_seed(0)
    features = {
        name: torch.randn(5, 3, generator=generator, dtype=torch.float64)
        for name in ("visual", "textual")
    }
    for matrix in features.values():
        matrix[3] = 0
    return Interactions(USERS[[0, 1, 2, 4]], POS_ITEMS[[0, 1, 2, 4]], 4, 5, features)


@pytest.fixture
def learnable() -> Interactions:
    """Random likes, and random features wide enough to tell items apart."""
    data: Interactions = likes(visual=64)
    return data


@pytest.fixture
def x() -> Tensor:
    """A binary matrix, 40 users by 15 items, in which the last of both have nothing."""
    generator = torch.Generator().manual_seed(0)
    matrix = (torch.rand(40, 15, generator=generator) < 0.3).double()
    matrix[-1], matrix[:, -1] = 0, 0
    return matrix


@pytest.fixture
def float64() -> Iterator[None]:
    """Double precision as the default for the length of a test."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def fill() -> Callable[[tuple[int, ...], int], Tensor]:
    """The inputs of golden numbers: ``fill(shape, b)`` has ``((7 k + b) mod 17) / 17 - 0.5``.

    ``k`` counts the entries row by row; the result is float64.
    """

    def values(shape: tuple[int, ...], b: int) -> Tensor:
        k = torch.arange(math.prod(shape))
        return (((7 * k + b) % 17).double() / 17 - 0.5).reshape(shape)

    return values


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A toy data set and the command on it, without figures."""
    return small_bench(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """What ``CALL`` of the test's file comes to if nothing happens to it; to be read only."""
    with pytest.MonkeyPatch.context() as patch:
        bench = small_bench(tmp_path_factory.mktemp("whole"), patch)
        assert bench.run(*request.module.CALL) == 0
    return bench
