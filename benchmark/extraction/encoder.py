"""What turns the raw data of items into features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Encode: TypeAlias = Callable[[Sequence[Any]], NDArray[np.float32]]
    """From the raw data of ``n`` items to ``[n, dim]``."""


@dataclass(frozen=True)
class Wish:
    """What the user asks an encoder for.

    Args:
        model: A pretrained network, by the name its library has for it; ``None`` if there is none.
        dim: Numbers per item; ``None`` for as many as the encoder gives by itself.
        device: Where networks run.
    """

    model: str | None
    dim: int | None
    device: torch.device


@dataclass(frozen=True)
class Encoder:
    """One way to features.

    Args:
        kind: Of raw data: ``text`` (by column), ``image`` or ``audio`` (a file).
        libraries: Modules whose versions decide on the numbers.
        extra: What to install them with: ``pip install -e .[extra]``; empty if always there.
        model: The network used by default; ``None`` if there are none to choose from.
        batch: Items that are encoded at a time; ``None``: all, as each one's numbers depend on all.
        open: Makes it ready, and loads its libraries, which importing this table does not.
    """

    kind: str
    libraries: tuple[str, ...]
    extra: str
    model: str | None
    batch: int | None
    open: Callable[[Wish], Encode]


@contextmanager
def loading(model: str | None) -> Iterator[None]:
    """Turn what goes wrong while a pretrained network is fetched into a :class:`UsageError`."""
    try:
        yield
    except UsageError:
        raise
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"--model '{model}' cannot be loaded ({reason}); check its name, and that its weights "
            f"can be downloaded or have been"
        ) from error
