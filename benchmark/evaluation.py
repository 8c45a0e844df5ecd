"""Exact evaluation: every user's full ranking of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from benchmark.metrics import all_metrics
from models.errors import UsageError
from models.interactions import Interactions, UserItems
from models.ranking import top_k
from models.recommender import Recommender, Validate

MIN_ROWS = 64
"""Fewest users a model is asked to score at a time.

A matrix product with few rows (fewer than 8 to 16 on x86-64 with MKL) takes another kernel, which
changes the last bits of the scores: a user in a short last batch could get another order of
near-ties than in a full one. A batch with fewer users is filled up with its last one.
"""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        users: ``[num_evaluated]``, the users with at least one held-out positive, ascending.
        hits: ``[num_evaluated, max(ks)]`` bool, whether each place of the list is a positive.
        num_positives: ``[num_evaluated]``, how many of these the user has.
        ks: Cut-offs of the metrics.
    """

    users: Tensor
    hits: Tensor
    num_positives: Tensor
    ks: Sequence[int]

    @cached_property
    def per_user(self) -> dict[str, Tensor]:
        """Values of the users by name of metric, each ``[num_evaluated]`` float64.

        They are computed on the processor, wherever the lists were made: the same lists have the
        same metrics whatever the device, and on a GPU torch has no deterministic running sum.
        """
        return all_metrics(self.hits.cpu(), self.num_positives.cpu(), self.ks)

    @property
    def means(self) -> dict[str, float]:
        """Every metric's mean over the evaluated users."""
        return {name: float(values.mean()) for name, values in self.per_user.items()}


@dataclass(frozen=True)
class Ranking(Evaluation):
    """An evaluation that still knows what was listed.

    Args:
        items: ``[num_evaluated, max(ks)]``, the listed items, best first; ``-1`` for a place that
            no candidate is left for.
    """

    items: Tensor


class Evaluator:
    """Ranks all candidates for every user with a held-out positive, without sampling them.

    Seen items are scored ``mask``: at ``-inf`` they are never listed. Ties go by ascending item
    id. The outcome does not depend on ``batch_size``.

    Args:
        held_out: The positives to find.
        seen: What the user is known to have interacted with: the training interactions when
            validating, the union of training and validation when testing.
        ks: Cut-offs of the metrics (default: 1, 5, 10 and 20).
        batch_size: Users ranked at a time (default: ``256``).
        mask: Score of seen items (default: ``-inf``); at any other a list may hold some of them,
            as misses.
        candidates: Ids of the items that may be listed (default: all items).

    Raises:
        ValueError: If ``held_out`` and ``seen`` share a pair.
        UsageError: If ``held_out`` is empty or a cut-off is not in 1..number of candidates.
    """

    def __init__(
        self,
        held_out: Interactions,
        seen: Interactions,
        ks: Sequence[int] = (1, 5, 10, 20),
        batch_size: int = 256,
        mask: float = -math.inf,
        candidates: Tensor | None = None,
    ) -> None:
        if not len(held_out):
            raise UsageError(
                "'held_out' has no interactions, so there is nothing to evaluate on: "
                "use more data or hold out a larger share"
            )
        most = held_out.num_items if candidates is None else len(candidates)
        if not ks or min(ks) < 1 or max(ks) > most:
            raise UsageError(
                f"'ks' needs cut-offs in 1..{most}, the number of items to choose from "
                f"(got {tuple(ks)}): leave out the others"
            )
        self._positives, known = held_out.by_user(), seen.by_user()
        shared = known.contains(held_out.users, held_out.items)
        if shared.any():
            raise ValueError(
                f"'held_out' and 'seen' share {int(shared.sum())} interactions, "
                f"so known items would be asked for"
            )
        self._users = torch.unique(held_out.users)  # ascending
        self._num_positives = self._positives.counts(self._users)
        # the same after every epoch of every trial: users, and places of seen items in their scores
        self._batches = [(users, _places(known, users)) for users in self._users.split(batch_size)]
        self.ks = tuple(ks)
        self.batch_size = batch_size
        self.mask = mask
        self._excluded: Tensor | None = None  # [num_items], what is no candidate
        if candidates is not None:
            everything = torch.arange(held_out.num_items, device=held_out.device)
            self._excluded = ~torch.isin(everything, candidates)

    def __call__(self, model: Recommender) -> Ranking:
        """Evaluate a fitted model."""
        items = torch.cat([self._lists(model, *batch) for batch in self._batches])
        # without the second condition an empty place, -1, would be the last item of user - 1
        hits = self._positives.contains(self._users[:, None], items) & (items >= 0)
        return Ranking(self._users, hits, self._num_positives, self.ks, items)

    @torch.no_grad()
    def _lists(self, model: Recommender, users: Tensor, seen: Tensor) -> Tensor:
        """What is listed for ``users``, best first, ``[batch_size, max(ks)]``."""
        filler = users[-1:].expand(max(0, MIN_ROWS - len(users)))
        scores = model.score(torch.cat([users, filler]))[: len(users)]
        # a copy, since a model may hand out scores that it keeps; row after row, as in 'seen'
        scores = scores.clone(memory_format=torch.contiguous_format)
        scores.view(-1).index_fill_(0, seen, self.mask)
        if self._excluded is not None:
            scores.masked_fill_(self._excluded, -math.inf)
        return top_k(scores, max(self.ks))


def _places(known: UserItems, users: Tensor) -> Tensor:
    """Where the items of ``users`` are among their scores, row after row."""
    rows, items = known.positions(users)
    return rows * known.num_items + items


def validation_score(evaluator: Evaluator, metric: str = "recall@10") -> Validate:
    """The mean of one metric, as the ``validate`` callback of :meth:`Recommender.fit`."""
    return lambda model: evaluator(model).means[metric]
