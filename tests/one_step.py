"""What one step of the optimiser does to a model."""

from __future__ import annotations

import torch
from torch import Tensor

from models.training import TrainedRecommender


def unmoved(model: TrainedRecommender, *batch: Tensor) -> set[str]:
    """Names of the tensors that a step leaves as they were."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters())
    model.loss(*batch).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
