"""The reader on a made-up wheel, and on the real one where it is installed."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.datasets import load
from benchmark.datasets.dataset import missing_rows
from benchmark.datasets.movielens import _knowledge, locate, read_movielens_100k
from models.errors import UsageError

NUM_ITEMS = 200


def write_wheel(site: Path) -> Path:
    """A RecBole whose import fails and whose films come in twins that share all their facts."""
    folder = site / "recbole" / "dataset_example" / "ml-100k"
    folder.mkdir(parents=True)
    (site / "recbole" / "__init__.py").write_text("raise ImportError('must not be imported')")
    metadata = site / "recbole-9.9.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: recbole\nVersion: 9.9\n")
    rng = np.random.default_rng(0)
    films = range(1, NUM_ITEMS + 1)
    inter = [f"{10 + film % 3}\t{film}\t{film % 5 + 1}\t8" for film in reversed(films)]
    item = [f"{film}\tWord{film // 2} Two\t{1990 + film % 9}\tDrama Sci-Fi" for film in films]
    item[6] = '7\t"Null\tunkonwn\tunkonwn'
    item[12] = "13\tNA\t1990\tDrama"
    link = [f"{film}\tm.{film}" for film in films if film != 9]
    facts = []
    for film in films[:-1:2]:  # the twins 1 and 2, 3 and 4, ...
        for actor in rng.choice(400, 6, replace=False):
            facts += [f"m.{twin}\tfilm.film.actor\ta.{actor}" for twin in (film, film + 1)]
        director = rng.integers(60)
        facts += [f"d.{director}\tfilm.director.film\tm.{twin}" for twin in (film, film + 1)]
    facts += ["m.11\tfilm.film.award\taward.only"]
    for kind, header, rows in (
        ("inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float", inter),
        (
            "item",
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
            item,
        ),
        ("link", "item_id:token\tentity_id:token", link),
        ("kg", "head_id:token\trelation_id:token\ttail_id:token", facts),
    ):
        (folder / f"ml-100k.{kind}").write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_wheel(tmp_path)
    monkeypatch.delitem(sys.modules, "recbole", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return folder


def test_ids_follow_the_original_order(wheel: Path) -> None:
    dataset = read_movielens_100k()
    assert dataset.name == "movielens-100k"
    assert dataset.source.startswith("RecBole 9.9 wheel")
    assert (dataset.num_users, dataset.num_items, len(dataset)) == (3, NUM_ITEMS, NUM_ITEMS)
    assert dataset.users.dtype == dataset.items.dtype == np.int64
    assert dataset.items[0] == NUM_ITEMS - 1  # the file starts with the last film
    assert dataset.users[0] == NUM_ITEMS % 3
    assert dataset.labels is None
    assert dataset.item_table is not None
    assert dataset.item_names == dataset.item_table["movielens_id"].astype(str).tolist()
    assert dataset.user_names == ["10", "11", "12"]


def test_item_table(wheel: Path) -> None:
    table = read_movielens_100k().item_table
    assert table is not None
    assert table.index.tolist() == list(range(NUM_ITEMS))
    assert table["movielens_id"].tolist() == list(range(1, NUM_ITEMS + 1))
    assert table.loc[2, "title"] == "Word1 Two"
    assert table.loc[2, "year"] == 1993
    assert table.loc[2, "genres"] == "Drama Sci-Fi"
    assert table["title"].iloc[[6, 12]].tolist() == ['"Null', "NA"]
    assert table["year"].isna().sum() == 1


def test_knowledge_joins_what_shares_facts(wheel: Path) -> None:
    features = read_movielens_100k().features
    knowledge = features["knowledge"].astype(np.float64)
    assert features["textual"].shape == (NUM_ITEMS, 64)
    assert knowledge.shape == (NUM_ITEMS, 128)
    # film 9 has no entity, so no facts; film 7 shares no word, genre or year with any other
    assert np.flatnonzero(missing_rows(knowledge)).tolist() == [8]
    assert np.flatnonzero(missing_rows(features["textual"])).tolist() == [6]
    knowledge /= np.linalg.norm(knowledge, axis=1, keepdims=True).clip(1e-9)
    similarity = knowledge @ knowledge.T
    np.fill_diagonal(similarity, -1)
    twins = np.arange(NUM_ITEMS) ^ 1
    with_twin = np.setdiff1d(np.arange(NUM_ITEMS), [8, 9])
    assert (similarity.argmax(1) == twins)[with_twin].all()
    # the fact that only film 11 has is dropped, so it still equals its twin
    assert similarity[10, 11] == pytest.approx(1, abs=1e-5)


def test_both_directions_of_a_fact_count_and_differ() -> None:
    link = pd.DataFrame({"item_id": ["5", "7"], "entity_id": ["m.5", "m.7"]})
    facts = pd.DataFrame(
        [("m.5", "sequel", "m.7"), ("d.1", "director", "m.5"), ("d.1", "born", "place")],
        columns=["head_id", "relation_id", "tail_id"],
    )
    assert _knowledge(link, facts, np.array([5, 6, 7])) == [
        ["sequel:m.7", "of director:d.1"],
        [],
        ["of sequel:m.5"],
    ]


def test_features_are_the_same_every_time(wheel: Path) -> None:
    assert read_movielens_100k().fingerprint == read_movielens_100k().fingerprint


def test_an_incomplete_recbole_says_how_to_mend_it(wheel: Path) -> None:
    (wheel / "ml-100k.kg").unlink()
    with pytest.raises(UsageError, match=r"incomplete.*ml-100k\.kg.*--force-reinstall recbole"):
        read_movielens_100k()


def test_no_recbole_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.datasets.movielens.find_spec", lambda name: None)
    assert locate() is None
    with pytest.raises(UsageError, match=r"pip install --no-deps recbole"):
        read_movielens_100k()


@pytest.mark.skipif(locate() is None, reason="RecBole is not installed")
def test_the_real_files(tmp_path: Path) -> None:
    dataset = load("movielens-100k", tmp_path)
    assert (dataset.num_users, dataset.num_items, len(dataset)) == (943, 1682, 100_000)
    assert dataset.duplicates == 0
    assert dataset.item_table is not None
    assert dataset.item_table["title"].iloc[0] == "Toy Story"
    assert dataset.item_table["year"].iloc[0] == 1995
    assert missing_rows(dataset.features["knowledge"]).sum() == 86


@pytest.mark.skipif(locate() is None, reason="RecBole is not installed")
def test_reading_does_not_import_recbole() -> None:
    code = (
        "import sys; from benchmark.datasets import load; load('movielens-100k', None); "
        "sys.exit('recbole' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
