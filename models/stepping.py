"""One step of gradient descent, recorded and replayed on a GPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[..., Tensor]
"""Takes the tensors of a batch; moves the parameters; returns the loss, without a gradient."""

WARM_UP = 3
"""Steps before one is recorded: libraries set themselves up in the first ones."""


def stepper(loss: Callable[..., Tensor], optimizer: torch.optim.Optimizer) -> Step:
    """A step as torch does it, operation by operation."""

    def step(*batch: Tensor) -> Tensor:
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return value.detach()

    return step


class RecordedStep:
    """A step as a CUDA graph: its kernels are launched at once instead of one by one.

    Where a step is many small kernels, launching them takes longer than they do. The first
    :data:`WARM_UP` steps are done as usual, the next one is recorded, and all later ones of the
    same shapes replay it on tensors that stay where they are. Steps of other shapes, such as an
    epoch's last one, are done as usual; so are all if recording fails, which a warning tells.

    Args:
        loss: From the tensors of a batch to a scalar, always with the same operations, whatever
            the values, and without waiting for the device.
        optimizer: Made with ``capturable=True``.
    """

    def __init__(self, loss: Callable[..., Tensor], optimizer: torch.optim.Optimizer) -> None:
        self.loss = loss
        self.optimizer = optimizer
        self._as_usual = stepper(loss, optimizer)
        self._left = WARM_UP
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: list[Tensor] = []
        self._value: Tensor | None = None

    def __call__(self, *batch: Tensor) -> Tensor:
        """Do a step; see :data:`Step`."""
        if self._left:
            self._left -= 1
            return self._beside(*batch)
        if self._graph is None and not self._batch:
            self._record(batch)
        if self._graph is None or any(
            there.shape != here.shape for there, here in zip(self._batch, batch, strict=True)
        ):
            return self._as_usual(*batch)
        for there, here in zip(self._batch, batch, strict=True):
            there.copy_(here)
        self._graph.replay()
        assert self._value is not None
        return self._value.clone()

    def _beside(self, *batch: Tensor) -> Tensor:
        """As usual, on a stream of its own, as recording needs it."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            value = self._as_usual(*batch)
        torch.cuda.current_stream().wait_stream(stream)
        return value

    def _record(self, batch: tuple[Tensor, ...]) -> None:
        """Record a step without doing it; the gradients get memory that belongs to the graph."""
        self._batch = [each.clone() for each in batch]
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._value = self._as_usual(*self._batch)
        except RuntimeError as error:
            self.optimizer.zero_grad(set_to_none=True)
            why = str(error).splitlines()[0][:200]
            warnings.warn(f"steps are not recorded as a CUDA graph: {why}", stacklevel=2)
        else:
            self._graph = graph
