"""What the parts of HUIGN's scores are worth, ids and intents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import deepcopy

import torch
from torch import Tensor, nn

from benchmark.stored_models import Row, legible
from models.errors import UsageError
from models.huign import HUIGN
from models.interactions import Interactions
from models.recommender import Validate
from models.registry import create


def check_intents(row: Row) -> None:
    """Refuse a run that there is nothing to take apart in.

    Raises:
        UsageError: If it is not of a HUIGN, or of one without intents.
        StoreError: If its row cannot be read.
    """
    with legible(row):
        model = create(row["model"], **json.loads(row["params"]))
    if not isinstance(model, HUIGN) or model.modalities == []:
        raise UsageError(
            f"run '{row['run_id']}' is of '{row['variant']}', which has no intents: take one of "
            "HUIGN, such as those that statistics.csv, table3.csv or figure3.csv name"
        )


@torch.no_grad()
def dissected(model: HUIGN, train: Interactions, validate: Validate) -> dict[str, float]:
    """Take a trained model's scores apart, ``s(u, i) = U_u . V_i + P_u . H_i``.

    Args:
        model: With intents.
        train: What it was trained on.
        validate: Judges a model.

    Returns:
        By name. Four scores of ``validate``: of ``all``, the model as it is; of its ``ids`` alone,
        P = 0; of its ``intents`` alone, U = 0; and with ``mean_intents``, each P_u replaced by the
        mean over the users, so that intents are an offset of each item. Then ``spread``, the
        standard deviation over the items of what intents add, by that of what ids do, each a mean
        over the users; ``popularity``, Pearson's correlation over the items of that offset with
        log(1 + number of training interactions), NaN if it is constant; and ``cosine``, the mean
        over all pairs of items that have neighbours, and then over the modalities, of the cosine
        between what their intents are made from (Z of Eq. 4).
    """
    user, item = (representation.double() for representation in model())
    width = model.embedding_dim
    offset = item[:, width:] @ user[:, width:].mean(0)
    counts = torch.bincount(train.items, minlength=train.num_items).double()
    ids = deviations(user[:, :width], item[:, :width]).mean()
    intents = deviations(user[:, width:], item[:, width:]).mean()
    return {
        "all": validate(model),
        "ids": validate(changed(model, model.preferences, torch.zeros_like)),
        "intents": validate(changed(model, [model.user_embedding], torch.zeros_like)),
        "mean_intents": validate(changed(model, model.preferences, mean_row)),
        "spread": float(intents / ids),
        "popularity": float(torch.corrcoef(torch.stack([offset, counts.log1p()]))[0, 1]),
        "cosine": float(torch.stack([mean_cosine(z) for z in model.aggregated]).mean()),
    }


def changed(
    model: HUIGN, parameters: Iterable[nn.Parameter], change: Callable[[Tensor], Tensor]
) -> HUIGN:
    """A copy of a model in which some of its parameters are others."""
    others = {id(each): nn.Parameter(change(each)) for each in parameters}
    return deepcopy(model, others).eval()


def mean_row(table: Tensor) -> Tensor:
    """The mean of all rows in the place of each."""
    return table.mean(0).expand_as(table).clone()


def deviations(user: Tensor, item: Tensor) -> Tensor:
    """Each user's standard deviation of inner products with all items, ``[num_users]``."""
    variances: Tensor = torch.linalg.vecdot(user @ item.T.cov(correction=0), user)
    return variances.clamp(min=0).sqrt()  # below zero by rounding alone


def mean_cosine(vectors: Tensor) -> Tensor:
    """Between any two of the rows that are not zero; NaN if there are fewer than two."""
    lengths = torch.linalg.vector_norm(vectors.double(), dim=1, keepdim=True)
    units = (vectors / lengths)[lengths[:, 0] > 0]
    number = len(units)
    total: Tensor = units.sum(0).square().sum()  # of all cosines, those with themselves included
    return (total - number) / (number * (number - 1))
