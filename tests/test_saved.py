"""What is saved scores as before; what is damaged, foreign or outdated is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from test_contract import Case, all_scores

from benchmark.saved import DESCRIPTION, WEIGHTS, is_saved, load, save
from models import registry
from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender
from models.registry import create, discover, model_class, register, registered
from models.training import TrainedRecommender

DATA = {"data_fingerprint": "0123456789abcdef", "split_seed": "0"}
EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(autouse=True)
def registered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recommenders that a test registers are forgotten after it."""
    monkeypatch.setattr(registry, "_REGISTRY", registered())
    monkeypatch.setattr(registry, "_LABELS", dict(registry._LABELS))


def rounds(folder: Path, name: str, data: Interactions, **params: Any) -> None:
    """Train, save, load, and compare."""
    model = Case(name, model_class(name)).make_short(**params).fit(data)
    expected, before = all_scores(model, data), torch.get_rng_state()
    save(folder, name, model, data, DATA)
    again = load(folder, data, DATA)
    assert torch.equal(all_scores(again, data), expected)
    assert torch.equal(all_scores(model, data), expected)  # and saving leaves the model as it is
    assert json.dumps(again.params()) == json.dumps(model.params())  # tuples come back as lists
    assert type(again) is type(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, WEIGHTS]
    files = (folder / WEIGHTS).read_bytes(), (folder / DESCRIPTION).read_bytes()
    save(folder, name, again, data, DATA)
    assert ((folder / WEIGHTS).read_bytes(), (folder / DESCRIPTION).read_bytes()) == files


@pytest.mark.parametrize("name", sorted(registered()))
def test_every_model_comes_back(name: str, tmp_path: Path, checkerboard: Interactions) -> None:
    rounds(tmp_path, name, checkerboard)


@pytest.mark.parametrize(
    "name", ["BPR", "NeuMF", "LightGCN", "DMF", "SGL", "MultiVAE", "LDiffRec", "EASE", "ItemKNN"]
)
def test_models_of_recbole_come_back(name: str, tmp_path: Path, checkerboard: Interactions) -> None:
    pytest.importorskip("recbole")
    rounds(tmp_path, f"recbole:{name}", checkerboard)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("huign", {"levels": (4, 2), "isolated": "drop", "modalities": ["visual"]}),
        ("huign", {"modalities": ()}),
        ("cb2cf", {"scoring": "mean"}),
        ("duif", {"hidden": (8, 4)}),
        ("macridvae", {"form": "recbole"}),
    ],
)
def test_variants_come_back(
    name: str, params: dict[str, Any], tmp_path: Path, checkerboard: Interactions
) -> None:
    rounds(tmp_path, name, checkerboard, **params)


def test_a_recommender_of_ones_own_comes_back(tmp_path: Path, checkerboard: Interactions) -> None:
    discover(EXAMPLES)
    rounds(tmp_path, "my_recommender", checkerboard)


def test_it_is_what_training_left_that_comes_back(
    tmp_path: Path, checkerboard: Interactions
) -> None:
    """Not what a second training with the same seed would give."""
    model = create("bpr_mf", epochs=1).fit(checkerboard)
    assert isinstance(model, TrainedRecommender)
    with torch.no_grad():
        next(model.parameters()).fill_(0.25)
    model.eval()
    save(tmp_path, "bpr_mf", model, checkerboard, DATA)
    again = load(tmp_path, checkerboard, DATA)
    assert isinstance(again, TrainedRecommender)
    assert bool((next(again.parameters()) == 0.25).all())
    assert not again.training
    assert again.epochs == 1


def test_validation_takes_part_where_it_did(tmp_path: Path, checkerboard: Interactions) -> None:
    @register("chooser")
    class Chooser(Recommender):
        def fit(self, train: Interactions, validate: Any = None) -> Chooser:
            self.size, self.best = train.num_items, 0.0
            self.best = validate(self)
            return self

        def score(self, users: torch.Tensor) -> torch.Tensor:
            return torch.full((len(users), self.size), self.best)

    def validate(model: Recommender) -> float:
        return 0.5

    model = Chooser().fit(checkerboard, validate)
    save(tmp_path, "chooser", model, checkerboard, DATA, validate)
    again = load(tmp_path, checkerboard, DATA, validate)
    assert torch.equal(all_scores(again, checkerboard), all_scores(model, checkerboard))


def test_a_model_that_hides_what_it_learns_is_not_saved(
    tmp_path: Path, checkerboard: Interactions
) -> None:
    @register("hider")
    class Hider(model_class("bpr_mf")):  # type: ignore[misc]
        def fit(self, train: Interactions, validate: Any = None) -> Hider:
            super().fit(train, validate)
            self.secret = len(self.history)  # is 0 without an epoch
            return self

        def score(self, users: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = super().score(users) + self.secret
            return scores

    model = Hider(epochs=2).fit(checkerboard)
    with pytest.raises(UsageError, match=r"'hider' cannot be saved: .*register what it learns"):
        save(tmp_path, "hider", model, checkerboard, DATA)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def folder(tmp_path: Path, checkerboard: Interactions) -> Path:
    """A saved BPR-MF."""
    model = create("bpr_mf", epochs=1, embedding_dim=4).fit(checkerboard)
    save(tmp_path / "saved", "bpr_mf", model, checkerboard, DATA)
    return tmp_path / "saved"


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.trace,)


def describe(folder: Path, **changes: Any) -> None:
    """Change the description, as somebody who knows how would."""
    found = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps({**found, **changes}))


def put(folder: Path, content: bytes) -> None:
    """Other weights, with a description that fits them."""
    (folder / WEIGHTS).write_bytes(content)
    describe(folder, weights=hashlib.sha256(content).hexdigest())


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((folder / WEIGHTS).read_bytes())


def without(folder: Path, key: str) -> bytes:
    found = tensors(folder)
    del found[key]
    return safetensors.torch.save(found)


def doubled(folder: Path) -> bytes:
    found = tensors(folder)
    return safetensors.torch.save(
        {key: 2 * value if key.startswith("state.") else value for key, value in found.items()}
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-1]), f"{WEIGHTS}: is da"),
        (lambda f: (f / WEIGHTS).write_bytes(b""), f"{WEIGHTS}: is damaged"),
        (lambda f: (f / WEIGHTS).unlink(), f"{WEIGHTS}: cannot be read"),
        (lambda f: (f / DESCRIPTION).unlink(), f"{DESCRIPTION}: cannot be read"),
        (lambda f: (f / DESCRIPTION).write_text('{"format": 1, '), f"{DESCRIPTION}: describes no"),
        (lambda f: (f / DESCRIPTION).write_text("[" * 100_000), f"{DESCRIPTION}: describes no"),
        (lambda f: (f / DESCRIPTION).write_text("[]"), f"{DESCRIPTION}: describes no saved model"),
        (lambda f: (f / DESCRIPTION).write_bytes(b"\xff\x00"), f"{DESCRIPTION}: is not UTF-8"),
        (lambda f: describe(f, format=2), "its format is 2, not 1"),
        (lambda f: describe(f, params=3), "describes no saved model"),
        (lambda f: describe(f, code="0" * 12), "the code of 'bpr_mf' is .* and was 000000000000"),
        (lambda f: describe(f, model="nobody"), "unknown model 'nobody'"),
        (lambda f: describe(f, model="os:system"), "unknown model 'os:system'"),
        (lambda f: describe(f, params={"sizes": 3}), "no hyper-parameter 'sizes'"),
        (lambda f: describe(f, params={"embedding_dim": 10**15}), "cannot be loaded"),
        (lambda f: describe(f, params={"embedding_dim": 8}), "cannot be loaded"),
        (lambda f: put(f, b"not tensors"), "cannot be loaded"),
        (lambda f: put(f, without(f, "reference.scores")), "cannot be loaded"),
        (lambda f: put(f, without(f, "state.user_embedding")), "cannot be loaded"),
        (lambda f: put(f, doubled(f)), "no longer gives the scores"),
    ],
)
def test_damaged_and_forged_files_are_refused(
    damage: Callable[[Path], None], words: str, folder: Path, checkerboard: Interactions
) -> None:
    damage(folder)
    with pytest.raises(UsageError, match=words) as caught:
        load(folder, checkerboard, DATA)
    assert str(folder) in str(caught.value)
    assert (
        "delete" in str(caught.value)
        or "check the path" in str(caught.value)
        or ("save it in UTF-8" in str(caught.value))
    )


def test_a_pickle_is_never_executed(
    folder: Path, tmp_path: Path, checkerboard: Interactions
) -> None:
    trace = tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace))
    torch.save(Bomb(trace), tmp_path / "bomb.pt")
    pickle.loads(bomb)
    assert trace.exists()  # it does go off
    trace.unlink()
    for content in (bomb, (tmp_path / "bomb.pt").read_bytes()):
        put(folder, content)
        with pytest.raises(UsageError, match="cannot be loaded"):
            load(folder, checkerboard, DATA)
    (folder / DESCRIPTION).write_bytes(bomb)
    with pytest.raises(UsageError, match=DESCRIPTION):
        load(folder, checkerboard, DATA)
    assert not trace.exists()


def test_other_data_are_refused(folder: Path, checkerboard: Interactions) -> None:
    with pytest.raises(UsageError, match=r"'split_seed' is '0'; here it is '1': load it with"):
        load(folder, checkerboard, {**DATA, "split_seed": "1"})
    fewer = replace(checkerboard, num_items=31, features={})
    with pytest.raises(UsageError, match="cannot be loaded"):
        load(folder, fewer, DATA)


def test_a_graph_of_other_interactions_is_noticed(
    tmp_path: Path, checkerboard: Interactions
) -> None:
    """Even if they claim to be the same data: the scores of a graph model tell."""
    model = create("lightgcn", epochs=1).fit(checkerboard)
    save(tmp_path, "lightgcn", model, checkerboard, DATA)
    half = replace(checkerboard, users=checkerboard.users[::2], items=checkerboard.items[::2])
    with pytest.raises(UsageError, match="no longer gives the scores"):
        load(tmp_path, half, DATA)


def test_half_a_copy_is_none(folder: Path) -> None:
    assert is_saved(folder)
    (folder / DESCRIPTION).unlink()
    assert not is_saved(folder)
