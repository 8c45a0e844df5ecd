"""Likelihood of items under a mixture of softmaxes, without a tensor per user, item and part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.interactions import UserItems

CHUNK = 32
"""Users handled at once: few enough that all parts of their scores stay in the cache."""


def mixture_logits(states: Tensor, items: Tensor, log_weights: Tensor) -> Tensor:
    r"""Mix the parts' scores of every item: :math:`\log \sum_k c_{ik} \exp(z_{uk} \cdot h_i)`.

    Args:
        states: z, ``[num_parts, batch_size, width]``.
        items: h, ``[num_items, width]``.
        log_weights: The logarithm of c, ``[num_items, num_parts]``.

    Returns:
        ``[batch_size, num_items]``.
    """
    chunks = torch.split(states, CHUNK, dim=1)
    return torch.cat([_parts(chunk, items, log_weights).logsumexp(0) for chunk in chunks])


def negative_log_likelihood(
    states: Tensor, items: Tensor, log_weights: Tensor, observed: UserItems, users: Tensor
) -> Tensor:
    r"""Sum of :math:`-\log p(i | u)` over the observed items of some users.

    p is the softmax of :func:`mixture_logits` over all items. Loss and gradients come from one
    pass over small groups of users; what is kept for the backward pass is gradients only, of the
    size of the inputs.

    Args:
        states: ``[num_parts, batch_size, width]``.
        items: ``[num_items, width]``.
        log_weights: ``[num_items, num_parts]``.
        observed: The items of all users.
        users: ``[batch_size]``, whom ``states`` belong to.

    Returns:
        A scalar; users without items add 0.
    """
    result: Tensor = _NegativeLogLikelihood.apply(  # type: ignore[no-untyped-call]
        states, items, log_weights, observed, users
    )
    return result


def _parts(states: Tensor, items: Tensor, log_weights: Tensor) -> Tensor:
    scores = (states.flatten(0, 1) @ items.T).view(*states.shape[:2], len(items))
    return scores.add_(log_weights.T[:, None])  # [num_parts, batch_size, num_items]


class _NegativeLogLikelihood(torch.autograd.Function):
    r"""All gradients come from :math:`r_k \odot G`, with :math:`\ell` the mixture's logits.

    :math:`G = n_u \, \mathrm{softmax}(\ell) - x_u` is the gradient for them, and :math:`r_k`, the
    share of part k in :math:`e^\ell`, what they pass on to that part.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        items: Tensor,
        log_weights: Tensor,
        observed: UserItems,
        users: Tensor,
    ) -> Tensor:
        total = states.new_zeros(())
        for_states = torch.empty_like(states)
        for_items, for_weights = torch.zeros_like(items), torch.zeros_like(log_weights)
        for start in range(0, len(users), CHUNK):
            step = slice(start, start + CHUNK)
            z = states[:, step]
            parts = _parts(z, items, log_weights)
            largest = parts.amax(0)
            parts = parts.sub_(largest).exp_()
            mass = parts.sum(0)
            logits = largest + mass.log()  # [chunk, num_items]
            normaliser = logits.logsumexp(1, keepdim=True)
            count = observed.counts(users[step])[:, None]
            positives = observed.positions(users[step])
            total += (count * normaliser).sum() - logits[positives].sum()

            gradient = (logits - normaliser).exp_().mul_(count)  # G
            gradient[positives] -= 1
            parts *= gradient / mass  # r_k * G
            for_states[:, step] = parts @ items
            for_items += parts.flatten(0, 1).T @ z.flatten(0, 1)
            for_weights += parts.sum(1).T
        ctx.save_for_backward(for_states, for_items, for_weights)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        for_states, for_items, for_weights = ctx.saved_tensors
        grad = grads[0]
        return grad * for_states, grad * for_items, grad * for_weights, None, None
