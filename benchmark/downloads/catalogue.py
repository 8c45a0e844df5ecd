"""Which data sets can be downloaded, and which only by hand.

Nothing here is guessed. The MD5 sums of GroupLens's archives are those that GroupLens publishes
beside them (``ml-1m.zip.md5`` and so on) and that DataRec and others verify by. For Zenodo's files
the sums are asked of Zenodo when they are needed; how M3L's archive looks inside is told by the
notebooks of https://github.com/giuspillo/M3L_10M_20M.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.downloads.arrangement import nested_features, ratings, ratings_and_encoders
from benchmark.downloads.transfer import Remote
from benchmark.downloads.zenodo import Deposit

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
TERMS = (
    "MovieLens is for research, with acknowledgement, and not for commercial use or (1M, 10M) "
    "redistribution without GroupLens's permission. Full terms: {readme}"
)


@dataclass(frozen=True)
class Offer:
    """A data set that can be had.

    Args:
        title: What it is.
        users: How many.
        items: How many.
        interactions: How many.
        features: The modalities, in words.
        terms: On what conditions, and where these are.
        sources: Its files.
        arrange: Makes a readable folder of the unpacked files.
    """

    title: str
    users: int
    items: int
    interactions: int
    features: str
    terms: str
    sources: tuple[Remote | Deposit, ...]
    arrange: Callable[[Path, Path], None]


def _grouplens(name: str, md5: str) -> Remote:
    return Remote(f"{GROUPLENS}{name}.zip", f"{name}.zip", f"md5:{md5}")


def _terms(readme: str, features: str = "") -> str:
    return TERMS.format(readme=GROUPLENS + readme) + features


M3L = 18499145
ML_1M = _grouplens("ml-1m", "c4d9eecfca2ab87c1945afe126590906")
FROM_METADATA = "textual (title words, genres, year)"
TWELVE = "3 encoders each of text, image, audio and video"

CATALOGUE = {
    "ml-1m-multimodal": Offer(
        "MovieLens-1M with the multimodal extension of Spillo et al. (RecSys 2025)",
        6_040, 3_706, 1_000_209, "10 encoders of plots, posters and trailers",
        _terms("ml-1m-README.txt", "\nThe features are https://doi.org/10.5281/zenodo.15403972"),
        # the checksum is the one by which compresso-recsys verifies this file
        (ML_1M, Deposit(15403972, "ml1m_mm_json.zip", "md5:8f184920d99edd58d1f2063450f4c0c6")),
        ratings_and_encoders,
    ),
    "m3l-10m": Offer(
        "M3L-10M: MovieLens-10M with multimodal features (Spillo et al., 2026)",
        69_878, 9_031, 9_409_884, TWELVE,
        _terms("ml-10m-README.html", f"\nThe features are https://doi.org/10.5281/zenodo.{M3L}"),
        (Deposit(M3L, "MMRec*10M.zip"),), nested_features,
    ),
    "m3l-20m": Offer(
        "M3L-20M: MovieLens-20M with multimodal features (Spillo et al., 2026)",
        138_493, 19_009, 18_777_965, TWELVE,
        _terms("ml-20m-README.html", f"\nThe features are https://doi.org/10.5281/zenodo.{M3L}"),
        (Deposit(M3L, "MMRec*20M.zip"),), nested_features,
    ),
    "ml-1m": Offer(
        "MovieLens-1M as GroupLens publishes it", 6_040, 3_706, 1_000_209, FROM_METADATA,
        _terms("ml-1m-README.txt"), (ML_1M,), ratings,
    ),
    "ml-10m": Offer(
        "MovieLens-10M as GroupLens publishes it", 69_878, 10_677, 10_000_054, FROM_METADATA,
        _terms("ml-10m-README.html"),
        (_grouplens("ml-10m", "ce571fd55effeba0271552578f2648bd"),), ratings,
    ),
    "ml-20m": Offer(
        "MovieLens-20M as GroupLens publishes it", 138_493, 26_744, 20_000_263, FROM_METADATA,
        _terms("ml-20m-README.html"),
        (_grouplens("ml-20m", "cd245b17a1ae2cc31bb14903e1204af3"),), ratings,
    ),
}  # fmt: skip
"""By the names under which they can be read afterwards."""

BY_HAND = dict.fromkeys(
    ("baby", "sports", "clothing"),
    "https://drive.google.com/drive/folders/13cBy1EA_saTUuXxVllKgtfci2A09jyaG (Amazon reviews as "
    "MMRec's authors share them; Google Drive has no stable links to files)",
)
"""Where data sets are that no program can fetch reliably; they are readable as they come."""
