from __future__ import annotations

import sys
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError

from benchmark.storages import is_begun, opened
from benchmark.store import StoreError


def open_only(storage: str) -> None:
    with opened(storage):
        pass


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("nonsense", "is no place for studies: give journal:PATH"),
        ("journal", "is no place for studies"),
        ("pigeon://me:secret@host/x", "'pigeon://me:\\*\\*\\*@host/x' is of no known kind"),
        (
            "firebird+absent://me:secret@host/x",
            "'firebird\\+absent://me:\\*\\*\\*@host/x' is of no known kind",
        ),
    ],
)
def test_what_is_no_storage(storage: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        open_only(storage)


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(StoreError, match=r"'psycopg2': pip install 'psycopg2-binary'") as raised:
        open_only("postgresql+psycopg2://me:secret@host/x")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("storage", ["journal:{}", "sqlite:///{}"])
def test_a_file_that_is_none_of_studies(storage: str, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "damaged"):
        if path != tmp_path:
            path.write_text("no studies at all\n" * 100)
        with pytest.raises(StoreError, match=f"'{path}'.*move the file away"):
            open_only(storage.format(path))


@pytest.mark.parametrize("kind", ["journal:{}", "sqlite:///{}"])
def test_a_file_makes_its_folder(kind: str, tmp_path: Path) -> None:
    storage = kind.format(tmp_path / "new" / "studies")
    assert not is_begun(storage)
    open_only(storage)
    assert is_begun(storage)


def test_what_goes_wrong_later_is_no_fault_of_a_model(tmp_path: Path) -> None:
    def lose() -> None:
        with opened(f"sqlite:///{tmp_path}/x.db"):
            raise StorageInternalError("the disk is full")

    with pytest.raises(StoreError, match=r"x\.db'.*the disk is full"):
        lose()
