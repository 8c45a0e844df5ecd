"""Loss terms shared by all models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.parameters import lookup


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


def contrast(
    users: Tensor, items: Tensor, user_ids: Tensor, pos_ids: Tensor, neg_ids: Tensor
) -> tuple[Tensor, Tensor]:
    """:func:`margins` and :func:`l2_batch` of rows of two tables, with one pass for all gradients.

    Half a step of matrix factorisation is the gradient of these.

    Args:
        users: ``[num_users, width]``.
        items: ``[num_items, width]``.
        user_ids: ``[batch_size]``, which rows of ``users``.
        pos_ids: ``[batch_size]``, which rows of ``items`` count up.
        neg_ids: ``[batch_size]``, which rows of ``items`` count down.

    Returns:
        ``[batch_size]`` margins, and a scalar.
    """
    both: tuple[Tensor, Tensor] = _Contrast.apply(users, items, user_ids, pos_ids, neg_ids)  # type: ignore[no-untyped-call]
    return both


class _Contrast(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, users: Tensor, items: Tensor, user_ids: Tensor, pos_ids: Tensor, neg_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        user, pos, neg = lookup(users, user_ids), lookup(items, pos_ids), lookup(items, neg_ids)
        difference = pos - neg
        ctx.save_for_backward(user, pos, neg, difference, user_ids, pos_ids, neg_ids)
        ctx.shapes = users.shape, items.shape
        return torch.linalg.vecdot(user, difference), l2_batch(user, pos, neg)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        user, pos, neg, difference, user_ids, pos_ids, neg_ids = ctx.saved_tensors
        of_margins, shrinkage = grads[0][:, None], grads[1] / len(user)
        push = user * of_margins
        of_users, of_items = (user.new_zeros(shape) for shape in ctx.shapes)
        of_users.index_add_(0, user_ids, torch.addcmul(user * shrinkage, difference, of_margins))
        of_items.index_add_(0, pos_ids, torch.addcmul(push, pos, shrinkage))
        of_items.index_add_(0, neg_ids, torch.addcmul(-push, neg, shrinkage))
        return of_users, of_items, None, None, None
