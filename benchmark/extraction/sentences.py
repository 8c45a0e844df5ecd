"""Text by a pretrained language model, by sentence-transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.extraction.encoder import Encoder, Wish, loading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from benchmark.extraction.encoder import Encode

BATCH = 128


def _open(wish: Wish) -> Encode:
    from sentence_transformers import SentenceTransformer

    with loading(wish.model):
        network = SentenceTransformer(wish.model, device=str(wish.device))

    def encode(texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        written = ["\n".join(each.values()) for each in texts]  # columns in the order asked for
        rows: NDArray[np.float32] = network.encode(
            written, convert_to_numpy=True, show_progress_bar=False
        )
        return rows

    return encode


SENTENCES = Encoder(
    "text",
    ("sentence_transformers", "transformers", "torch"),
    "text",
    "all-MiniLM-L6-v2",
    BATCH,
    _open,
)
"""The sentence embedding of all of an item's text; what exceeds the model's length is cut off."""
