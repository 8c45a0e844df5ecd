"""From the catalogue to a data set that loads, against a server on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from misbehaving_server import MisbehavingServer, misbehaving_server

from benchmark.data import main
from benchmark.datasets import load
from benchmark.downloads.arrangement import ENCODERS
from benchmark.downloads.catalogue import BY_HAND, CATALOGUE
from benchmark.downloads.download import download
from benchmark.downloads.transfer import Patience, Remote, UnreachableError
from benchmark.downloads.zenodo import Deposit, look_up
from models.errors import UsageError

HASTE = Patience(attempts=2, timeout=1, pause=0.01)
FILMS = 80
TITLES = [f"word{i} word{(i + 1) % FILMS}: The Café (19{10 + i})" for i in range(FILMS)]
RATINGS = [(user, 10 * (film + 1)) for user in (3, 1, 7) for film in range(FILMS) if film != user]


def packed(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def md5(data: bytes) -> str:
    return "md5:" + hashlib.md5(data).hexdigest()


def grouplens(folder: str, encoding: str = "latin-1") -> bytes:
    ratings = "".join(f"{user}::{film}::5::978300760\n" for user, film in RATINGS)
    films = [f"{10 * (i + 1)}::{title}::Drama|Sci-Fi" for i, title in enumerate(TITLES)]
    films.append("9::Never Rated::Comedy")
    return packed({f"{folder}/ratings.dat": ratings.encode(), f"{folder}/README": b"",
                   f"{folder}/movies.dat": "\n".join(films).encode(encoding)})  # fmt: skip


def array(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values))
    return file.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MisbehavingServer]:
    """Stands for GroupLens and Zenodo, and for nothing else that tests could reach."""
    monkeypatch.setattr("benchmark.datasets.locate", lambda: None)
    with misbehaving_server() as each:
        monkeypatch.setattr("benchmark.downloads.zenodo.API", f"{each.url}/api/records/")
        for name, offer in CATALOGUE.items():
            here = [replace(s, url=f"{each.url}/{s.name}") if isinstance(s, Remote) else s
                    for s in offer.sources]  # fmt: skip
            monkeypatch.setitem(CATALOGUE, name, replace(offer, sources=tuple(here)))
        yield each


def publish(server: MisbehavingServer, name: str, data: bytes) -> None:
    """Let the catalogue have the checksum of an archive that was made up here."""
    server.files[f"/{name}.zip"] = data
    for key, offer in CATALOGUE.items():
        sources = [replace(s, checksum=md5(data))
                   if isinstance(s, Remote) and s.name == f"{name}.zip" else s
                   for s in offer.sources]  # fmt: skip
        CATALOGUE[key] = replace(offer, sources=tuple(sources))


def deposit(server: MisbehavingServer, record: int, files: dict[str, bytes]) -> None:
    """The answer of Zenodo's API, in the form of today."""
    listed = []
    for key, data in files.items():
        place = f"/api/records/{record}/files/{key}/content"
        server.files[place] = data
        listed.append({"id": "40d1f7e9", "key": key, "size": len(data), "checksum": md5(data),
                       "links": {"self": server.url + place}})  # fmt: skip
    answer = {"id": record, "files": listed, "metadata": {"license": {"id": "cc-by-4.0"}},
              "links": {"self": f"https://zenodo.org/api/records/{record}"}}  # fmt: skip
    server.files[f"/api/records/{record}"] = json.dumps(answer).encode()


def encoders() -> bytes:
    vectors = {10 * (i + 1): [i, 1.0] for i in range(FILMS - 1)} | {9: [9, 9]}
    data = json.dumps(vectors).encode()
    return packed(
        {f"json/{stem}.json": data for stem in ENCODERS} | {"__MACOSX/json/vgg.json": b""}
    )


@pytest.mark.parametrize(
    ("name", "folder", "encoding"),
    [("ml-1m", "ml-1m", "latin-1"), ("ml-10m", "ml-10M100K", "utf-8")],
)
def test_ratings_of_grouplens(
    name: str,
    folder: str,
    encoding: str,
    server: MisbehavingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = grouplens(folder, encoding)
    publish(server, name, data)
    assert main(["download", name, "--data-root", str(tmp_path / "data")]) == 0
    text = capsys.readouterr().out
    root = tmp_path / "data"
    for words in ("for research", f"{name}-README", md5(data), hashlib.sha256(data).hexdigest(),
                  f"--dataset {name} --data-root {root}", "and should be"):  # fmt: skip
        assert words in text
    assert text.index("for research") < text.index(f"{server.url}/{name}.zip")
    dataset = load(name, tmp_path / "data")
    assert (dataset.num_users, dataset.num_items, len(dataset)) == (3, FILMS, len(RATINGS))
    # users 1, 3, 7 and films 10, 20, ... are numbered in this order
    users, items = dataset.users.tolist(), dataset.items.tolist()
    again = [((1, 3, 7)[user], 10 * (item + 1)) for user, item in zip(users, items, strict=True)]
    assert again == RATINGS
    assert dataset.features["textual"].shape == (FILMS, 64)
    assert dataset.item_table is not None
    first = dataset.item_table.iloc[0].to_dict()
    assert first == {"movielens_id": "10", "title": "word0 word1: The Café", "year": "1910",
                     "genres": "Drama Sci-Fi"}  # fmt: skip
    assert sorted(each.name for each in (tmp_path / "data").iterdir()) == ["downloads", name]


def test_ratings_in_csv(server: MisbehavingServer, tmp_path: Path) -> None:
    ratings = "".join(f"{user},{film},3.5,1112486027\n" for user, film in RATINGS)
    films = "".join(f'{10 * (i + 1)},"{t}",(no genres listed)\n' for i, t in enumerate(TITLES))
    archive = packed({"ml-20m/ratings.csv": b"userId,movieId,rating,timestamp\n" + ratings.encode(),
                      "ml-20m/movies.csv": b"movieId,title,genres\n" + films.encode()})  # fmt: skip
    publish(server, "ml-20m", archive)
    told = list[str]()
    dataset = download("ml-20m", tmp_path, told.append, HASTE)
    assert (dataset.num_users, dataset.num_items, len(dataset)) == (3, FILMS, len(RATINGS))
    assert dataset.item_table is not None
    assert dataset.item_table["genres"].isna().all()
    assert load("ml-20m", tmp_path).fingerprint == dataset.fingerprint


def test_ratings_with_encoders(server: MisbehavingServer, tmp_path: Path) -> None:
    publish(server, "ml-1m", grouplens("ml-1m"))
    deposit(server, 15403972, {"ml1m_mm_json.zip": encoders(), "ml1m_mm_pkl.zip": b"never asked"})
    told = list[str]()
    download("ml-1m-multimodal", tmp_path, told.append, HASTE)
    assert any("according to" in line and line.endswith("cc-by-4.0") for line in told)
    dataset = load("ml-1m-multimodal", tmp_path)
    assert dataset.name == "ml-1m-multimodal"
    assert sorted(dataset.features) == sorted(ENCODERS.values())
    expected = np.array([[i, 1] for i in range(FILMS - 1)] + [[0, 0]], dtype=np.float32)
    for matrix in dataset.features.values():
        assert np.array_equal(matrix, expected)


def test_features_in_folders(server: MisbehavingServer, tmp_path: Path) -> None:
    inter = "userID\titemID\trating\tx_label\n0\t0\t1\t0\n0\t1\t0\t1\n1\t1\t1\t2\n"
    archive = packed({"data/m3l-10m.inter": inter.encode(), "data/text/mpnet.npy": array(np.eye(2)),
                      "data/image/clip_image.npy": array([[1.0], [2.0]])})  # fmt: skip
    deposit(server, 18499145, {"MMRec_M3L-10M.zip": archive, "MMRec_M3L-20M.zip": b"",
                               "TEXT_mpnet.zip": b""})  # fmt: skip
    download("m3l-10m", tmp_path, lambda line: None, HASTE)
    dataset = load("m3l-10m", tmp_path)
    assert {name: matrix.tolist() for name, matrix in dataset.features.items()} == {
        "text_mpnet": [[1, 0], [0, 1]], "image_clip_image": [[1], [2]],
    }  # fmt: skip
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 1, 2]


def test_what_was_fetched_is_not_fetched_again(server: MisbehavingServer, tmp_path: Path) -> None:
    publish(server, "ml-1m", grouplens("ml-1m"))
    with pytest.raises(UnreachableError, match="15403972"):
        download("ml-1m-multimodal", tmp_path, lambda line: None, HASTE)
    assert [each.name for each in tmp_path.iterdir()] == ["downloads"]
    deposit(server, 15403972, {"ml1m_mm_json.zip": encoders()})
    server.asked.clear()
    download("ml-1m-multimodal", tmp_path, lambda line: None, HASTE)
    assert "/ml-1m.zip" not in [path for path, _ in server.asked]


@pytest.mark.parametrize("known", [True, False])
def test_offline_with_files_put_there_by_hand(
    known: bool, server: MisbehavingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ratings, features = grouplens("ml-1m"), encoders()
    publish(server, "ml-1m", ratings)
    offer = CATALOGUE["ml-1m-multimodal"]
    by_hand = Deposit(15403972, "ml1m_mm_json.zip", md5(features) if known else None)
    monkeypatch.setitem(
        CATALOGUE, "ml-1m-multimodal", replace(offer, sources=(offer.sources[0], by_hand))
    )
    archives = tmp_path / "downloads"
    archives.mkdir()
    (archives / "ml-1m.zip").write_bytes(ratings)
    (archives / "ml1m_mm_json.zip").write_bytes(features)
    server.moods = ["500"] * 9
    told = list[str]()
    download("ml-1m-multimodal", tmp_path, told.append, HASTE)
    assert any("NOT VERIFIED" in line for line in told) is not known
    assert hashlib.sha256(features).hexdigest() in told[-2]
    assert load("ml-1m-multimodal", tmp_path).num_items == FILMS


def test_a_damaged_download_leaves_no_data_set(server: MisbehavingServer, tmp_path: Path) -> None:
    publish(server, "ml-1m", grouplens("ml-1m"))
    server.moods = ["corrupt"]
    with pytest.raises(UsageError, match="md5 checksum is"):
        download("ml-1m", tmp_path, lambda line: None, HASTE)
    publish(
        server, "ml-1m", packed({"ml-1m/ratings.dat": b"no ratings\n", "movies.dat": b"1::A::B"})
    )
    with pytest.raises(UsageError, match=r"ratings\.dat: holds no ratings"):
        download("ml-1m", tmp_path, lambda line: None, HASTE)
    (tmp_path / "downloads" / "ml-1m.zip").unlink()
    publish(server, "ml-1m", packed({"other.txt": b""}))
    with pytest.raises(UsageError, match=r"hold 0 among other\.txt"):
        download("ml-1m", tmp_path, lambda line: None, HASTE)
    assert [each.name for each in tmp_path.iterdir()] == ["downloads"]


def test_remains_of_a_killed_run_do_no_harm(server: MisbehavingServer, tmp_path: Path) -> None:
    publish(server, "ml-1m", grouplens("ml-1m"))
    remains = tmp_path / ".arranging-ml-1m" / "archives" / "old"
    remains.mkdir(parents=True)
    (remains / "ratings.dat").write_bytes(b"half")
    download("ml-1m", tmp_path, lambda line: None, HASTE)
    assert not remains.exists()


def test_two_downloads_do_not_meet(server: MisbehavingServer, tmp_path: Path) -> None:
    (tmp_path / "downloads").mkdir()
    with (
        FileLock(tmp_path / "downloads" / ".lock"),
        pytest.raises(UsageError, match="another download"),
    ):
        download("ml-1m", tmp_path, lambda line: None, HASTE)
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nonsense", ("'nonsense'", "ml-1m-multimodal", "ml-20m", "baby")),
        ("baby", ("'baby'", "drive.google.com", "--dataset baby")),
        ("ml-1m", ("exists already", "ml-1m")),
        ("ml-10m", ("cannot be written", "--data-root")),
    ],
)
def test_mistakes_get_one_line(
    name: str,
    words: tuple[str, ...],
    server: MisbehavingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "downloads").write_text("a file in the way")
    assert main(["download", name, "--data-root", str(tmp_path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    for word in words:
        assert word in line
    assert server.asked == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>", "not of the form"),
        (b'{"files": {"entries": {}}}', "not of the form"),
        (
            b'{"files": [{"key": "a.zip", "size": 1, "checksum": "7", "links": {"self": "x"}}]}',
            "'7'",
        ),
        (b'{"files": [{"key": "b.zip"}]}', "has b.zip"),
        (b'{"files": []}', "has none at all"),
    ],
)
def test_odd_answers_of_zenodo(answer: bytes, words: str, server: MisbehavingServer) -> None:
    server.files["/api/records/7"] = answer
    with pytest.raises(UsageError, match=words) as caught:
        look_up(Deposit(7, "a.zip"), "put it there", HASTE)
    assert "put it there" in str(caught.value)


def test_list_shows_what_can_be_had(
    server: MisbehavingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, "ml-1m", grouplens("ml-1m"))
    assert main(["list", "--data-root", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for words in (*CATALOGUE, *BY_HAND, "download NAME", "1,000,209", "drive.google.com"):
        assert words in text
    download("ml-1m", tmp_path, lambda line: None, HASTE)
    assert main(["list", "--data-root", str(tmp_path)]) == 0
    at_hand, to_be_had = capsys.readouterr().out.split("to be had")
    assert re.search(r"^ *ml-1m ", at_hand, re.MULTILINE)
    assert not re.search(r"^ *ml-1m ", to_be_had, re.MULTILINE)
    assert server.asked == [("/ml-1m.zip", None)]


def test_the_catalogue_is_well_formed() -> None:
    for offer in CATALOGUE.values():
        assert offer.sources
        for source in offer.sources:
            assert source.checksum is None or re.fullmatch("md5:[0-9a-f]{32}", source.checksum)
            if isinstance(source, Remote):
                assert source.checksum
                assert source.url.startswith("https://")
                assert source.url.endswith(f"/{source.name}")
