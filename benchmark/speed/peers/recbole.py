"""RecBole: its models, loaders, sampler and evaluation, without its configuration and trainer."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmark.speed.steps import built
from benchmark.speed.timing import Form
from models.interactions import Interactions

USER, ITEM = "user_id", "item_id"


class Pairs:
    """What RecBole's loaders read of a data set; ids start at 1."""

    uid_field, iid_field, item_feat = USER, ITEM, None

    def __init__(self, pairs: Interactions) -> None:
        from recbole.data.interaction import Interaction

        self.user_num, self.item_num = pairs.num_users + 1, pairs.num_items + 1
        fields = {USER: pairs.users.cpu() + 1, ITEM: pairs.items.cpu() + 1}
        self.inter_feat = Interaction(fields)

    def __len__(self) -> int:
        return len(self.inter_feat)

    def __getitem__(self, index: Any) -> Any:
        return self.inter_feat[index]

    def join(self, pairs: Any) -> Any:
        """The pairs with the features of their users and items, of which there are none."""
        return pairs

    def sort(self, by: str, ascending: bool) -> None:
        """Order the pairs by a field."""
        self.inter_feat.sort(by=by, ascending=ascending)

    def copy_field_property(self, target: str, source: str) -> None:
        """Called for the column of negatives; fields have no properties here."""


def config(**options: Any) -> defaultdict[str, Any]:
    """A configuration with what loaders and evaluation ask for; ``None`` for all else."""
    from recbole.utils import InputType, ModelType

    known = {
        "USER_ID_FIELD": USER,
        "ITEM_ID_FIELD": ITEM,
        "NEG_PREFIX": "neg_",
        "MODEL_TYPE": ModelType.GENERAL,
        "MODEL_INPUT_TYPE": InputType.PAIRWISE,
        "train_neg_sample_args": {"distribution": "uniform", "sample_num": 1},
        "eval_args": {"mode": "full"},
        "metrics": ["Recall", "MRR", "NDCG", "Hit", "Precision"],  # RecBole's default
        "topk": [10],
        "metric_decimal_place": 4,
        "single_spec": True,
        "worker": 0,
        "seed": 0,
    }
    return defaultdict(lambda: None, {**known, **options})


def loader(train: Interactions, batch_size: int, by_user: bool) -> Any:
    """RecBole's loader of training batches, with one sampled negative unless they are users."""
    from recbole.data.dataloader.general_dataloader import TrainDataLoader
    from recbole.data.dataloader.user_dataloader import UserDataLoader
    from recbole.sampler import Sampler

    pairs = Pairs(train)
    if by_user:
        return UserDataLoader(config(train_batch_size=batch_size), pairs, None, shuffle=True)
    sampler = Sampler(["train"], [pairs], "uniform").set_phase("train")
    return TrainDataLoader(config(train_batch_size=batch_size), pairs, sampler, shuffle=True)


class Batches:
    """A loader's batches, a few at a time."""

    def __init__(self, batches: Any) -> None:
        self.loader = batches
        self.left: Iterator[Any] = iter(())

    def start(self) -> None:
        """Begin an epoch; its first batch shuffles for all."""
        drawn = iter(self.loader)
        self.left = chain([next(drawn)], drawn)

    def take(self, count: int) -> Iterator[Any]:
        """The next batches of the epoch."""
        return islice(self.left, count)


def sampling(train: Interactions, batch_size: int) -> Form:
    """An epoch of batches, without a model."""
    batches = Batches(loader(train, batch_size, by_user=False))

    def run(parts: int) -> None:
        for _ in batches.take(parts):
            pass

    return Form("RecBole", run, len(batches.loader), batches.start)


def epoch(
    name: str, train: Interactions, batch_size: int, by_user: bool = False, **options: Any
) -> Form:
    """An epoch of RecBole's model ``name``, the steps of ``recbole.trainer.Trainer``."""
    network = network_of(name, train, **options).train()
    batches = Batches(loader(train, batch_size, by_user))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def run(parts: int) -> None:
        total = 0.0
        for batch in batches.take(parts):
            optimizer.zero_grad()
            loss = network.calculate_loss(batch.to(train.device))
            total += loss.item()
            if torch.isnan(loss):
                raise ValueError("the loss is NaN")
            loss.backward()
            optimizer.step()

    return Form("RecBole", run, len(batches.loader), batches.start)


def network_of(name: str, train: Interactions, **options: Any) -> Any:
    """RecBole's model class ``name``, made by the adapter of this suite."""
    with quiet():
        return built(f"recbole:{name}", train, **options).network


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that today's NumPy and torch have for RecBole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def evaluation(
    network: Any, seen: Interactions, held_out: Interactions, batch_size: int, name: str
) -> Form:
    """Full ranking by RecBole's loader, collector and five default metrics.

    Args:
        network: A RecBole model.
        seen: Known interactions, not to be recommended.
        held_out: What is looked for.
        batch_size: RecBole's ``eval_batch_size``, in pairs of a user and an item.
        name: Of the form.
    """
    from recbole.data.dataloader.general_dataloader import FullSortEvalDataLoader
    from recbole.evaluator import Collector, Evaluator
    from recbole.sampler import Sampler

    device = str(seen.device)
    options = config(eval_batch_size=batch_size, device=device)
    known, wanted = Pairs(seen), Pairs(held_out)
    sampler = Sampler(["valid", "test"], [known, wanted], "uniform").set_phase("test")
    with quiet():
        batches = FullSortEvalDataLoader(options, wanted, sampler)
    collector, evaluator = Collector(options), Evaluator(options)
    network.eval()

    @torch.no_grad()
    def run(parts: int) -> dict[str, float]:
        for users, history, positive_users, positive_items in batches:
            scores = network.full_sort_predict(users.to(device)).view(-1, wanted.item_num)
            scores[:, 0] = -np.inf
            scores[history] = -np.inf
            collector.eval_batch_collect(scores, users, positive_users, positive_items)
        found = collector.get_data_struct()
        with patch.object(np, "float", float, create=True):  # RecBole's; NumPy 1.24 took it away
            return dict(evaluator.evaluate(found))

    return Form(name, run)
