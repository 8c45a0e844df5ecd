from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_contract import CHECKS, Case, check_tensors_are_made_on_the_device_of_the_data
from torch import Tensor
from torch.nn import functional

from baselines.bpr_mf import BPRMF
from baselines.ease import EASE
from baselines.popularity import Popularity
from baselines.recbole_models import CLOSED_FORM, UNSUPPORTED, networks, recbole_model
from baselines.recbole_stand_ins import DataSet
from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender

pytest.importorskip("recbole")

# fmt: off
SUPPORTED = [
    "ADMMSLIM", "AsymKNN", "BPR", "CDAE", "ConvNCF", "DGCF", "DMF", "DiffRec", "EASE", "ENMF",
    "FISM", "GCMC", "ItemKNN", "LDiffRec", "LINE", "LightGCN", "MacridVAE", "MultiDAE", "MultiVAE",
    "NAIS", "NCEPLRec", "NGCF", "NNCF", "NeuMF", "SGL", "SLIMElastic", "SimpleX", "SpectralCF",
]
# fmt: on
NUM_USERS, NUM_ITEMS = 30, 20


@pytest.fixture(scope="module")
def train() -> Interactions:
    """Random interactions, none of the last user and none of the last item."""
    x = torch.rand(NUM_USERS, NUM_ITEMS, generator=torch.Generator().manual_seed(0)) < 0.2
    x[-1], x[:, -1] = False, False
    users, items = torch.nonzero(x).unbind(1)
    return Interactions(users, items, NUM_USERS, NUM_ITEMS)


def make(name: str, **hyper_parameters: Any) -> Any:
    return recbole_model(name)(**hyper_parameters)


def dense(train: Interactions) -> Tensor:
    x = torch.zeros(train.num_users, train.num_items)
    x[train.users, train.items] = 1
    return x


def hits(model: Recommender, train: Interactions) -> float:
    """Share of users whose best new item is the right one on the checkerboard."""
    users = torch.arange(train.num_users)
    return float((model.recommend(users, 1, exclude=train)[:, 0] == users).float().mean())


def test_every_model_of_recbole_is_accounted_for() -> None:
    assert networks().keys() == set(SUPPORTED) | UNSUPPORTED.keys()


@pytest.mark.parametrize("name", SUPPORTED)
def test_trains_and_scores(name: str, train: Interactions) -> None:
    options = {} if name in CLOSED_FORM else {"epochs": 1, "batch_size": 64}
    users = torch.arange(NUM_USERS)
    model = make(name, **options).fit(train)
    scores = model.score(users)
    assert scores.shape == (NUM_USERS, NUM_ITEMS)
    assert torch.isfinite(scores).all()
    torch.testing.assert_close(model.score(users[7:9]), scores[7:9], rtol=1e-3, atol=1e-4)
    again = type(model)(**model.params()).fit(train)
    torch.testing.assert_close(again.score(users), scores, rtol=1e-3, atol=1e-4)


# where RecBole makes its tensors is its own affair
OF_THE_ADAPTER = [c for c in CHECKS if c is not check_tensors_are_made_on_the_device_of_the_data]


@pytest.mark.parametrize("check", OF_THE_ADAPTER, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["BPR", "MultiVAE", "EASE"])  # one of every kind
def test_contract(
    name: str, check: Callable[[Case, Interactions], None], checkerboard: Interactions
) -> None:
    check(Case(name, recbole_model(name)), checkerboard)


def test_bpr_is_our_bpr_mf(train: Interactions) -> None:
    ours = BPRMF(embedding_dim=8, reg=0.0)
    ours.build(train)
    theirs = make("BPR", embedding_size=8)
    theirs.build(train)
    theirs.network.user_embedding.weight.data[1:] = ours.user_embedding.data
    theirs.network.item_embedding.weight.data[1:] = ours.item_embedding.data
    triples = torch.randint(NUM_ITEMS, (3, 64), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(theirs.loss(*triples), ours.loss(*triples))
    users = torch.tensor([0, NUM_USERS - 1, 3])
    torch.testing.assert_close(theirs.score(users), ours.score(users))


def test_ease_is_our_ease_down_to_the_first_and_last_item(train: Interactions) -> None:
    users = torch.arange(NUM_USERS)
    ours, theirs = EASE(l2=5.0).fit(train), make("EASE", reg_weight=5.0).fit(train)
    torch.testing.assert_close(theirs.score(users), ours.score(users), rtol=1e-4, atol=1e-5)


def test_pointwise_models_see_positives_as_one_and_negatives_as_zero(train: Interactions) -> None:
    model = make("NeuMF")
    model.build(train)
    model.eval()  # no dropout
    users, pos, neg = torch.randint(NUM_ITEMS, (3, 8), generator=torch.Generator().manual_seed(0))
    pos_logits = model.network.forward(users + 1, pos + 1)
    neg_logits = model.network.forward(users + 1, neg + 1)
    expected = functional.softplus(-pos_logits).mean() + functional.softplus(neg_logits).mean()
    torch.testing.assert_close(model.loss(users, pos, neg), expected / 2)


def test_autoencoders_read_the_rows_of_the_batch(train: Interactions) -> None:
    model = make("MultiDAE", batch_size=8)
    model.build(train)
    batches = [users for (users,) in model.batches(train, torch.Generator().manual_seed(0))]
    assert max(map(len, batches)) == 8
    users = torch.cat(batches)
    assert sorted(users.tolist()) == torch.unique(train.users).tolist()
    rows = model.network.get_rating_matrix(users + 1)
    torch.testing.assert_close(rows[:, 1:], dense(train)[users])


def test_histories_are_cut_to_the_length_asked_for(train: Interactions) -> None:
    history, values, lengths = DataSet(train).history_item_matrix(max_history_len=2)
    assert history.shape == (NUM_USERS + 1, 2)
    assert torch.equal(lengths[1:], dense(train).sum(1).clamp(max=2).long())
    for user, items in enumerate(history[1:].tolist()):
        kept = [item - 1 for item in items if item]
        assert len(set(kept)) == lengths[user + 1]
        assert dense(train)[user, kept].all()
    assert torch.equal(values, (history > 0).float())


def test_ngcf_learns_what_popularity_cannot(checkerboard: Interactions) -> None:
    model = make("NGCF", learning_rate=0.01, epochs=60, patience=10, batch_size=128)
    model.fit(checkerboard, lambda current: hits(current, checkerboard))
    assert hits(model, checkerboard) > 0.9
    assert hits(Popularity().fit(checkerboard), checkerboard) < 0.2


@pytest.mark.parametrize("name", ["LightGCN", "DMF"])  # both keep results between calls
def test_ranks_by_the_best_weights(name: str, train: Interactions) -> None:
    users = torch.arange(NUM_USERS)
    seen = []

    def worse_every_epoch(model: Recommender) -> float:
        seen.append(model.score(users))
        return -float(len(seen))

    model = make(name, learning_rate=0.05, epochs=9, patience=2)
    model.fit(train, worse_every_epoch)
    assert len(seen) == 3
    assert not torch.allclose(seen[2], seen[0])
    torch.testing.assert_close(model.score(users), seen[0])


def test_draws_from_global_generators_are_seeded_and_leave_no_trace(train: Interactions) -> None:
    users = torch.arange(NUM_USERS)
    scores = []
    for outside in (1, 2):
        random.seed(outside)
        np.random.seed(outside)
        torch.manual_seed(outside)
        before = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
        # LINE shuffles with NumPy and flips coins with the standard library
        scores.append(make("LINE", learning_rate=0.05, epochs=3).fit(train).score(users))
        assert random.getstate() == before[0]
        assert str(np.random.get_state()) == before[1]
        assert torch.equal(torch.get_rng_state(), before[2])
    assert torch.equal(scores[0], scores[1])


def test_hyper_parameters_are_recboles() -> None:
    ngcf = recbole_model("NGCF")
    assert ngcf.defaults()["reg_weight"] == 1e-5
    assert ngcf.defaults()["hidden_size_list"] == [64, 64, 64]
    assert "reg" not in ngcf.defaults()
    assert ngcf.search_space.keys() == {"learning_rate", "reg_weight"}
    chosen = {"message_dropout": 0.3, "seed": 4}
    assert make("NGCF", **chosen).params() == {**ngcf.defaults(), **chosen}


@pytest.mark.parametrize("name", ["NGCF", "EASE"])
def test_an_unknown_hyper_parameter_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"RecBole's {name} .*'l2': choose from .*reg_weight"):
        make(name, l2=1.0)


@pytest.mark.parametrize(("name", "suggested"), [("ngcf", "NGCF"), ("LightGNC", "LightGCN")])
def test_an_unknown_model_is_refused_with_close_names(name: str, suggested: str) -> None:
    with pytest.raises(UsageError, match=rf"no general model '{name}'.*\b{suggested}\b"):
        recbole_model(name)


def test_an_unsupported_model_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"Pop is not supported.*once per batch"):
        recbole_model("Pop")


def test_without_recbole_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "recbole.model", None)
    networks.cache_clear()
    with pytest.raises(UsageError, match=r"pip install recbole.*3\.12 .*ray"):
        recbole_model("NoSuchModel")
