"""From what archives hold to a folder in the layout of MMRec, which the suite reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.datasets.item_texts import item_texts, tokens
from benchmark.datasets.keyed_features import read_keyed
from benchmark.datasets.latent_semantics import latent_semantics
from benchmark.datasets.reading import readable
from models.errors import UsageError

ENCODERS = {
    "all-MiniLM-L6-v2": "text_minilm",
    "all-mpnet-base-v2": "text_mpnet",
    "resnet152": "image_resnet152",
    "vgg": "image_vgg",
    "vit_cls": "image_vit_cls",
    "vit_avg": "image_vit_avg",
    "vggish": "audio_vggish",
    "whisper": "audio_whisper",
    "i3d": "video_i3d",
    "r2p1d": "video_r2p1d",
}
"""Files of the multimodal extension of MovieLens-1M, ``{MovieLens id: [numbers]}``."""


def ratings(raw: Path, folder: Path) -> None:
    """A MovieLens archive of GroupLens; every rating is an interaction, whatever its value.

    Ids follow the ascending original ids, of rated films only. The one modality, ``textual``, is
    made of title words, genres and year, as that of MovieLens-100K is.
    """
    about = _ratings(raw, folder)
    words = [tokens(texts) for texts in item_texts(about, ("title", "genres", "year"))]
    np.save(folder / "textual_feat.npy", latent_semantics(words, 64))


def ratings_and_encoders(raw: Path, folder: Path) -> None:
    """The same with the features of :data:`ENCODERS` instead."""
    about = _ratings(raw, folder)
    names = about["movielens_id"].astype(str).tolist()
    for stem, modality in ENCODERS.items():
        matrix = read_keyed(_one(raw, f"{stem}.json"), modality, names)
        np.save(folder / f"{modality}_feat.npy", matrix)


def nested_features(raw: Path, folder: Path) -> None:
    """The layout of MMRec but for features in folders: ``text/mpnet.npy`` is ``text_mpnet``."""
    inter = _one(raw, "*.inter")
    for path in sorted(inter.parent.glob("*/*.npy")):
        path.replace(folder / f"{path.parent.name}_{path.stem}_feat.npy")
    inter.replace(folder / f"{folder.name}.inter")


def _ratings(raw: Path, folder: Path) -> pd.DataFrame:
    """Write interactions and what is known about the films, and return the latter."""
    path = _one(raw, "ratings.dat", "ratings.csv")
    films = _films(_one(raw, "movies.dat", "movies.csv"))
    try:
        with readable(path):
            if path.suffix == ".csv":
                table = pd.read_csv(path, usecols=["userId", "movieId"], dtype=np.int64)
            else:  # fields end with '::', so that between two colons there is an empty one
                table = pd.read_csv(path, sep=":", header=None, usecols=[0, 2], dtype=np.int64)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{path.name}: holds no ratings as GroupLens writes them ({error})") from (
            error
        )
    _, users = np.unique(table.iloc[:, 0], return_inverse=True)
    film_ids, items = np.unique(table.iloc[:, 1], return_inverse=True)
    inter = pd.DataFrame({"userID": users, "itemID": items})
    inter.to_csv(folder / f"{folder.name}.inter", sep="\t", index=False, lineterminator="\n")
    about = films.reindex(film_ids).rename_axis("movielens_id").reset_index()
    about[["title", "genres"]] = about[["title", "genres"]].fillna("")
    about = about.rename_axis("itemID")
    about.to_csv(folder / f"{folder.name}.item", sep="\t", lineterminator="\n")
    return about


def _films(path: Path) -> pd.DataFrame:
    """Title, year and genres by MovieLens id, from ``id::Title (1995)::Genre|Genre``."""
    if path.suffix == ".csv":
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    else:
        data = path.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:  # the older archives
            text = data.decode("latin-1")
        lines = [line.split("::") for line in text.replace("\r", "").split("\n") if line]
        table = pd.DataFrame([line[:3] for line in lines])
    if table.shape[1] < 3:
        raise UsageError(f"{path.name}: holds no films as GroupLens writes them")
    parts = table.iloc[:, 1].str.strip().str.extract(r"^(.*?)\s*(?:\((\d{4})\))?$")
    genres = table.iloc[:, 2].replace("(no genres listed)", "").str.replace("|", " ")
    films = pd.DataFrame(
        {"title": parts[0], "year": pd.to_numeric(parts[1]).astype("Int64"), "genres": genres}
    )
    return films.set_index(table.iloc[:, 0].astype(np.int64))


def _one(raw: Path, *patterns: str) -> Path:
    """The one file that fits."""
    found = sorted(path for pattern in patterns for path in raw.rglob(pattern) if path.is_file())
    if len(found) != 1:
        names = sorted({path.name for path in raw.rglob("*") if path.is_file()})
        raise UsageError(
            f"the archives need to hold one {' or '.join(patterns)}, and hold {len(found)} among "
            f"{', '.join(names)[:200] or 'no file'}; the source is not what it was"
        )
    return found[0]
