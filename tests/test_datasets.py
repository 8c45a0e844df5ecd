from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark import datasets
from benchmark.datasets import DATA_ROOT_VARIABLE, Dataset, available, load
from benchmark.datasets.dataset import missing_rows
from benchmark.datasets.mmrec import read_mmrec
from models.errors import UsageError

HEADER = "userID\titemID\tx_label\n"
INTER = HEADER + "0\t0\t0\n0\t2\t1\n1\t0\t0\n1\t1\t2\n"
IMAGE = np.array([[1, 2], [0, 0], [3, 4]], dtype=np.float16)


def write(folder: Path, inter: str | bytes = INTER, **features: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data = inter.encode() if isinstance(inter, str) else inter
    (folder / f"{folder.name}.inter").write_bytes(data)
    for modality, matrix in features.items():
        np.save(folder / f"{modality}_feat.npy", np.asarray(matrix))
    return folder


def toy() -> Dataset:
    return Dataset.from_pairs(
        name="toy",
        source="here",
        users=np.array([0, 1, 0, 0]),
        items=np.array([1, 0, 1, 2]),
        num_users=2,
        num_items=3,
        features={"image": IMAGE},
        labels=np.array([0, 1, 2, 2], dtype=np.int8),
    )


def test_repeated_pairs_keep_their_first_row() -> None:
    dataset = toy()
    assert dataset.users.tolist() == [0, 1, 0]
    assert dataset.items.tolist() == [1, 0, 2]
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 1, 2]
    assert dataset.duplicates == 1


def test_describe() -> None:
    assert toy().describe() == {
        "name": "toy",
        "source": "here",
        "users": 2,
        "items": 3,
        "interactions": 3,
        "density": 0.5,
        "modalities": "image (2-d, 1 items missing)",
        "split": "shipped: 1 train, 1 validation, 1 test",
        "duplicates removed": 1,
        "fingerprint": toy().fingerprint,
    }


def test_fingerprint_sees_the_data_and_not_the_name() -> None:
    dataset = toy()
    assert replace(dataset, name="other", source="there").fingerprint == dataset.fingerprint
    image = IMAGE.copy()
    image[2, 1] = 5
    variants = [
        replace(dataset, items=np.array([1, 0, 0])),
        replace(dataset, users=np.array([0, 1, 1])),
        replace(dataset, num_users=3),
        replace(dataset, labels=np.array([0, 1, 1], dtype=np.int8)),
        replace(dataset, labels=None),
        replace(dataset, features={"image": image}),
        replace(dataset, features={"text": IMAGE}),
        replace(dataset, features={}),
    ]
    assert len({dataset.fingerprint} | {each.fingerprint for each in variants}) == 9


def test_a_row_is_missing_when_it_is_zero_or_nan_as_a_whole() -> None:
    nan = np.nan
    matrix = np.array([[0, 0], [nan, nan], [0, 1], [nan, 1]])
    assert missing_rows(matrix).tolist() == [True, True, False, False]


def test_mmrec_reads_everything(tmp_path: Path) -> None:
    folder = write(tmp_path / "shop", image=IMAGE, text=np.ones((3, 4)))
    (folder / "shop.item").write_text('itemID\ttitle\tgenres\n1\tNA\t\n0\t"a ""b"""\tDrama\n')
    dataset = read_mmrec(folder)
    assert dataset.name == "shop"
    assert (dataset.num_users, dataset.num_items) == (2, 3)
    assert dataset.users.dtype == dataset.items.dtype == np.int64
    assert dataset.users.tolist() == [0, 0, 1, 1]
    assert dataset.items.tolist() == [0, 2, 0, 1]
    assert dataset.labels is not None
    assert dataset.labels.dtype == np.int8
    assert dataset.labels.tolist() == [0, 1, 0, 2]
    assert list(dataset.features) == ["image", "text"]
    np.testing.assert_array_equal(dataset.features["image"], IMAGE)
    assert dataset.item_table is not None
    titles = dataset.item_table["title"]
    assert titles.iloc[:2].tolist() == ['a "b"', "NA"]
    assert dataset.item_table.isna()["title"].tolist() == [False, False, True]
    assert dataset.item_table.isna()["genres"].tolist() == [False, True, True]


def test_mmrec_quotes_that_do_not_end(tmp_path: Path) -> None:
    folder = write(tmp_path / "shop")
    (folder / "shop.item").write_text('itemID\ttitle\tyear\n0\t"a\t1\n1\tb\t2\n2\tc "d"\t3\n')
    with pytest.raises(UsageError, match=r"shop\.item: 'title' of item 0 runs over tabs"):
        read_mmrec(folder)


def test_mmrec_without_labels_features_and_items(tmp_path: Path) -> None:
    inter = "time\titemID\tuserID\n0.5\t7\t0\nnever\t0\t1\n"
    dataset = read_mmrec(write(tmp_path / "bare", inter))
    assert (dataset.users.tolist(), dataset.items.tolist()) == ([0, 1], [7, 0])
    assert dataset.labels is None
    assert dataset.item_table is None
    assert dataset.num_items == 8
    assert dataset.describe()["modalities"] == "none"
    assert dataset.describe()["split"] == "none shipped"


def test_mmrec_catalogue_is_as_large_as_the_features(tmp_path: Path) -> None:
    assert read_mmrec(write(tmp_path / "cold", image=np.ones((9, 2)))).num_items == 9


def test_mmrec_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    data = ("\ufeff" + INTER.replace("\n", "\r\n")).encode()
    plain, windows = write(tmp_path / "plain"), write(tmp_path / "windows", data)
    assert read_mmrec(windows).fingerprint == read_mmrec(plain).fingerprint


@pytest.mark.parametrize(
    ("inter", "message"),
    [
        ("", r"is empty"),
        (HEADER, r"holds no interaction"),
        ("user\titem\n0\t0\n", r"no column 'userID'.*header"),
        (INTER.replace("\t", ","), r"no column 'userID'.*<tab>"),
        (INTER + "1\t2\n", r"line 6 has 2 .* the header has 3"),
        (INTER.replace("0\t2\t1", "0\t2\t1\t9"), r"line 3 has 4 .* the header has 3"),
        (HEADER + "0\t0\t0\t9\n1\t1\t1\t9\n", r"line 2 has 4 .* the header has 3"),
        (INTER + "\nu7\t2\t0\n", r"line 7 has 'u7' as 'userID'.*integer"),
        (INTER + "1\t2.5\t0\n", r"line 6 has '2.5' as 'itemID'.*integer"),
        (INTER + "1\t2\t\n", r"line 6 has '' as 'x_label'.*integer"),
        (INTER + "1e999\t2\t0\n", r"line 6 has '1e999' as 'userID'.*integer"),
        (INTER + "1" * 30 + "\t2\t0\n", r"line 6 has '1+' as 'userID'"),
        (INTER + "-1\t2\t0\n", r"'userID' of interaction 5 is -1.*count ids from 0"),
        (INTER + "1000000000000\t2\t0\n", r"'userID' of interaction 5 is 10+; .*count ids"),
        (INTER + "1\t2\t3\n", r"'x_label' of interaction 5 is 3.*1 validation"),
        (INTER.replace("0\t0\t0", "0\t0\t2").replace("1\t0\t0", "1\t0\t2"), r"train part is empty"),
        (INTER.replace("2\t1", "2\t0"), r"validation part is empty"),
        (INTER.replace("1\t2\n", "1\t0\n"), r"test part is empty"),
        (INTER.encode() + b"\xe9\t0\t0\n", r"is not UTF-8"),
    ],
)
def test_mmrec_refuses_a_wrong_interaction_file(
    tmp_path: Path, inter: str | bytes, message: str
) -> None:
    folder = write(tmp_path / "shop", inter)
    with pytest.raises(UsageError, match=rf"shop\.inter: .*{message}") as caught:
        read_mmrec(folder)
    assert "\n" not in str(caught.value)


NAN_ROW = np.array([[1, 2], [np.nan, np.nan], [3, 4]])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.array([[1, "a"], [None, 2], [3, 4]], dtype=object), r"image_feat\.npy: .*float32"),
        (np.array([["a"], ["b"], ["c"]]), r"image_feat\.npy: holds <U1 .*float32"),
        (np.ones((3, 2), dtype=complex), r"image_feat\.npy: holds complex128 "),
        (np.ones(3), r"image_feat\.npy: has shape \(3,\)"),
        (np.ones((3, 1, 2)), r"image_feat\.npy: has shape \(3, 1, 2\)"),
        (np.ones((3, 0)), r"image_feat\.npy: has shape \(3, 0\)"),
        (np.where([[0, 0], [0, 1], [0, 0]], np.nan, 1), r"row 1 of modality 'image' holds NaN"),
        (np.where([[0, 0], [0, 0], [1, 1]], np.inf, 1), r"row 2 of modality 'image' holds NaN"),
        (np.full((3, 2), 1e300), r"image_feat\.npy: row 0 of modality 'image' .*\(3 such rows\)"),
        (np.ones((2, 2)), r"'itemID' 2 is out of range of image_feat\.npy, which has 2 rows"),
    ],
)
def test_mmrec_refuses_wrong_features(tmp_path: Path, matrix: object, message: str) -> None:
    folder = write(tmp_path / "shop", image=matrix)
    with pytest.raises(UsageError, match=message) as caught:
        read_mmrec(folder)
    assert "\n" not in str(caught.value)


def test_mmrec_takes_whole_rows_of_nan_as_missing(tmp_path: Path) -> None:
    dataset = read_mmrec(write(tmp_path / "shop", image=NAN_ROW))
    assert missing_rows(dataset.features["image"]).tolist() == [False, True, False]


def test_mmrec_refuses_features_of_different_length(tmp_path: Path) -> None:
    folder = write(tmp_path / "shop", image=IMAGE, text=np.ones((4, 2)))
    with pytest.raises(UsageError, match=r"image_feat\.npy 3, text_feat\.npy 4"):
        read_mmrec(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file", b"\x93NUMPY\x01\x00"])
def test_mmrec_refuses_what_is_no_npy_file(tmp_path: Path, content: bytes) -> None:
    folder = write(tmp_path / "shop")
    (folder / "image_feat.npy").write_bytes(content)
    with pytest.raises(UsageError, match=r"image_feat\.npy: is no plain array"):
        read_mmrec(folder)


@pytest.mark.parametrize(
    "content", ["", "id\ttitle\n0\ta\n", "itemID\ttitle\nx\ta\n", "itemID\ttitle\n0\ta\tb\n"]
)
def test_mmrec_refuses_a_wrong_item_file(tmp_path: Path, content: str) -> None:
    folder = write(tmp_path / "shop")
    (folder / "shop.item").write_text(content)
    with pytest.raises(UsageError, match=r"shop\.item: is no tab-separated table.*optional"):
        read_mmrec(folder)


def test_mmrec_refuses_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent: cannot be read"):
        read_mmrec(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"exactly one \*\.inter file, has none"):
        read_mmrec(tmp_path)
    (tmp_path / "a.inter").mkdir()
    with pytest.raises(UsageError, match=r"a\.inter: cannot be read \(Is a directory\)"):
        read_mmrec(tmp_path)
    (tmp_path / "b.inter").touch()
    with pytest.raises(UsageError, match=r"has a\.inter, b\.inter"):
        read_mmrec(tmp_path)


def test_an_unreadable_file_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    folder = write(tmp_path / "shop", image=IMAGE)
    monkeypatch.setattr("benchmark.datasets.reading.open_memmap", refuse)
    with pytest.raises(UsageError, match=r"image_feat\.npy: cannot be read \(Permission denied\)"):
        read_mmrec(folder)
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UsageError, match=r"shop: cannot be read \(Permission denied\)"):
        read_mmrec(folder)
    with pytest.raises(UsageError, match=r"--data-root '.*' cannot be read \(Permission denied\)"):
        load("shop", tmp_path)


@pytest.fixture
def no_recbole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No RecBole, no data folder of the working directory, no environment variable."""
    monkeypatch.setattr("benchmark.datasets.locate", lambda: None)
    monkeypatch.setattr("benchmark.datasets.movielens.locate", lambda: None)
    monkeypatch.delenv(DATA_ROOT_VARIABLE, raising=False)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")


def test_load_by_folder_name(tmp_path: Path, no_recbole: None) -> None:
    write(tmp_path / "shop")
    assert load("shop", tmp_path).name == "shop"
    assert available(tmp_path) == ["shop"]
    assert available(None) == []


def test_where_the_data_root_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_recbole: None
) -> None:
    for root, name in (("given", "a"), ("variable", "b"), ("empty/data", "c")):
        write(tmp_path / root / name)
    assert available(None) == ["c"]
    monkeypatch.setenv(DATA_ROOT_VARIABLE, str(tmp_path / "variable"))
    assert available(None) == ["b"]
    assert load("b", None).name == "b"
    assert available(tmp_path / "given") == ["a"]


def test_a_given_data_root_has_to_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("movielens", "movielens-100k", "shop"):
        with pytest.raises(UsageError, match=r"--data-root '.*absent' cannot be read"):
            load(name, tmp_path / "absent")
    (tmp_path / "file").touch()
    monkeypatch.setenv(DATA_ROOT_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(UsageError, match=rf"{DATA_ROOT_VARIABLE} '.*file' cannot be read"):
        available(None)


@pytest.mark.parametrize("name", ["absent", "", ".", "..", "../shop"])
def test_an_unknown_name_lists_what_there_is(tmp_path: Path, name: str, no_recbole: None) -> None:
    write(tmp_path / "root" / "shop")
    write(tmp_path / "shop")
    with pytest.raises(UsageError, match=r"available: shop\).*--data-root or HUIGN_DATA_ROOT"):
        load(name, tmp_path / "root")
    with pytest.raises(UsageError, match=r"available: none\)"):
        load(name, None)


def test_the_alias_takes_the_first_that_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_recbole: None
) -> None:
    with pytest.raises(
        UsageError, match=r"pip install --no-deps recbole.*movielens-1m.*benchmark.data --help"
    ):
        load("movielens", tmp_path)
    with pytest.raises(UsageError, match=r"pip install --no-deps recbole"):
        load("movielens-100k", tmp_path)
    embedded = replace(toy(), name="movielens-100k")
    monkeypatch.setattr(datasets, "locate", lambda: tmp_path)
    monkeypatch.setattr(datasets, "read_movielens_100k", lambda: embedded)
    assert load("movielens", tmp_path).name == "movielens-100k"
    for name in ("movielens-20m", "movielens-1m", "movielens"):
        write(tmp_path / name)
        assert load("movielens", tmp_path).name == name
    shutil.rmtree(tmp_path / "movielens")
    assert load("movielens", tmp_path).name == "movielens-1m"
    assert available(tmp_path) == ["movielens-100k", "movielens-1m", "movielens-20m"]
