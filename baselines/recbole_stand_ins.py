"""What RecBole's models read in place of RecBole's configuration and data set."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.interactions import Interactions

USER, ITEM, NEGATIVE, LABEL = "user_id", "item_id", "neg_item_id", "label"


class Settings(dict[str, Any]):
    """What a RecBole model reads in place of its configuration; missing keys are ``None``."""

    def __missing__(self, key: str) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return self[name]


class DataSet:
    """What a RecBole model reads of its data set; ids start at 1, since 0 is RecBole's padding.

    Interactions have no values here: all are one, whatever ``value_field`` asks for.
    """

    uid_field, iid_field, dataset_path = USER, ITEM, ""

    def __init__(self, train: Interactions) -> None:
        self.user_num, self.item_num = train.num_users + 1, train.num_items + 1
        self.inter_num = len(train)
        self.inter_feat = interaction({USER: train.users.cpu() + 1, ITEM: train.items.cpu() + 1})

    def num(self, field: str) -> int:
        """Number of ids of a field, padding included."""
        return {USER: self.user_num, ITEM: self.item_num}[field]

    def inter_matrix(self, form: Literal["coo", "csr"], value_field: str | None = None) -> Any:
        """SciPy matrix ``[user_num, item_num]``."""
        ends = (self.inter_feat[USER].numpy(), self.inter_feat[ITEM].numpy())
        shape = (self.user_num, self.item_num)
        return sp.coo_matrix((np.ones(self.inter_num), ends), shape).asformat(form)

    def history_item_matrix(
        self, value_field: str | None = None, max_history_len: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Items of every user, see :meth:`_history`."""
        return self._history(USER, ITEM, max_history_len)

    def history_user_matrix(self, value_field: str | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Users of every item, see :meth:`_history`."""
        return self._history(ITEM, USER, None)

    def _history(
        self, row_field: str, field: str, limit: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Ids in random order filled up with 0, and their values, both ``[num, width]``; counts."""
        order = torch.randperm(self.inter_num)
        order = order[torch.argsort(self.inter_feat[row_field][order], stable=True)]
        counts = torch.bincount(self.inter_feat[row_field], minlength=self.num(row_field))
        ids = list(torch.split(self.inter_feat[field][order], counts.tolist()))
        history = pad_sequence(ids, batch_first=True)[:, :limit]  # [num, width]
        return history, (history > 0).float(), (history > 0).sum(1)


def interaction(fields: dict[str, Tensor]) -> Any:
    """A batch in RecBole's own container."""
    from recbole.data.interaction import Interaction

    return Interaction(fields)
