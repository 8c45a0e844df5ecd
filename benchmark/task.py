"""One data set and what is asked of it, ready to be run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from benchmark.datasets import Dataset
from benchmark.evaluation import Evaluator
from benchmark.experiments import NEEDS, Experiment, Variant, experiments
from benchmark.features import scale_features, select_modalities
from benchmark.planted_intents import planted, sizes
from benchmark.presets import COLD_ITEMS, NO_MODALITY, SPLIT_METHODS, Preset
from benchmark.progress import Reporter
from benchmark.protocols import LATE_EPOCHS, PROTOCOLS, SOFT_MASK
from benchmark.record import Record
from benchmark.splits import SHIPPED, Split, split
from benchmark.store import Store, digest
from benchmark.tuning import JUDGED_AT, Tuner
from models.errors import UsageError
from models.interactions import Interactions
from models.recommender import Recommender


@dataclass(frozen=True)
class Settings:
    """What a call of the program asks for.

    Args:
        models: Registered names.
        experiments: Names of tables and figures.
        preset: The budget.
        seeds: Trainings of each tuned model, with seeds ``0..seeds-1``.
        vary: What these seeds are of, one of :data:`benchmark.presets.VARY`.
        protocol: One of :data:`benchmark.protocols.PROTOCOLS`.
        device: Where models are trained.
        modalities: Names of item features; ``None`` for all that the data has.
        feature_scaling: One of :data:`benchmark.presets.FEATURE_SCALING`.
        split_method: One of :data:`benchmark.presets.SPLIT_METHODS`.
        split_seed: Of the random split, where the data ships none.
        matmul_precision: One of :data:`benchmark.presets.MATMUL_PRECISION`.
        ks: Cut-offs of the metrics.
        results_root: Results go to ``<results_root>/<dataset>``, with the split method behind it
            unless it is the usual one.
        storage: Of :func:`benchmark.storages.opened`; ``None`` for a file beside the results.
        sampler: One of :data:`benchmark.options.SAMPLERS`.
        trials: Of each study that a sampler proposes for; ``None`` for as many as its grid has.
    """

    models: Sequence[str]
    experiments: Sequence[str]
    preset: Preset
    seeds: int
    vary: str
    protocol: str
    device: torch.device
    modalities: Sequence[str] | None
    feature_scaling: str
    split_method: str
    split_seed: int
    matmul_precision: str
    ks: Sequence[int]
    results_root: Path
    storage: str | None = None
    sampler: str = "grid"
    trials: int | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """One data set, ready to be run on.

    Args:
        dataset: The data.
        settings: What the call of the program asks for.
        parts: Training interactions with item features, validation and test positives, on the
            device to train on.
        identity: What determines the data and the budget.
        store: Where results are kept.
    """

    dataset: Dataset
    settings: Settings
    parts: Split
    identity: dict[str, str]
    store: Store

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The tables and figures asked for that the models, the data and the protocol allow."""
        modalities = list(self.parts.train.features)
        possible = experiments(self.settings.models, modalities, self.planted)
        asked = [each for each in possible if each.name in self.settings.experiments]
        # one switch after the other only makes sense with the others off
        return [e for e in asked if e.name != "protocol" or self.settings.protocol == "corrected"]

    @cached_property
    def planted(self) -> list[int]:
        """Numbers of planted intents by level, fine ones first, where the data know them."""
        return sizes(planted(self.dataset))

    @property
    def left_out(self) -> list[str]:
        """What was asked for and is not among :attr:`experiments`, and what that would take."""
        found = {each.name for each in self.experiments}
        asked = [name for name in self.settings.experiments if name not in found]
        return [f"{name}, which needs {NEEDS[name]}" for name in asked]

    @property
    def row(self) -> dict[str, str]:
        """What all rows of one table agree in."""
        return {**self.identity, "ks": " ".join(map(str, self.settings.ks))}

    @property
    def record(self) -> Record:
        """What is stored by now."""
        return Record(self.store, self.dataset, self.experiments, self.settings.ks, self.row)

    def claim(self, label: str) -> FileLock:
        """To be held while a variant is run, so that a second process waits, and finds it done.

        Another split or preset makes it another one's, as it does its rows.
        """
        return self.store.claim(digest(**self.row, variant=label))

    def claimed(self, label: str) -> bool:
        """Whether somebody runs the variant of that label at the moment."""
        try:
            with self.claim(label).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def switches(self, variant: Variant) -> tuple[str, ...]:
        """Where the protocol of a variant follows the released code."""
        return PROTOCOLS[self.settings.protocol] or tuple(variant.switches)

    @cached_property
    def validation(self) -> Evaluator:
        """Ranks the validation positives, cold ones among themselves."""
        candidates = self.cold_items(self.parts.validation)
        return Evaluator(
            self.parts.validation, self.parts.train, ks=(JUDGED_AT,), candidates=candidates
        )

    def cold_items(self, part: Interactions) -> Tensor | None:
        """The items of a held-out part, if they never occur in training by design."""
        cold = self.settings.split_method == COLD_ITEMS
        return torch.unique(part.items) if cold else None

    def test(
        self, switches: Sequence[str], ks: Sequence[int], candidates: Tensor | None = None
    ) -> Evaluator:
        """Ranks the test positives, among all items by default."""
        known, unmasked = self.parts.train, "known_validation" in switches
        return Evaluator(
            self.parts.test,
            known if unmasked else known.union(self.parts.validation),
            ks,
            mask=SOFT_MASK if "soft_mask" in switches else -math.inf,
            candidates=candidates,
        )

    def cold_start(self, switches: Sequence[str], model: Recommender) -> dict[str, float]:
        """Metrics with the cold test items as only candidates, such as ``recall_cold@10``.

        Their number is ``cold_items``; there is nothing unless the split holds items out.
        """
        candidates = self.cold_items(self.parts.test)
        if candidates is None:
            return {}
        means = self.test(switches, self.settings.ks, candidates)(model).means
        named = {name.replace("@", "_cold@"): value for name, value in means.items()}
        return {"cold_items": len(candidates), **named}

    def tuner(self, switches: Sequence[str], reporter: Reporter) -> Tuner:
        """Trains and tunes; it holds test labels only where a switch says so."""
        preset = self.settings.preset
        if "late_stop" in switches:
            preset = replace(preset, patience=preset.patience + LATE_EPOCHS)
        on_test = "select_on_test" in switches
        cold = self.cold_items(self.parts.test)
        judge = self.test(switches, (JUDGED_AT,), cold) if on_test else self.validation
        # trials are all of seed 0, whatever the seeds of runs vary
        identity = {**self.identity, "vary": "both", "switches": "+".join(switches)}
        return Tuner(
            self.parts.train, judge, preset, identity, self.store, reporter,
            self.settings.storage, self.settings.sampler, self.settings.trials,
        )  # fmt: skip


def prepare(dataset: Dataset, settings: Settings) -> Task:
    """Split a data set and open its results, so that mistakes show before any training.

    Raises:
        UsageError: If the data do not fit the settings or the results folder cannot be used.
    """
    wanted = select_modalities(dataset.features, settings.modalities or list(dataset.features))
    raw = {name: matrix for name, matrix in dataset.features.items() if name in wanted}
    scaled = scale_features(raw, settings.feature_scaling)
    usual, cold = (settings.split_method == each for each in (SPLIT_METHODS[0], COLD_ITEMS))
    shipped = dataset.labels is not None and not cold
    parts = split(dataset, scaled, settings.split_seed, settings.split_method)
    for k, what, fix, part in (
        (max(settings.ks), "--ks", "smaller cut-offs or more data", parts.test),
        (JUDGED_AT, "choosing hyper-parameters by recall", "more data", parts.validation),
    ):
        candidates = len(torch.unique(part.items)) if cold else dataset.num_items
        if k > candidates:
            raise UsageError(
                f"{what} at cut-off {k} needs as many items, '{dataset.name}' has {candidates}"
                f"{' held-out ones' if cold else ''}: use {fix}"
            )
    identity = {
        "dataset": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "split_method": settings.split_method,
        "split_seed": SHIPPED if shipped else str(settings.split_seed),
        "modalities": "+".join(raw) or NO_MODALITY,
        "feature_scaling": settings.feature_scaling,
        "preset": settings.preset.name,
        "evaluation_protocol": settings.protocol,
        "vary": settings.vary,
        "matmul_precision": settings.matmul_precision,
    }
    folder = dataset.name if usual else f"{dataset.name}-{settings.split_method}"
    store = Store(settings.results_root / folder)
    task = Task(dataset, settings, parts.to(settings.device), identity, store)
    if not task.experiments:
        raise UsageError(f"nothing to run on '{dataset.name}': {'; '.join(task.left_out)}")
    variants: dict[str, Variant] = {}
    for variant in (variant for each in task.experiments for _, variant in each.cells):
        if variants.setdefault(variant.label, variant) != variant:
            raise UsageError(
                f"two variants on '{dataset.name}' would be called '{variant.label}': rename the "
                "modality or the plug-in that gives one of them this name, or leave it out"
            )
    return task
