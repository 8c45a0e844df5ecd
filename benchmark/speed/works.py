"""What makes each piece of work, by its name in the catalogue."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.speed import epochs, operations, trials
from benchmark.speed.catalogue import Settings
from benchmark.speed.work import Work
from benchmark.splits import Split

MAKERS: dict[str, Callable[[Split, Settings], Work]] = {
    "sampling": operations.sampling,
    "bpr": epochs.bpr,
    "vbpr": epochs.vbpr,
    "ngcf": epochs.ngcf,
    "lightgcn": epochs.lightgcn,
    "mmgcn": epochs.mmgcn,
    "macridvae": epochs.macridvae,
    "disengcn": epochs.disengcn,
    "huign": epochs.huign,
    "evaluation": operations.evaluation,
    "item_graph": operations.item_graph,
    "propagation": operations.propagation,
    "trials": trials.trials,
    "help": operations.help_text,
}
