"""The evaluation protocol, and where the code released with the paper departs from it.

Apart from torch so that ``--help`` need not load it.
"""

from __future__ import annotations

from collections.abc import Sequence

SWITCHES = {
    "select_on_test": "the best epoch is chosen by recall on the test data",
    "late_stop": "training stops after two more epochs without a better one",
    "known_validation": "validation items stay candidates when the test items are ranked",
    "soft_mask": "known items are scored 1e-5 instead of being left out of the ranking",
}
"""What HUIGN's released code does differently, each of it for itself.

Its NDCG needs no switch: it is always reported, as ``ndcg_hits``. It also scores with
representations that are one step of the optimiser old, which is not offered here.
"""

PROTOCOLS: dict[str, tuple[str, ...]] = {"corrected": (), "official": tuple(SWITCHES)}
"""What ``--protocol`` takes, and the switches that it turns on."""

LATE_EPOCHS = 2
SOFT_MASK = 1e-5


def deciding(switches: Sequence[str]) -> tuple[str, ...]:
    """Those of some switches that training notices: models that agree in them are the same."""
    if "select_on_test" in switches:
        return tuple(switches)  # how the test items are ranked matters, too
    return tuple(switch for switch in switches if switch == "late_stop")
