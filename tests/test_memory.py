from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from benchmark.ledger import Ledger
from benchmark.memory import LIBRARIES, PER_INTERACTION, SLACK, Sizes, estimate, one_step
from benchmark.speed.catalogue import Size
from benchmark.speed.sizes import make
from models import registry
from models.interactions import Interactions
from models.item_graph import CHUNK_ENTRIES
from models.registry import create, discover, model_class, register, registered
from models.training import PairwiseRecommender, TrainedRecommender

ROOT = Path(__file__).parents[1]
for folder in ("models", "baselines"):
    discover(ROOT / folder)

WIDTHS = {"image": 300, "text": 40}


def sizes(users: int, items: int, interactions: int, pairs: int = 0) -> Sizes:
    return Sizes(users, items, interactions, pairs, WIDTHS)


@pytest.fixture(scope="module")
def train() -> Interactions:
    """Ten times larger than the toy data, and with a long tail."""
    return make(Size("real", 600, 500, 12_000, WIDTHS), None)[0].train


@pytest.mark.parametrize("name", sorted(registered()))
def test_the_estimate_is_that_of_the_real_step(name: str, train: Interactions) -> None:
    """What a model really allocates, told by the same ledger without any scaling."""
    cls, params = model_class(name), {"batch_size": 200}
    if not issubclass(cls, TrainedRecommender):
        need = estimate(name, {}, Sizes.of(train, WIDTHS))
        assert need is not None
        assert 0 < need.least < need.likely
        return
    real = Sizes.of(train, WIDTHS)
    need = estimate(name, params, real)
    assert need is not None
    model = create(name, **params)
    assert isinstance(model, TrainedRecommender)
    measured = peak(one_step(model, train))
    table = real.users * real.items if isinstance(model, PairwiseRecommender) else 0
    assert 0.75 * measured < need.least - table < 1.3 * measured


def peak(ledger: Ledger) -> float:
    live = highest = 0
    for event in ledger.events:
        live += ledger.sizes[event] if event >= 0 else -ledger.sizes[~event]
        highest = max(highest, live)
    return highest


def test_bpr_mf_by_hand() -> None:
    """Two tables, four times for Adam, once for the best weights; a batch's rows; no features."""
    users, items = 2_000_000, 1_000_000
    need = estimate("bpr_mf", {"batch_size": 1024}, sizes(users, items, 10**7))
    assert need is not None
    tables = 4 * 64 * (users + items)
    scores = 256 * items * 4
    assert 5 * tables < need.least < 5.2 * tables + 6 * scores
    assert need.likely == SLACK * (need.least + PER_INTERACTION * 10**7) + LIBRARIES


@pytest.mark.parametrize(
    ("name", "smaller", "larger", "floor"),
    [
        # five times two tables, and one byte per pair in the table of the sampler
        ("bpr_mf", (9000, 8000, 10**5), (27_000, 14_000, 10**5),
         5 * 4 * 64 * 24_000 + (27 * 14 - 9 * 8) * 10**6),
        # an index and a value per edge, in both directions
        ("ngcf", (9000, 8000, 10**5), (9000, 8000, 10**7), 2 * 8 * 9_900_000),
        # squares of eight bytes: two at the very least
        ("ease", (9000, 4000, 10**5), (9000, 12_000, 10**5), 2 * 8 * (144 - 16) * 10**6),
    ],
    ids=["users and items", "edges", "items squared"],
)  # fmt: skip
def test_what_memory_grows_with(
    name: str,
    smaller: tuple[int, int, int],
    larger: tuple[int, int, int],
    floor: int,
) -> None:
    less, more = estimate(name, {}, sizes(*smaller)), estimate(name, {}, sizes(*larger))
    assert less is not None
    assert more is not None
    assert floor < more.least - less.least < 2 * floor


def test_batches_count() -> None:
    small, large = (
        estimate("bpr_mf", {"batch_size": size}, sizes(9000, 8000, 10**6))
        for size in (2**10, 2**18)
    )
    assert small is not None
    assert large is not None
    rows = 3 * 64 * 4 * (2**18 - 2**10)  # of a user and two items
    assert rows < large.least - small.least < 4 * rows


def test_users_in_parts_are_no_dense_batch() -> None:
    """MacridVAE goes through a batch in parts: seven scores per item for 32 users, not for 500."""
    items = 10**6
    need = estimate("macridvae", {"batch_size": 500}, sizes(10**6, items, 10**7))
    assert need is not None
    dense = 4 * 7 * 500 * items
    assert need.least < dense


def test_of_the_item_graph_only_a_part_is_likely_and_nothing_certain() -> None:
    few, many = (estimate("huign", {}, sizes(10**5, 10**5, 10**6, 10**pairs)) for pairs in (6, 10))
    assert few is not None
    assert many is not None
    assert few.least == many.least
    graph = 16 * 10**10 / 5 + 12 * CHUNK_ENTRIES
    assert many.likely == graph + LIBRARIES


def test_sizes_of_interactions() -> None:
    # users with 3, 1 and no items: 3 * 2 ordered pairs
    train = Interactions(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 2]), 3, 4)
    assert Sizes.of(train, {}) == Sizes(3, 4, 4, 6, {})


def test_strange_models_are_nobodys_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTRY", registered())

    @register("own_fit")
    class OwnFit(model_class("popularity")):  # type: ignore[misc]
        pass

    @register("broken")
    class Broken(model_class("bpr_mf")):  # type: ignore[misc]
        def build(self, train: Interactions) -> None:
            raise RuntimeError("no such luck")

    assert estimate("own_fit", {}, sizes(100, 100, 1000)) is None
    assert estimate("broken", {}, sizes(100, 100, 1000)) is None


def test_nothing_random_is_touched_and_little_time_goes_by() -> None:
    estimate("ngcf", {}, sizes(9000, 8000, 10**5))  # loads what training needs in any case
    before = torch.get_rng_state()
    started = time.process_time()
    for name in ("bpr_mf", "vbpr", "ngcf", "huign"):
        estimate(name, {}, sizes(10**6, 10**5, 10**8))
    assert time.process_time() - started < 2
    assert torch.equal(before, torch.get_rng_state())
