"""Loss terms shared by all models."""

from __future__ import annotations

from typing import Any

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
    found: Tensor = torch.linalg.vecdot(user, pos - neg)
    return found


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


def contrast(user: Tensor, pos: Tensor, neg: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`margins` and :func:`l2_batch` of the same rows, with one pass for both gradients.

    Args:
        user: ``[batch_size, width]``.
        pos: ``[batch_size, width]``.
        neg: ``[batch_size, width]``.

    Returns:
        ``[batch_size]`` margins and a scalar. As fast as they get on a CPU: a step of matrix
        factorisation is little else.
    """
    both: tuple[Tensor, Tensor] = _Contrast.apply(user, pos, neg)  # type: ignore[no-untyped-call]
    return both


class _Contrast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, user: Tensor, pos: Tensor, neg: Tensor) -> tuple[Tensor, Tensor]:
        difference = pos - neg
        ctx.save_for_backward(user, pos, neg, difference)
        return torch.linalg.vecdot(user, difference), l2_batch(user, pos, neg)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        user, pos, neg, difference = ctx.saved_tensors
        of_margins, shrinkage = grads[0][:, None], grads[1] / len(user)
        push = user * of_margins
        return (
            torch.addcmul(user * shrinkage, difference, of_margins),
            torch.addcmul(push, pos, shrinkage),
            torch.addcmul(-push, neg, shrinkage),
        )
