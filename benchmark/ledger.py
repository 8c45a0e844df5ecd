"""Which tensors live when: what a piece of torch code allocates, and what larger data would."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor, strided
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Ledger(TorchDispatchMode):
    """Writes down, within ``with``, when the memory of every tensor is first seen and given back.

    It is exact for what torch's operations allocate on the processor, gradients and the optimizer's
    state included; what they need within, and what NumPy and SciPy do, is not seen.

    Args:
        known: Tensors that were there before and do not count.
    """

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []
        """Bytes of every block of memory, in the order of appearance."""
        self.events: list[int] = []
        """The number of a block where it appears, and its complement ``~number`` where it goes."""
        self._present = {each.untyped_storage()._cdata: -1 for each in known}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do what an operation does; its arguments may come from NumPy, unseen until now."""
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves((args, result)):
            if isinstance(each, Tensor) and each.layout == strided:
                self._enter(each)
        return result

    def _enter(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata in self._present:
            return
        number = len(self.sizes)
        self._present[storage._cdata] = number
        self.sizes.append(storage.nbytes())
        self.events.append(number)
        weakref.finalize(storage, self._leave, storage._cdata)

    def _leave(self, place: int) -> None:
        self.events.append(~self._present.pop(place))


def grown_peak(small: Ledger, large: Ledger, growths: Mapping[float, float]) -> float | None:
    """The peak of the same operations on far larger data, in bytes.

    Args:
        small: Of a run on small data.
        large: Of a run on somewhat larger data.
        growths: How much larger a block is in the data asked about than in ``small``, by how much
            larger it is in ``large``; the nearest ratio counts.

    Returns:
        ``None`` if the two runs did not allocate the same blocks.
    """
    if len(small.sizes) != len(large.sizes):
        return None

    def grown(first: int, second: int) -> float:
        if not first or not second:
            return 0.0
        nearest = min(growths, key=lambda ratio: abs(math.log(second / first / ratio)))
        return first * growths[nearest]

    sizes = [grown(*pair) for pair in zip(small.sizes, large.sizes, strict=True)]
    live = peak = 0.0
    for event in small.events:
        live += sizes[event] if event >= 0 else -sizes[~event]
        peak = max(peak, live)
    return peak
