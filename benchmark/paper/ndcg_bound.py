"""The largest NDCG that published precision and recall leave room for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from models.errors import UsageError

Array = NDArray[np.float64]


def largest_ndcg(
    k: int, precision: Mapping[int, float], recall: Mapping[int, float], half_unit: float = 5e-5
) -> float:
    r"""An upper bound of the mean standard NDCG@k over users, given other means over them.

    Let :math:`x_r` be 1 if place :math:`r` of a user's list holds a positive, 0 if not, and
    :math:`T` the number of the user's positives. The user's precision, recall and NDCG are

    .. math::
        \frac{1}{c} \sum_{r \le c} x_r, \qquad
        \sum_{r \le c} \frac{x_r}{T}, \qquad
        \sum_{r \le k} \frac{x_r}{\log_2(r + 1)} \Big/
        \sum_{r=1}^{\min(k, T)} \frac{1}{\log_2(r + 1)}.

    All are linear in :math:`x` once :math:`T` is known, so the means depend on nothing but the
    share :math:`w_T` of users with :math:`T` positives and the hit mass :math:`m_{T,r}`, the share
    of users with :math:`T` positives and a hit at place :math:`r`. Every evaluation has

    .. math::
        \sum_T w_T = 1, \qquad 0 \le m_{T,r} \le w_T, \qquad \sum_r m_{T,r} \le T w_T,

    and means that, rounded, are the published ones. The NDCG it reports is hence at most the
    largest one under these linear constraints. The bound is also reached, up to the finite number
    of users: the corners of :math:`0 \le x \le 1, \sum_r x_r \le T` are lists of hits and misses,
    so masses that satisfy the constraints are a mixture of lists.

    :math:`T` needs no limit. With :math:`K` the largest cut-off, only :math:`1 / T` tells one
    :math:`T \ge K` from another, and it lies between :math:`1 / K` and 0: the user counts as a
    mixture of one with :math:`K` positives and one with infinitely many. Users without positives,
    if an evaluation averages them in as zeros, count as users without hits.

    Args:
        k: Cut-off of the NDCG.
        precision: Published means by cut-off.
        recall: Published means by cut-off.
        half_unit: How far the published means may be from the exact ones.

    Returns:
        The bound, exact up to the solver's tolerance of some 1e-7.

    Raises:
        UsageError: If no evaluation whatever has these precisions and recalls.
    """
    last = max(k, *precision, *recall)
    positives = np.array([*range(1, last + 1), np.inf])
    ranks = np.arange(1, last + 1)
    shape = (len(positives), last)
    discounts = 1 / np.log2(ranks + 1)
    ideals = np.cumsum(discounts)[np.minimum(positives, k).astype(int) - 1]

    def total(of_hit: Array) -> Array:
        """Coefficients of the sum of ``of_hit`` over all hits; the shares of users have none."""
        return np.append(np.broadcast_to(of_hit, shape).ravel(), np.zeros(len(positives)))

    published = [(total((ranks <= c) / c), mean) for c, mean in precision.items()]
    published += [(total((ranks <= c) / positives[:, None]), mean) for c, mean in recall.items()]
    upper = [row for row, _ in published] + [-row for row, _ in published]
    limits = [mean + half_unit for _, mean in published]
    limits += [half_unit - mean for _, mean in published]
    users = np.eye(len(positives))
    # a hit at one place: m - w <= 0; all hits: sum of m - T w <= 0, idle from T = K on
    at_place = np.hstack([np.eye(len(positives) * last), -np.repeat(users, last, axis=0)])
    in_list = np.hstack([np.repeat(users, last, axis=1), -np.diag(np.minimum(positives, last))])
    upper += [*at_place, *in_list]
    limits += [0.0] * (len(at_place) + len(in_list))
    everyone = np.append(np.zeros(len(positives) * last), np.ones(len(positives)))
    found = linprog(
        -total((ranks <= k) * discounts / ideals[:, None]),
        A_ub=np.array(upper), b_ub=limits, A_eq=everyone[None], b_eq=[1.0],
    )  # fmt: skip
    if found.fun is None:
        raise UsageError(
            f"no evaluation has precision {dict(precision)} and recall {dict(recall)} within "
            f"{half_unit}: check the numbers ({found.message})"
        )
    return float(-found.fun)
