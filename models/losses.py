"""Loss terms shared by all models."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def bpr(margins: Tensor) -> Tensor:
    r"""Mean pairwise ranking loss of Bayesian Personalized Ranking (Rendle et al., UAI 2009).

    .. math:: \frac{1}{B} \sum_b \ln\left(1 + e^{-m_b}\right)

    Written with softplus: :math:`\ln \sigma(m)` overflows to minus infinity, with a NaN gradient,
    at a margin of about -100 in single precision.

    Args:
        margins: ``[batch_size]``, scores of observed minus scores of unobserved items.

    Returns:
        A scalar; ln 2 where all margins are zero.

    Note:
        The paper sums over all triples; the mean only rescales the other terms' weights.
    """
    return functional.softplus(-margins).mean()


def margins(user: Tensor, pos: Tensor, neg: Tensor) -> Tensor:
    """Differences of inner products, ``user . pos - user . neg``: three ``[batch_size, width]``."""
    return torch.linalg.vecdot(user, pos - neg)


def l2_batch(*rows: Tensor) -> Tensor:
    r"""Half the squared norm of the trainable rows that a batch touches, per triple.

    .. math:: \frac{1}{2B} \sum_b \sum_{rows} \lVert row_b \rVert^2

    Args:
        rows: Tensors ``[batch_size, ...]``, all with the same first dimension.

    Note:
        Only rows of the batch are shrunk. Under Adam, a penalty on whole tables would move rows
        without any data at full step size, whatever its weight.
    """
    flat = [row.flatten() for row in rows]
    return torch.stack([torch.dot(row, row) for row in flat]).sum() / (2 * len(rows[0]))
