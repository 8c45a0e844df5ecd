"""The state of an unfinished training, to go on from after a crash."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@dataclass
class Checkpoint:
    """A file that holds a training's state while the training lasts.

    Args:
        path: The file. Its name needs to tell all that determines the training: what is found
            there is taken for this one's state.
        seconds: Time between two writings, at least (default: ``60``).
    """

    path: Path
    seconds: float = 60.0
    _written: float = field(default_factory=lambda: time.monotonic())

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last; ``None`` without one.

        A damaged file is renamed to ``*.damaged``, and the training starts anew.
        """
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except OSError:  # there is none, as a rule
            return None
        except Exception as error:  # whatever reading nonsense raises
            with contextlib.suppress(OSError):
                self.path.replace(f"{self.path}.damaged")
            why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            warnings.warn(
                f"'{self.path}' is damaged ({why}): set aside as '{self.path.name}.damaged'; its "
                "training starts anew",
                stacklevel=2,
            )
            return None
        return state

    def history(self) -> list[dict[str, float]]:
        """What happened in the epochs until then."""
        state = self.load()
        return [] if state is None else list(state["history"])

    def save(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write a state, in one step, if the time for it has come.

        A training goes on without, where the file cannot be written.
        """
        if time.monotonic() - self._written < self.seconds:
            return
        self._written = time.monotonic()
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                torch.save(state(), file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except (OSError, RuntimeError) as error:  # torch's, where the disk is full
            warnings.warn(f"no checkpoint '{self.path}': {error}", stacklevel=2)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def stage(self, number: int) -> Checkpoint:
        """That of one of several trainings which a model consists of."""
        return Checkpoint(self.path.with_suffix(f".{number}{self.path.suffix}"), self.seconds)

    def remove(self) -> None:
        """Delete it, with those of its stages: the training is over and its result is kept."""
        stages = self.path.parent.glob(f"{self.path.stem}.*{self.path.suffix}")
        for path in [self.path, *stages]:
            path.unlink(missing_ok=True)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Where torch's global generators are that a training on ``device`` draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(device: torch.device, state: dict[str, Tensor]) -> None:
    """Put them back where :func:`random_state` found them."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
