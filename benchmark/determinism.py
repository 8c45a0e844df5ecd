"""The option ``--deterministic``: the same bits in every run, or an error that says why not."""

from __future__ import annotations

import os

import torch

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""The environment variable that says what memory cuBLAS may use for partial sums."""

REPRODUCIBLE = (":4096:8", ":16:8")
"""Its values with which cuBLAS adds them up in the same order every time."""


def demand_determinism() -> None:
    """Have torch refuse every operation whose result may differ from one run to the next.

    It matters on a GPU alone: on the processor results are the same with and without. cuDNN needs
    no setting of its own, as it is bound by the same switch and tries no algorithms out unless
    ``torch.backends.cudnn.benchmark`` is set. To be called before anything is computed: cuBLAS
    reads its environment variable once. Processes that are started later inherit the variable,
    not the switch.
    """
    if os.environ.get(WORKSPACE) not in REPRODUCIBLE:
        os.environ[WORKSPACE] = REPRODUCIBLE[0]
    torch.use_deterministic_algorithms(True)


def is_refused(error: Exception) -> bool:
    """Whether torch would not compute something since it has no deterministic form of it."""
    # torch has no class of its own for it
    return isinstance(error, RuntimeError) and "use_deterministic_algorithms" in str(error)
