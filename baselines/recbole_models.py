"""RecBole's general recommenders under this suite's split, sampling, stopping and ranking.

Only RecBole's model classes are used; its configuration, trainer and data set classes fail on
current releases of NumPy, setuptools and torch. ``UNSUPPORTED`` lists what is refused, and why.
"""

from __future__ import annotations

import importlib.resources
import random
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
import yaml  # type: ignore[import-untyped]
from torch import Tensor
from typing_extensions import Self

from baselines.recbole_stand_ins import ITEM, LABEL, NEGATIVE, USER, DataSet, Settings, interaction
from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender, Validate
from models.registry import register_family
from models.training import PairwiseRecommender, TrainedRecommender, Training

UNSUPPORTED = {
    "NCL": "it needs faiss and a trainer of its own",
    "Pop": "it counts an item once per batch, not once per interaction; choose 'popularity'",
    "RaCT": "it is trained in three stages that hand on checkpoint files",
    "Random": "it draws new scores at every call",
    "RecVAE": "its two halves take turns under a trainer of its own",
}

CLOSED_FORM = {"ADMMSLIM", "AsymKNN", "EASE", "ItemKNN", "NCEPLRec", "SLIMElastic"}
"""Models that learn in their constructor."""

BY_USER = {"CDAE", "DiffRec", "ENMF", "LDiffRec", "MacridVAE", "MultiDAE", "MultiVAE"}
"""Models that take users and look up their items; RecBole knows them by name as well."""


class Adapted(Recommender):
    """A RecBole model as a recommender; its hyper-parameters keep RecBole's names and defaults."""

    network_class: ClassVar[Any]
    options: ClassVar[Mapping[str, Any]]
    seed: int
    network: Any

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The suite's hyper-parameters and the model's, which has a regularisation of its own."""
        shared = super().defaults()
        shared.pop("reg", None)
        return {**shared, **cls.options}

    @classmethod
    def complete(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """All hyper-parameters, the given ones among them; UsageError if one is unknown."""
        for name in sorted(given.keys() - cls.defaults().keys()):
            raise UsageError(
                f"RecBole's {cls.__name__} has no hyper-parameter '{name}': "
                f"choose from {', '.join(cls.defaults())}"
            )
        return {**cls.defaults(), **given}

    def make_network(self, train: Interactions) -> Any:
        """RecBole's model for these users and items, on the data's device."""
        settings = Settings({name: getattr(self, name) for name in self.options})
        settings.update(
            device=train.device,
            seed=self.seed,
            train_batch_size=getattr(self, "batch_size", None),
            train_neg_sample_args={"sample_num": 1},
            USER_ID_FIELD=USER,
            ITEM_ID_FIELD=ITEM,
            LABEL_FIELD=LABEL,
            NEG_PREFIX=NEGATIVE.removesuffix(ITEM),
        )
        return self.network_class(settings, DataSet(train)).to(train.device)

    @torch.no_grad()
    def score(self, users: Tensor) -> Tensor:
        """Score every item, ``[batch_size] -> [batch_size, num_items]``."""
        with contained(self.seed):
            scores = torch.as_tensor(self._all_items(users + 1), device=users.device)
        return scores.view(len(users), -1)[:, 1:]  # column 0 is the padding

    def _all_items(self, users: Tensor) -> Any:
        """The model's scores of all its items, for users counted from 1."""
        try:
            return self.network.full_sort_predict(interaction({USER: users}))
        except NotImplementedError:  # the model scores single pairs only
            items = torch.arange(self.network.n_items, device=users.device)
            pairs = [interaction({USER: user.expand_as(items), ITEM: items}) for user in users]
            return torch.cat([self.network.predict(pair) for pair in pairs])


class ClosedForm(Adapted):
    """A RecBole model that learns in its constructor."""

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        for name, value in self.complete({"seed": seed, **options}).items():
            setattr(self, name, value)

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        """Construct RecBole's model; ``validate`` is not used."""
        with contained(self.seed):
            self.network = self.make_network(train).eval()
        return self


class Trained(Adapted, TrainedRecommender):
    """A RecBole model that is trained by gradient descent."""

    def __init__(self, **hyper_parameters: Any) -> None:
        values = self.complete(hyper_parameters)
        shared = Training.__annotations__.keys() & values.keys()
        super().__init__(**{name: values.pop(name) for name in shared})
        for name, value in values.items():
            setattr(self, name, value)

    def fit(self, train: Interactions, validate: Validate | None = None) -> Self:
        """See :meth:`models.training.TrainedRecommender.fit`."""
        self.checkpoint = None  # of what such a model keeps beside its parameters, nobody knows
        with contained(self.seed):
            return super().fit(train, validate)

    def build(self, train: Interactions) -> None:
        """Construct RecBole's model."""
        self.network = self.make_network(train)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation mode; either way cached results are dropped."""
        for module in self.modules():
            for name in getattr(module, "other_parameter_name", ()):  # RecBole's list of caches
                setattr(module, name, None)
        return super().train(mode)


class ByTriple(Trained, PairwiseRecommender):
    """A RecBole model that compares two items or judges one."""

    def loss(self, users: Tensor, pos_items: Tensor, neg_items: Tensor) -> Tensor:
        """RecBole's loss for triples of three vectors ``[batch_size]``.

        A model that judges single items sees positives labelled 1 and negatives labelled 0.
        """
        users, pos_items, neg_items = users + 1, pos_items + 1, neg_items + 1
        if self.network.input_type.name == "PAIRWISE":
            batch = {USER: users, ITEM: pos_items, NEGATIVE: neg_items}
        else:
            batch = {
                USER: torch.cat([users, users]),  # [2 * batch_size]
                ITEM: torch.cat([pos_items, neg_items]),
                LABEL: torch.tensor([1.0, 0.0], device=users.device).repeat_interleave(len(users)),
            }
        return total(self.network.calculate_loss(interaction(batch)))


class ByUser(Trained):
    """A RecBole model that takes users and looks up their items."""

    def batches(
        self, train: Interactions, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, ...]]:
        """The users with a training interaction, shuffled."""
        users = torch.unique(train.users)
        users = users[torch.randperm(len(users), generator=generator, device=users.device)]
        return zip(torch.split(users, self.batch_size))

    def loss(self, users: Tensor) -> Tensor:
        """RecBole's loss for users ``[batch_size]``."""
        return total(self.network.calculate_loss(interaction({USER: users + 1})))


def total(loss: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The sum of the terms where a model returns them one by one."""
    return torch.stack(loss).sum() if isinstance(loss, tuple) else loss


@contextmanager
def contained(seed: int) -> Iterator[None]:
    """Run RecBole's code: without warnings about it, on seeded generators that are put back."""
    before = random.getstate(), np.random.get_state()  # some models draw from these two
    random.seed(seed)
    np.random.seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="recbole")
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


class Yaml(yaml.SafeLoader):  # type: ignore[misc]
    """YAML whose numbers may lack the point, as in ``1e-5``."""


Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?e[-+]?\d+$"), list("-+0123456789")
)


@cache
def networks() -> dict[str, Any]:
    """RecBole's general recommenders by name.

    Raises:
        UsageError: If RecBole cannot be imported.
    """
    try:
        with contained(seed=0):
            from recbole.model import general_recommender
    except ImportError as error:
        raise UsageError(
            f"models named 'recbole:...' need RecBole ({error}): 'pip install recbole' on Python "
            f"3.10 or 3.11; on 3.12 and later its requirement ray has no wheels"
        ) from error
    if not hasattr(sp.dok_matrix, "_update"):
        # RecBole's graph models fill their matrix by it; SciPy 1.13 took it away
        sp.dok_matrix._update = lambda self, entries: self._dict.update(entries)  # type: ignore[attr-defined]
    return {name: value for name, value in vars(general_recommender).items() if name[0].isupper()}


@cache
def recbole_model(name: str) -> type[Recommender]:
    """The recommender made of RecBole's general model ``name``, such as ``NGCF``.

    Raises:
        UsageError: If RecBole cannot be imported, has no such model, or the model is refused.
    """
    if name in UNSUPPORTED:
        raise UsageError(f"RecBole's {name} is not supported: {UNSUPPORTED[name]}")
    if name not in networks():
        known = {other.lower(): other for other in sorted(networks().keys() - UNSUPPORTED.keys())}
        close = get_close_matches(name.lower(), known, n=5)
        names = [known[match] for match in close or known]
        raise UsageError(f"RecBole has no general model '{name}': choose from {', '.join(names)}")
    file = importlib.resources.files("recbole") / "properties" / "model" / f"{name}.yaml"
    options = yaml.load(file.read_text(encoding="utf-8"), Yaml)
    members = {"network_class": networks()[name], "options": options}
    if name in CLOSED_FORM:
        return type(name, (ClosedForm,), members)
    grid = dict(TrainedRecommender.search_space)
    regularisation = grid.pop("reg")
    if "reg_weight" in options:
        grid["reg_weight"] = regularisation
    kind = ByUser if name in BY_USER else ByTriple
    return type(name, (kind,), {**members, "search_space": grid})


register_family("recbole", recbole_model)
