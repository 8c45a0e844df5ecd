"""Text as the words it holds, by scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.extraction.encoder import Encoder, Wish

if TYPE_CHECKING:
    from benchmark.extraction.encoder import Encode


def _open(wish: Wish) -> Encode:
    from benchmark.datasets.item_texts import tokens
    from benchmark.datasets.latent_semantics import latent_semantics

    return lambda texts: latent_semantics([tokens(each) for each in texts], wish.dim)


TFIDF = Encoder("text", ("sklearn", "scipy", "numpy"), "", None, None, _open)
"""TF-IDF and a truncated SVD, see :func:`benchmark.datasets.latent_semantics.latent_semantics`."""
