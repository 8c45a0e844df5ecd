"""One small data set in every layout: read alike where it is right, refused where it is wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from small_layouts import (
    FEATURES,
    LAYOUTS,
    PAIRS,
    as_objects,
    converted,
    csv,
    made,
    matrix,
    mmgcn,
    mmrec,
    recbole,
)

from benchmark.datasets import Dataset, available, load
from benchmark.datasets.converted import write_converted
from benchmark.datasets.dataset import missing_rows
from benchmark.datasets.object_arrays import read_lists
from benchmark.datasets.sources import SOURCES, read, recognise
from models.errors import UsageError


@pytest.fixture(params=LAYOUTS, ids=lambda layout: str(layout.__name__))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The data set in one layout after the other."""
    return made(tmp_path, request.param)


def pairs(dataset: Dataset) -> set[tuple[int, int]]:
    return set(zip(dataset.users.tolist(), dataset.items.tolist(), strict=True))


def test_every_layout_gives_the_same_data(folder: Path) -> None:
    dataset = load("shop", folder.parent)
    assert (dataset.name, dataset.num_users, dataset.num_items) == ("shop", 3, 4)
    assert dataset.users.dtype == dataset.items.dtype == np.int64
    assert pairs(dataset) == {(user, item) for user, item, _ in PAIRS}
    if (folder / "interactions.npz").exists():
        assert dataset.labels is None
    else:
        assert dataset.labels is not None
        found = zip(dataset.users, dataset.items, dataset.labels, strict=True)
        assert {tuple(map(int, row)) for row in found} == set(PAIRS)
    assert list(dataset.features) == ["image"]
    np.testing.assert_array_equal(dataset.features["image"], FEATURES)
    assert available(folder.parent)[-1] == "shop"
    assert len(recognise(folder)) == 1


def test_every_layout_survives_conversion(folder: Path) -> None:
    dataset = read(folder)
    write_converted(dataset, folder.parent / "fast")
    again = load("fast", folder.parent)
    assert again.fingerprint == dataset.fingerprint
    assert (again.user_names, again.item_names) == (dataset.user_names, dataset.item_names)
    assert isinstance(again.features["image"], np.memmap)
    assert "shop" in again.source


def test_users_and_items_keep_their_names(tmp_path: Path) -> None:
    numbers = ["0", "1", "2", "3"]
    for layout, users, items in (
        (mmrec, None, None),
        (recbole, ["u0", "u1", "u2"], ["i0", "i1", "i2", "i3"]),
        (mmgcn, None, ["3", "4", "5", "6"]),
        (csv, numbers[:3], numbers),
        (matrix, None, None),
    ):
        dataset = read(made(tmp_path / layout.__name__, layout))
        assert (dataset.user_names, dataset.item_names) == (users, items)


def test_every_layout_is_documented_by_a_tree() -> None:
    for source in SOURCES:
        text = str(source.read.__doc__)
        assert "::" in text, source.title
        assert any(line.strip().endswith("/") for line in text.splitlines()), source.title


def test_every_layout_refuses_cut_off_files(folder: Path) -> None:
    """Whatever is left of a file is either the data or a mistake that the user is told of."""
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for size in {0, 1, 7, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:size])
            with contextlib.suppress(UsageError):  # and nothing else
                read(folder)
        path.write_bytes(whole)
    read(folder)


def test_every_layout_survives_damage(folder: Path) -> None:
    """Bytes changed, put in and taken out anywhere raise nothing but what the user is told."""
    generator = np.random.default_rng(0)
    files = sorted(folder.iterdir())
    for _ in range(60):
        path = files[generator.integers(len(files))]
        whole = path.read_bytes()
        start, end = np.sort(generator.integers(len(whole), size=2))
        noise = generator.integers(0, 256, generator.integers(1, 9), dtype=np.uint8).tobytes()
        path.write_bytes(whole[:start] + noise + whole[min(end, start + len(noise)) :])
        with contextlib.suppress(UsageError):
            read(folder)
        path.write_bytes(whole)


def test_every_layout_refuses_noise(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 200, dtype=np.uint8).tobytes()
    for path in sorted(folder.iterdir()):
        if path.name == "user_item_dict.npy":
            continue
        whole = path.read_bytes()
        path.write_bytes(noise)
        with pytest.raises(UsageError, match=str(folder)):
            read(folder)
        path.write_bytes(whole)


def test_every_layout_refuses_loops_and_pipes(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.name == "user_item_dict.npy":
            continue
        whole = path.read_bytes()
        path.unlink()
        path.symlink_to(path)
        with pytest.raises(UsageError, match=str(folder)):
            read(folder)
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(UsageError, match=str(folder)):
            read(folder)
        path.unlink()
        path.write_bytes(whole)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("layout", [mmrec, mmgcn, csv, matrix, converted])
def test_every_layout_refuses_features_that_are_no_numbers(
    layout: Callable[[Path], None], value: float, tmp_path: Path
) -> None:
    place = made(tmp_path, layout)
    wrong = FEATURES.copy()
    wrong[2, 1] = value
    [file] = place.glob("image*.npy")
    np.save(file, wrong)
    with pytest.raises(UsageError, match=r"image.*row 2 .*NaN or infinity"):
        read(place)


@pytest.mark.parametrize(
    "header",
    [b"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2, }", b"{'descr': (((", b"1 +",
     b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 1000000)}",
     b"{'descr': '|O', 'fortran_order': False, 'shape': (4, 2)}"],
)  # fmt: skip
@pytest.mark.parametrize("layout", [mmrec, mmgcn, csv, matrix, converted])
def test_every_layout_refuses_damaged_arrays(
    layout: Callable[[Path], None], header: bytes, tmp_path: Path
) -> None:
    place = made(tmp_path, layout)
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + bytes(32)
    for file in place.glob("*.npy"):
        if file.name == "user_item_dict.npy":
            continue
        whole = file.read_bytes()
        file.write_bytes(data)
        with pytest.raises(UsageError, match=file.name):
            read(place)
        file.write_bytes(whole)


def test_arrays_that_python_2_wrote(tmp_path: Path) -> None:
    place = made(tmp_path, mmrec)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4L, 2L)}\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + FEATURES.tobytes()
    (place / "image_feat.npy").write_bytes(data)
    np.testing.assert_array_equal(read(place).features["image"], FEATURES)


def test_a_folder_without_data_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path)
    for source in SOURCES:
        assert source.sign in str(caught.value)


def test_a_folder_of_two_layouts_names_both(tmp_path: Path) -> None:
    place = made(tmp_path, mmrec)
    matrix(place)
    with pytest.raises(UsageError, match=r"MMRec \(.*matrix \(interactions\.npz\); move"):
        read(place)
    assert available(tmp_path)[-1] == "shop"


# items named by tokens, and features that name their items

TOKENS = ["b", "a", "10", "9"]


def by_name(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"user {user},{TOKENS[item]}\n" for user, item, _ in PAIRS)
    (folder / "interactions.csv").write_text("user,item\n" + lines)
    return folder


ROWS = {"a": [3.0, 4.0], "9": [7.0, 8.0], "b": [1.0, 2.0], "elsewhere": [0.5, 0.5]}
IN_ORDER = [[0, 0], [7, 8], [3, 4], [1, 2]]  # 10, 9, a, b, as text


def features_csv(folder: Path) -> None:
    text = "".join(f"{name},{a},{b}\n" for name, (a, b) in ROWS.items())
    (folder / "image.csv").write_text("item,f0,f1\n" + text)


def features_json(folder: Path) -> None:
    (folder / "image_embeddings.json").write_text(json.dumps(ROWS))


def features_files(folder: Path) -> None:
    for name, row in ROWS.items():
        place = folder / "image_embeddings" / "torch" / "ResNet50" / "avgpool"
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{name}.npy", np.array([row]))


def features_parquet(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    table = pd.DataFrame.from_dict(ROWS, orient="index", columns=["f0", "f1"])
    table.rename_axis("item").reset_index().to_parquet(folder / "image.parquet")


KEYED = (features_csv, features_json, features_files, features_parquet)


@pytest.mark.parametrize("write", KEYED)
def test_features_that_name_their_items(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(by_name(tmp_path / "shop"))
    dataset = read(tmp_path / "shop")
    assert list(dataset.features) == ["image"]
    image = dataset.features["image"]
    assert image.tolist() == IN_ORDER
    assert missing_rows(image).tolist() == [True, False, False, False]
    names = ["10", "9", "a", "b"]
    found = {(user, TOKENS.index(names[item])) for user, item in pairs(dataset)}
    assert found == {(user, item) for user, item, _ in PAIRS}


def test_whole_numbers_are_ordered_by_size_however_large(tmp_path: Path) -> None:
    text = "user,item\n" + f"7,{10**17}\n7,9\n8,10\n"
    (tmp_path / "interactions.csv").write_text(text)
    dataset = read(tmp_path)
    assert (dataset.num_users, dataset.num_items) == (2, 3)
    assert dataset.items.tolist() == [2, 0, 1]
    (tmp_path / "interactions.csv").write_text("user,item\n8,10\n7,9\n" + f"7,{10**17}\n")
    assert pairs(read(tmp_path)) == pairs(dataset)


def test_one_long_name_does_not_make_all_long(tmp_path: Path) -> None:
    lines = "".join(f"0,item {item}\n" for item in range(20_000))
    (tmp_path / "interactions.csv").write_text(f"user,item\n0,{'x' * 5_000_000}\n{lines}")
    assert read(tmp_path).num_items == 20_001  # as an array of strings of one length: 400 GB


def test_folders_are_searched_to_a_depth(tmp_path: Path) -> None:
    place = by_name(tmp_path / "shop")
    (place / "1/2/3/4/5/6/7/8").mkdir(parents=True)
    np.save(place / "1/2/3/4/5/6/7/8/a.npy", np.ones(2))
    assert read(place).features == {}
    np.save(place / "1/2/3/4/5/6/7/a.npy", np.ones(2))
    assert list(read(place).features) == ["1"]


def test_several_folders_of_one_modality_are_several_modalities(tmp_path: Path) -> None:
    place = by_name(tmp_path / "shop")
    for model in ("vgg", "vit"):
        (place / "visual" / model).mkdir(parents=True)
        np.save(place / "visual" / model / "a.npy", np.ones(3))
    assert list(read(place).features) == ["visual.vgg", "visual.vit"]


def test_any_number_of_modalities_of_any_form(tmp_path: Path) -> None:
    place = made(tmp_path, csv)
    (place / "text.json").write_text(json.dumps({"3": [1, 2, 3]}))
    (place / "sound").mkdir()
    np.save(place / "sound" / "0.npy", np.ones(1))
    dataset = read(place)
    widths = {name: matrix.shape for name, matrix in dataset.features.items()}
    assert widths == {"image": (4, 2), "sound": (4, 1), "text": (4, 3)}
    assert missing_rows(dataset.features["text"]).tolist() == [True, True, True, False]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    place = by_name(tmp_path / "shop")
    features_files(place)
    (place / "image_embeddings" / "again").symlink_to(place)
    assert list(read(place).features) == ["image"]


def test_names_of_items_do_not_lead_elsewhere(tmp_path: Path) -> None:
    place = tmp_path / "shop"
    (place / "image").mkdir(parents=True)
    np.save(tmp_path / "secret.npy", np.full(2, 42.0))
    np.save(place / "image" / "a.npy", np.ones(2))
    (place / "interactions.csv").write_text("user,item\n0,../../secret\n0,a\n")
    assert read(place).features["image"].tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("image.json", "{", "no JSON"),
        ("image.json", "[" * 100_000, "no JSON"),
        ("image.json", "[[1, 2]]", "needs to be {item"),
        ("image.json", '{"a": "x"}', "needs to be {item"),
        ("image.json", "{}", "needs to be {item"),
        ("image.json", '{"a": [1, 2], "b": [1]}', "row of item 'b' has shape"),
        ("image.json", '{"a": [1, "x"]}', "row of item 'a' is no list of numbers"),
        ("image.json", '{"a": [1], "a": [2]}', "'a' comes twice"),
        ("image.json", '{"a": [1, NaN]}', "NaN"),
        ("image.json", '{"a": [1, 1e300]}', "infinity"),
        ("image.json", '{"a": [1, ' + "9" * 400 + "]}", "image.json"),
        ("image.json", '{"c": [1, 2]}', "knows none of the items.*'10'.*'c'"),
        ("image.json", '{"a": []}', "no vectors"),
        ("image.json", b'{"\xff": [1]}', "not UTF-8"),
        ("image.csv", "", "is empty"),
        ("image.csv", "item\na\n", "columns of numbers"),
        ("users.csv", "user,age\na,1\n", "first column is 'user', not 'item'.*move the file away"),
        ("image.csv", "item,f0\na,x\n", "no proper table.*x"),
        ("image.csv", "item,f0\na,1\nb,1,2\n", "no proper table.*line 3"),
        ("image.csv", "item,f0,f1\na,1\n", "NaN"),
        ("image.csv", 'item,f0\n"a,1\n', "no proper table"),
        ("image.csv", "item,f0\na,1\na,2\n", "'a' comes twice"),
        ("image.npy", FEATURES, "item '10' is out|item 'a' is no row number of image.npy"),
        ("image/c.npy", np.ones(2), "no file is named after an item"),
        ("image/a.npy", np.ones((2, 2)), r"shape \(2, 2\)"),
        ("image/a.npy", np.array([None]), "no plain array"),
        ("image/a.npy", np.array(["x"]), "holds <U1"),
        ("image/a.npy", np.array([np.nan, 1]), "NaN"),
        ("image/a.npy", b"", "no plain array"),
    ],
)  # fmt: skip
def test_wrong_features(
    file: str, content: str | bytes | np.ndarray[Any, Any], message: str, tmp_path: Path
) -> None:
    place = by_name(tmp_path / "shop")
    (place / file).parent.mkdir(exist_ok=True)
    if isinstance(content, np.ndarray):
        np.save(place / file, content, allow_pickle=True)
    else:
        (place / file).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(
        UsageError, match=f"{file.partition('/')[0]}.*{message}|{message}"
    ) as caught:
        read(place)
    assert "\n" not in str(caught.value)


def test_vectors_of_different_length(tmp_path: Path) -> None:
    place = by_name(tmp_path / "shop")
    (place / "image").mkdir()
    np.save(place / "image" / "a.npy", np.ones(2))
    np.save(place / "image" / "b.npy", np.ones(3))
    with pytest.raises(UsageError, match=r"row of item 'b' has shape \(3,\), those before it \(2"):
        read(place)


def test_two_files_of_one_modality(tmp_path: Path) -> None:
    place = by_name(tmp_path / "shop")
    features_csv(place)
    features_json(place)
    with pytest.raises(UsageError, match=r"modality 'image', and so does .*image"):
        read(place)


def test_features_that_would_not_fit_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = by_name(tmp_path / "shop")
    features_json(place)
    monkeypatch.setattr("benchmark.datasets.placement.LARGEST_MATRIX", 7)
    with pytest.raises(UsageError, match=r"4 items of 2 numbers are too many.*PCA"):
        read(place)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "interactions.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"interactions\.parquet: .*pip install pyarrow"):
        read(tmp_path)


def test_parquet_interactions(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = pd.DataFrame(PAIRS, columns=["user", "item", "x_label"])
    table.to_parquet(tmp_path / "interactions.parquet")
    dataset = read(tmp_path)
    assert pairs(dataset) == {(user, item) for user, item, _ in PAIRS}
    assert dataset.describe()["split"] == "shipped: 5 train, 1 validation, 2 test"
    (tmp_path / "interactions.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(UsageError, match=r"interactions\.parquet: "):
        read(tmp_path)
    table.assign(item=0.5).to_parquet(tmp_path / "interactions.parquet")
    with pytest.raises(UsageError, match=r"'item' holds float64 values"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("user,item\n", "holds no interaction"),
        ("person,thing\n1,2\n", "needs one column 'user'"),
        ("user,thing\n1,2\n", "needs one column 'item'"),
        ("user,item\n1,2\n,3\n", "row 2 has no 'user'"),
        ("user,item\n1,2\n3\n", "row 2 has no 'item'"),
        ("user,item\n1,2,3\n", "no proper table"),
        ("user,item,split\n1,2,train\n1,3,later\n", "row 2 has 'later' as 'split'"),
        ("user,item,split\n1,2,train\n", "validation part is empty"),
        (b"user,item\n\xff,1\n", "not UTF-8"),
        (b"\x1f\x8b\x08", "not UTF-8"),
        ("x" * 200_000 + "\n", "no proper header"),
        ("user,user_id,item\n1,2,3\n", "needs one column 'user' .* has 2"),
    ],
)
def test_wrong_tables(text: str | bytes, message: str, tmp_path: Path) -> None:
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / "interactions.csv").write_bytes(data)
    with pytest.raises(UsageError, match=rf"interactions\.csv: .*{message}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("item", "message"),
    [("-1", "no row"), ("4", "out of range"), (str(10**18), "no row"), ("1.0", "no row")],
)
def test_items_beyond_the_rows_of_features(item: str, message: str, tmp_path: Path) -> None:
    place = made(tmp_path, csv)
    with (place / "interactions.csv").open("a") as file:
        file.write(f"0,{item},9,train\n")
    with pytest.raises(UsageError, match=rf"interactions\.csv: .*{message}.*image\.npy"):
        read(place)


def test_a_table_of_items(tmp_path: Path) -> None:
    place = by_name(tmp_path / "shop")
    (place / "items.csv").write_text('item,title\nb,"B, or not"\na,NA\nz,Z\n9,\n')
    table = read(place).item_table
    assert table is not None
    assert table["title"].fillna("?").tolist() == ["?", "?", "NA", "B, or not"]


# RecBole


def test_atomic_files_know_their_items(tmp_path: Path) -> None:
    dataset = read(made(tmp_path, recbole))
    assert dataset.item_table is not None
    assert dataset.item_table["title"].tolist() == [f"Film {item}" for item in range(4)]
    assert "image" not in dataset.item_table


def test_one_atomic_file_has_no_split(tmp_path: Path) -> None:
    place = tmp_path / "shop"
    place.mkdir()
    lines = "".join(f"{10 * item}\t{user}\n" for user, item, _ in PAIRS)
    (place / "shop.inter").write_text("item_id:token\tuser_id:token\n" + lines)
    dataset = read(place)
    assert dataset.labels is None
    assert pairs(dataset) == {(user, item) for user, item, _ in PAIRS}


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("shop.valid.inter", "user_id:token", "person:token", "needs one column 'user'"),
        ("shop.item", "item_id:token", "thing:token", "needs one column 'item'"),
        ("shop.item", "image:float_seq", "../image:float_seq", r"modality '\.\./image'"),
        ("shop.item", "movie_title:token_seq", "image:token", "two columns 'image'"),
        ("shop.item", "\t5 6", "\t5", r"item 'i2' has shape \(1,\)"),
        ("shop.item", "\t5 6", "\t5 x", "item 'i2' is no list of numbers"),
        ("shop.item", "i2\t", "i1\t", "'i1' comes twice"),
        ("shop.item", "\t5 6", "\t5 6\t7", "no proper table"),
        ("shop.train.inter", "u0\ti0", "\ti0", "has no 'user_id'"),
    ],
)
def test_wrong_atomic_files(file: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    place = made(tmp_path, recbole)
    text = (place / file).read_text()
    assert old in text
    (place / file).write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=message):
        read(place)


def test_a_title_of_ones_own_stays(tmp_path: Path) -> None:
    place = made(tmp_path, recbole)
    text = (place / "shop.item").read_text()
    (place / "shop.item").write_text(text.replace("image:float_seq", "title:token"))
    table = read(place).item_table
    assert table is not None
    assert table.columns.tolist() == ["movie_title", "title"]
    assert table["title"].iloc[0] == "1 2"


def test_a_vector_and_a_file_of_one_modality(tmp_path: Path) -> None:
    place = made(tmp_path, recbole)
    (place / "image.json").write_text('{"i0": [1]}')
    with pytest.raises(UsageError, match=r"shop\.item: has modality 'image', and so has a file"):
        read(place)


def test_an_empty_vector_is_missing(tmp_path: Path) -> None:
    place = made(tmp_path, recbole)
    text = (place / "shop.item").read_text()
    (place / "shop.item").write_text(text.replace("\t5 6", "\t"))
    assert missing_rows(read(place).features["image"]).tolist() == [False, False, True, False]


# MMGCN


def test_names_of_the_released_features(tmp_path: Path) -> None:
    place = made(tmp_path, mmgcn)
    (place / "image_feat.npy").unlink()
    for name in ("FeatureVideo_normal", "FeatureAudio_avg_normal", "t_feat", "own"):
        np.save(place / f"{name}.npy", FEATURES)
    assert sorted(read(place).features) == ["audio", "own", "text", "video"]
    np.save(place / "v_feat.npy", FEATURES)
    with pytest.raises(UsageError, match="several are the same modality"):
        read(place)


def test_gaps_are_found_before_features_are_made_for_them(tmp_path: Path) -> None:
    place = made(tmp_path, mmrec)
    (place / "image_feat.npy").unlink()
    (place / "image.json").write_text('{"0": [1]}')
    assert missing_rows(read(place).features["image"]).tolist() == [False, True, True, True]
    with (place / "shop.inter").open("a") as file:
        file.write("0\t99999999\t0\n")
    with pytest.raises(UsageError, match=r"shop\.inter: 9 interactions with item ids up to 9+;"):
        read(place)


@pytest.mark.parametrize(
    ("pairs", "rows", "message"),
    [
        ([(0, 2)], 4, "item id 2 is a user's as well"),
        ([(0, 7)], 4, r"do not fit into the 4 rows"),
        ([(0, -1)], 4, "outside 0"),
        ([(0, 10**18)], 4, "outside 0"),
        ([(10**18, 4)], 4, "outside 0"),
    ],
)
def test_wrong_ids(pairs: list[tuple[int, int]], rows: int, message: str, tmp_path: Path) -> None:
    place = made(tmp_path, mmgcn)
    train = np.concatenate([np.load(place / "train.npy"), pairs])
    np.save(place / "train.npy", train)
    with pytest.raises(UsageError, match=rf"train\.npy: .*{message}"):
        read(place)


def test_ids_that_leave_open_where_items_begin(tmp_path: Path) -> None:
    place = made(tmp_path, mmgcn)
    for name in ("train", "val_full", "test_full"):
        path = place / f"{name}.npy"
        rows = [[row[0], *(int(node) + 1 for node in row[1:])] for row in read_lists(path)]
        np.save(path, as_objects([[int(value) for value in row] for row in rows]))
    assert read(place).num_users == 4  # users 0 to 3, items from 4: four rows, the last is used
    np.save(place / "image_feat.npy", np.ones((5, 2)))
    with pytest.raises(UsageError, match=r"item 0 may have any id in 3\.\.4"):
        read(place)


@pytest.mark.parametrize("missing", ["val_full", "test_full"])
def test_all_three_parts_are_needed(missing: str, tmp_path: Path) -> None:
    place = made(tmp_path, mmgcn)
    (place / f"{missing}.npy").unlink()
    with pytest.raises(UsageError, match=f"has no '{missing}.npy'"):
        read(place)


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_lists_of_every_pickle(protocol: int, tmp_path: Path) -> None:
    rows = [[0, 5, 6], [1, 7], [2, 300_000, -4]]
    save_pickle(tmp_path / "lists.npy", as_objects(rows), protocol)
    assert read_lists(tmp_path / "lists.npy") == rows


def test_lists_of_numpys_own_numbers(tmp_path: Path) -> None:
    rows: list[Any] = [[np.int64(0), np.int32(5)], np.array([1, 7, 8]), (2, 9)]
    save_pickle(tmp_path / "lists.npy", as_objects(rows), 3)
    assert read_lists(tmp_path / "lists.npy") == [[0, 5], [1, 7, 8], [2, 9]]
    np.save(tmp_path / "lists.npy", np.array([[0, 5], [1, 7]], dtype=object), allow_pickle=True)
    assert read_lists(tmp_path / "lists.npy") == [[0, 5], [1, 7]]


def save_pickle(path: Path, array: Any, protocol: int = 4, shape: tuple[int, ...] = ()) -> None:
    write_pickle(path, pickle.dumps(array, protocol), shape or np.shape(array))


def write_pickle(path: Path, data: bytes, shape: tuple[int, ...]) -> None:
    header = io.BytesIO()
    description = {"descr": "|O", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, description)
    path.write_bytes(header.getvalue() + data)


class Malicious:
    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_malicious_pickles_are_not_run(protocol: int, tmp_path: Path) -> None:
    target, path = tmp_path / "run", tmp_path / "lists.npy"
    touch = f"open({str(target)!r}, 'w').close()"
    for attack in (
        Malicious(os.system, f"touch {target}"),
        Malicious(eval, touch),
        Malicious(exec, touch),
        Malicious(getattr, "", "join"),
        Malicious(__import__, "os"),
        Malicious(np.load, str(target)),
    ):
        for content in (attack, as_objects([[0, attack]]), [attack]):  # type: ignore[list-item]
            save_pickle(path, content, protocol, (1,))
            with pytest.raises(UsageError, match=r"lists\.npy: asks for '\w+\.\w+"):
                read_lists(path)
            assert not target.exists()


def test_the_malicious_pickles_would_run_elsewhere(tmp_path: Path) -> None:
    target, path = tmp_path / "run", tmp_path / "lists.npy"
    save_pickle(path, Malicious(os.system, f"touch {target}"), 4, (1,))
    np.load(path, allow_pickle=True)
    assert target.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 10**12) + b".",  # a string of a terabyte
        b"\x80\x04]r" + struct.pack("<I", 2**32 - 1) + b".",  # place 4294967295 of a table
        b"\x80\x04cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.",  # an array of 16 GB
        b"\x80\x04" + b"(" * 50_000,
        b"\x80\x04N.",
        b"\x80\x04]K\x01a.",
        b"\x80\x04cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\nX\x01\x00\x00\x00OtRN\x86R.",
        b"",
    ],
    ids=("long string", "large table", "large array", "marks", "none", "list", "object", "empty"),
)
def test_pickles_that_ask_for_too_much(data: bytes, tmp_path: Path) -> None:
    write_pickle(tmp_path / "lists.npy", data, (1,))
    with pytest.raises(UsageError, match=r"lists\.npy: "):
        read_lists(tmp_path / "lists.npy")


def test_one_list_named_again_and_again(tmp_path: Path) -> None:
    row = list(range(1000))
    save_pickle(tmp_path / "lists.npy", as_objects([row] * 1000))
    with pytest.raises(UsageError, match="more numbers than the file holds"):
        read_lists(tmp_path / "lists.npy")


@pytest.mark.parametrize("rows", [[[0, 1.5]], [[0, "1"]], [[0, None]], ["01"], [{0: 1}], [[True]]])
def test_lists_of_something_else(rows: list[Any], tmp_path: Path) -> None:
    save_pickle(tmp_path / "lists.npy", as_objects(rows))
    with pytest.raises(UsageError, match=r"lists\.npy: .*row 0|lists\.npy: asks"):
        read_lists(tmp_path / "lists.npy")


# sparse matrices


def test_zeros_are_no_interactions_and_all_formats_read(tmp_path: Path) -> None:
    saved = sp.coo_array(([1, 0, 2, 5], ([0, 0, 1, 1], [0, 1, 2, 2])), shape=(2, 4))
    for form in ("coo", "csr", "csc"):
        sp.save_npz(tmp_path / "interactions.npz", saved.asformat(form))
        dataset = read(tmp_path)
        assert pairs(dataset) == {(0, 0), (1, 2)}
        assert (dataset.num_users, dataset.num_items) == (2, 4)


def save_arrays(path: Path, **arrays: Any) -> None:
    np.savez(path, **{"format": b"csr", "shape": (2, 2), "data": np.ones(2), **arrays})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"indices": [0, 9], "indptr": [0, 1, 2]}, "no sparse matrix"),
        ({"indices": [0, -1], "indptr": [0, 1, 2]}, "no sparse matrix"),
        ({"indices": [0, 1], "indptr": [0, 10**9, 2]}, "no sparse matrix"),
        ({"indices": [0, 1], "indptr": [0, 1, 2], "data": [1.0, np.nan]}, "finite"),
        ({"indices": [0, 1], "indptr": [0, 1, 2], "data": [0.0, 0.0]}, "every entry is 0"),
        ({"indices": np.array([0, None]), "indptr": [0, 1, 2]}, "no sparse matrix"),
        ({"format": b"coo", "row": [0, 1], "col": [0, 1], "shape": (10**18, 2)}, "shape"),
        ({"format": b"coo", "row": [0, 1], "col": [0, 7]}, "no sparse matrix"),
        ({"format": b"coo", "row": [0, 1], "col": [0, 1], "shape": (10**8, 2)}, "large gaps"),
        ({"format": b"dia", "offsets": [0], "data": np.ones((1, 2))}, "format is dia"),
        ({}, "no sparse matrix"),
    ],
)
def test_wrong_matrices(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_arrays(tmp_path / "interactions.npz", **arrays)
    with pytest.raises(UsageError, match=rf"interactions\.npz: .*{message}"):
        read(tmp_path)


def test_a_matrix_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = made(tmp_path, matrix)
    monkeypatch.setattr("benchmark.foreign_files.LARGEST_UNPACKED", 100)
    with pytest.raises(UsageError, match=r"interactions\.npz: .*unpacks to [\d,]+ bytes"):
        read(place)


def test_as_many_columns_as_rows_of_features(tmp_path: Path) -> None:
    place = made(tmp_path, matrix)
    np.save(place / "image_feat.npy", np.ones((5, 2)))
    with pytest.raises(UsageError, match=r"has 4 columns, and image_feat\.npy has 5 rows"):
        read(place)


# converted data


def test_conversion_keeps_what_is_known(tmp_path: Path) -> None:
    place = made(tmp_path, mmrec)
    with (place / "shop.inter").open("a") as file:
        file.write("0\t0\t2\n")
    (place / "shop.item").write_text('itemID\ttitle\tyear\n0\t"A, ""b"""\t1999\n2\tNA\t\n')
    dataset = read(place)
    write_converted(dataset, tmp_path / "fast")
    again = read(tmp_path / "fast")
    assert again.duplicates == dataset.duplicates == 1
    assert again.item_table is not None
    assert again.item_table["title"].fillna("?").tolist() == ['A, "b"', "?", "NA", "?"]
    assert again.item_table["year"].iloc[0] == 1999
    with pytest.raises(UsageError, match="exists already"):
        write_converted(dataset, tmp_path / "fast")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fast", "shop"]


def test_conversion_of_items_of_which_nothing_is_known(tmp_path: Path) -> None:
    place = made(tmp_path, csv)
    (place / "items.csv").write_text("item\n0\n1\n")
    dataset = read(place)
    write_converted(dataset, tmp_path / "fast")
    assert read(tmp_path / "fast").fingerprint == dataset.fingerprint


@pytest.mark.parametrize("name", ["movielens-100k", "synthetic", "synthetic-tiny"])
def test_names_of_other_data_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with contextlib.suppress(UsageError):  # without RecBole's files
        assert load(name, tmp_path).source != "files"  # an empty folder is no data
    made(tmp_path, mmrec).replace(tmp_path / name)
    with pytest.raises(UsageError, match=f"'{name}' stands for data .* rename the folder"):
        load(name, tmp_path)


@pytest.mark.parametrize("method", ["per_user", "cold_items"])
def test_names_of_results_of_a_split_are_refused(method: str, tmp_path: Path) -> None:
    made(tmp_path, mmrec).replace(tmp_path / f"shop-{method}")
    with pytest.raises(UsageError, match=f"'shop-{method}' is what results of .* rename the"):
        load(f"shop-{method}", tmp_path)


def test_a_modality_cannot_be_called_like_none_at_all(tmp_path: Path) -> None:
    place = made(tmp_path, mmrec)
    np.save(place / "none_feat.npy", FEATURES)
    with pytest.raises(UsageError, match=r"none_feat\.npy: names a modality 'none'.* rename it"):
        read(place)


def test_every_type_of_number_survives_conversion(tmp_path: Path) -> None:
    place = made(tmp_path, mmrec)
    for name in ("float16", "float64", "int8", ">f4"):
        np.save(place / f"m{name.strip('>')}_feat.npy", FEATURES.astype(name))
    np.save(place / "order_feat.npy", np.asfortranarray(FEATURES))
    found = read(place)
    dataset = replace(found, features=dict(reversed(found.features.items())))
    write_converted(dataset, tmp_path / "fast")
    again = read(tmp_path / "fast")
    assert again.fingerprint == dataset.fingerprint
    assert list(again.features) == list(dataset.features)
    (tmp_path / "fast" / "order_feat.npy").unlink()
    with pytest.raises(UsageError, match=r"has not the modalities order, .*convert the data again"):
        read(tmp_path / "fast")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("users.npy", np.array([0, 1, 2, 0, 1, 2, 0, 3]), "row 7 holds 3, outside"),
        ("items.npy", np.array([-1] * 8), "row 0 holds -1"),
        ("items.npy", np.array([0, 1]), "differ in length"),
        ("items.npy", np.zeros((8, 1), dtype=int), "no vector of ids"),
        ("items.npy", np.zeros(8), "no vector of ids"),
        ("labels.npy", np.full(8, 3), "row 0 holds 3"),
        ("labels.npy", np.array([0, 0, 0, 0, 0, 1, 2, 1]), "are not those that were converted"),
        ("image_feat.npy", FEATURES + 1, "are not those that were converted"),
        ("image_feat.npy", FEATURES[:3], "other rows"),
        ("meta.json", '{"format": 1, "num_users": 1e99}', "no description"),
        ("meta.json", '{"format": 2, "num_users": 3, "num_items": 4, "duplicates": 0}', r"2\]"),
        (
            "meta.json",
            '{"format": 1, "num_users": 3, "num_items": 4, "duplicates": 0}',
            "modalities",
        ),
        ("meta.json", "[]", "no description"),
        ("items.csv", "title\nA\n", "1 rows for 4 items"),
        ("user_names.json", '["a", "b", "b"]', "3 different names"),
        ("item_names.json", '["a", "b", "c"]', "4 different names"),
        ("item_names.json", "[1, 2, 3, 4]", "4 different names"),
        ("item_names.json", "{", "no JSON"),
    ],
)
def test_wrong_converted_data(
    file: str, content: str | np.ndarray[Any, Any], message: str, tmp_path: Path
) -> None:
    place = made(tmp_path, converted)
    if isinstance(content, str):
        (place / file).write_text(content)
    else:
        np.save(place / file, content)
    with pytest.raises(UsageError, match=f"{message}.*convert the data again"):
        read(place)
