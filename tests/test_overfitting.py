"""Every gradient model can learn small data by heart, and the same way every time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_data import likes

from baselines.bpr_mf import BPRMF
from baselines.cb2cf import CB2CF
from baselines.disengcn import DisenGCN
from baselines.duif import DUIF
from baselines.huign_plus import HUIGNPlus
from baselines.lightgcn import LightGCN
from baselines.macridvae import MacridVAE
from baselines.mmgcn import MMGCN, OfficialMMGCN
from baselines.ngcf import NGCF
from baselines.vbpr import VBPR
from baselines.vbpr_penalised import PenalisedVBPR
from models.huign import HUIGN
from models.huign_official import HUIGNOfficial
from models.interactions import Interactions
from models.recommender import Recommender
from models.training import TrainedRecommender

FACTORS = {"epochs": 150, "learning_rate": 0.05, "reg": 0.0}
LIGHTGCN = {"epochs": 200, "learning_rate": 0.05, "reg": 0.0}
NGCFS = {"epochs": 100, "learning_rate": 0.05, "reg": 0.0}
MMGCNS = {"epochs": 100, "learning_rate": 0.02, "reg": 0.0}
HUIGNS = {"epochs": 150, "learning_rate": 0.05, "reg": 1e-4, "levels": (8, 4), "min_co_users": 1}
CONTENT = {"epochs": 60, "learning_rate": 0.01, "reg": 1e-5, "batch_size": 32}
DISENGCN = {"epochs": 100, "learning_rate": 0.02, "reg": 1e-5, "batch_size": 100}
MACRIDVAE = {"epochs": 200, "learning_rate": 0.01, "reg": 1e-5, "batch_size": 20}

THREE = {"visual": 6, "textual": 4, "acoustic": 3}

CASES: dict[str, tuple[type[TrainedRecommender], dict[str, int], dict[str, Any]]] = {
    "bpr_mf": (BPRMF, {}, FACTORS),
    "vbpr": (VBPR, {"visual": 6}, FACTORS),
    "vbpr_penalised": (PenalisedVBPR, {"visual": 6}, {**FACTORS, "reg": 1e-4}),
    "lightgcn": (LightGCN, {}, LIGHTGCN),
    "ngcf": (NGCF, {}, NGCFS),
    "ngcf official": (NGCF, {}, {**NGCFS, "form": "official"}),
    "ngcf recbole": (NGCF, {}, {**NGCFS, "form": "recbole"}),
    "mmgcn": (MMGCN, THREE, MMGCNS),
    "mmgcn_official": (OfficialMMGCN, THREE, MMGCNS),
    "huign": (HUIGN, {"visual": 6}, HUIGNS),
    "huign_official": (HUIGNOfficial, {"visual": 4, "textual": 3}, HUIGNS),
    "huign_plus": (HUIGNPlus, {"visual": 6}, HUIGNS),
    "duif": (DUIF, {"visual": 64}, CONTENT),
    "cb2cf": (CB2CF, {"visual": 64}, CONTENT),
    "cb2cf joint": (CB2CF, {"visual": 64}, {**CONTENT, "mode": "joint"}),
    "disengcn": (DisenGCN, {}, DISENGCN),
    "disengcn official": (DisenGCN, {}, {**DISENGCN, "form": "official"}),
    "macridvae": (MacridVAE, {}, MACRIDVAE),
    "macridvae recbole": (MacridVAE, {}, {**MACRIDVAE, "form": "recbole"}),
}
"""Class, widths of the features, settings."""


def recall(model: Recommender, train: Interactions) -> float:
    """Share of a user's items among ten, not counting those that cannot be there."""
    users = torch.arange(train.num_users)
    liked = train.by_user()
    found = liked.contains(users[:, None], model.recommend(users, 10)).sum(1)
    return float((found / liked.counts(users).clamp(max=10)).mean())


@pytest.mark.parametrize("name", CASES)
def test_overfits_and_repeats_itself(name: str) -> None:
    cls, widths, options = CASES[name]
    train: Interactions = likes(**widths)
    model, again, other = (cls(**options, seed=seed).fit(train) for seed in (0, 0, 1))
    assert recall(model, train) > 0.9
    everybody = torch.arange(20)
    assert torch.equal(model.score(everybody), again.score(everybody))
    assert [row["loss"] for row in model.history] == [row["loss"] for row in again.history]
    assert not torch.equal(model.score(everybody), other.score(everybody))
