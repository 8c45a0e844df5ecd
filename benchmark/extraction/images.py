"""Images by a network trained to classify them, by torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.extraction.encoder import Encoder, Wish, loading
from models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from benchmark.extraction.encoder import Encode

BATCH = 32


def _open(wish: Wish) -> Encode:
    import torch
    from torchvision import models

    if wish.model not in models.list_models(models):  # those below models classify no images
        raise UsageError(
            f"--model '{wish.model}' is none of torchvision's networks for images; choose one of "
            f"'python -c \"from torchvision import models; print(models.list_models(models))\"'"
        )
    with loading(wish.model):
        weights = models.get_model_weights(wish.model).DEFAULT
        network = models.get_model(wish.model, weights=weights)
    prepare = weights.transforms()
    without_classes(network, wish.model).eval().to(wish.device)

    def encode(paths: Sequence[Path]) -> NDArray[np.float32]:
        batch = torch.stack([prepare(picture(path)) for path in paths]).to(wish.device)
        with torch.inference_mode():
            rows: NDArray[np.float32] = network(batch).flatten(1).float().cpu().numpy()
        return rows

    return encode


def without_classes(network: nn.Module, name: str | None) -> nn.Module:
    """Take off the last linear layer, which tells classes, so that its input is the output."""
    from torch import nn

    linear = [place for place, part in network.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise UsageError(f"--model '{name}' does not end in a linear layer; choose another network")
    parent, _, child = linear[-1].rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return network


def picture(path: Path) -> Any:
    """An image as red, green and blue.

    Raises:
        UsageError: If the file is no image.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path}: is no image ({error}); mend it, or remove it") from error


TORCHVISION = Encoder("image", ("torchvision", "torch", "PIL"), "images", "resnet50", BATCH, _open)
"""What the last layer but one of a network trained on ImageNet says; 2048 numbers of ResNet-50."""
