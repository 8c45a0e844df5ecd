"""Sounds by a network trained on speech, by torchaudio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.extraction.encoder import Encoder, Wish, loading
from models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from benchmark.extraction.encoder import Encode

BATCH = 8
SECONDS = 30
"""Of sound that are encoded at a time, which bounds the memory that a file takes."""


def _open(wish: Wish) -> Encode:
    import torch
    from torchaudio import functional, pipelines

    known = [
        name
        for name in pipelines.__all__
        if isinstance(getattr(pipelines, name), pipelines.Wav2Vec2Bundle)
    ]
    if wish.model not in known:
        raise UsageError(
            f"--model '{wish.model}' is none of torchaudio's networks; use one of "
            f"{', '.join(known)}"
        )
    bundle = getattr(pipelines, str(wish.model))
    with loading(wish.model):
        network = bundle.get_model().eval().to(wish.device)
    rate = int(bundle.sample_rate)

    def features(path: Path) -> Tensor:
        total, frames = torch.zeros((), device=wish.device), 0
        for part, given in sound(path):
            wave = functional.resample(part.to(wish.device), given, rate)
            wave = torch.nn.functional.pad(wave, (0, max(0, rate - wave.shape[1])))
            layers, _ = network.extract_features(wave)
            total = total + layers[-1][0].sum(0)  # [1, frames, dim] -> [dim]
            frames += layers[-1].shape[1]
        return total / frames

    def encode(paths: Sequence[Path]) -> NDArray[np.float32]:
        with torch.inference_mode():
            rows = torch.stack([features(path) for path in paths])
        encoded: NDArray[np.float32] = rows.float().cpu().numpy()
        return encoded

    return encode


def sound(path: Path) -> Iterator[tuple[Tensor, int]]:
    """A file in parts of :data:`SECONDS`, its channels as one.

    A rest of less than a second is left out, unless it is all there is.

    Yields:
        ``[1, samples]``, and the number of samples per second.

    Raises:
        UsageError: If the file holds no sound.
    """
    import soundfile
    import torch

    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            parts = file.blocks(blocksize=SECONDS * rate, dtype="float32", always_2d=True)
            for number, part in enumerate(parts):  # [samples, channels]
                if number == 0 or len(part) >= rate:
                    yield torch.from_numpy(part.mean(axis=1, keepdims=True).T), rate
            empty = file.frames == 0
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{path}: is no sound ({error}); mend it, or remove it") from error
    if empty:
        raise UsageError(f"{path}: holds no samples; remove it")


TORCHAUDIO = Encoder(
    "audio", ("torchaudio", "soundfile", "torch"), "audio", "WAV2VEC2_BASE", BATCH, _open
)
"""The mean over time of what the last layer says; 768 numbers of wav2vec 2.0."""
