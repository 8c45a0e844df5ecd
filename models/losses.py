"""Loss terms shared by all models."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def bpr(pos_scores: Tensor, neg_scores: Tensor) -> Tensor:
    r"""Mean pairwise ranking loss of Bayesian Personalized Ranking (Rendle et al., UAI 2009).

    .. math:: \frac{1}{B} \sum_b \ln\left(1 + e^{s_n - s_p}\right)

    Written with softplus: :math:`\ln \sigma(x)` overflows to infinity, with a NaN gradient, at a
    margin of about -100 in single precision.

    Args:
        pos_scores: ``[batch_size]`` scores of observed items.
        neg_scores: ``[batch_size]`` scores of unobserved items.

    Returns:
        A scalar; ln 2 where all scores are equal.

    Note:
        The paper sums over all triples; the mean only rescales the other terms' weights.
    """
    return functional.softplus(neg_scores - pos_scores).mean()


def l2_batch(*rows: Tensor) -> Tensor:
    r"""Half the squared norm of the trainable rows that a batch touches, per triple.

    .. math:: \frac{1}{2B} \sum_b \sum_{rows} \lVert row_b \rVert^2

    Args:
        rows: Tensors ``[batch_size, ...]``, all with the same first dimension.

    Note:
        Only rows of the batch are shrunk. Under Adam, a penalty on whole tables would move rows
        without any data at full step size, whatever its weight.
    """
    total = rows[0].square().sum()
    for row in rows[1:]:
        total = total + row.square().sum()
    return total / (2 * len(rows[0]))
