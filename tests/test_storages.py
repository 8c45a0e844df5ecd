from __future__ import annotations

import sys
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection

from benchmark.storages import is_begun, opened
from benchmark.writing import StoreError


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
def test_a_folder_is_no_file_of_studies(storage: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"'{tmp_path}'.*move the file away"):
        open_only(storage.format(tmp_path))


@pytest.mark.parametrize("storage", ["journal:{}", "sqlite:///{}"])
def test_a_file_that_is_none_of_studies_is_set_aside(
    storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, content = tmp_path / "studies", "no studies at all\n" * 100
    for number in (1, 2):
        path.write_text(content)
        (tmp_path / "studies-journal").write_text("to be rolled back")
        open_only(storage.format(path))
        [line] = capsys.readouterr().err.splitlines()
        assert f"'{path}' is damaged" in line
        assert f"set aside as 'studies.damaged-{number}'" in line
        assert (tmp_path / f"studies.damaged-{number}").read_text() == content
        assert not (tmp_path / "studies-journal").exists()  # nothing to roll back in the new file


def begin(storage: str, name: str) -> list[str]:
    """Begin a study; the names of all that there are."""
    with opened(storage) as backend:
        backend.create_new_study([StudyDirection.MAXIMIZE], name)
        return [study.study_name for study in backend.get_all_studies()]


@pytest.mark.fault(
    "a damaged journal of studies",
    how="its last line cut off, as by a kill or a full disk; a line in it garbled",
    again="the trial under way",
    says="nothing if the end is cut off; else `... is damaged (...): set aside as "
    "'....damaged-1'; the studies are restored from trials.csv, ...`",
)
def test_a_journal_whose_end_is_cut_off_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "studies"
    storage = f"journal:{path}"
    assert begin(storage, "x") == ["x"]
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    assert begin(storage, "y") == ["x", "y"]
    assert path.read_bytes().startswith(whole)
    assert capsys.readouterr().err == ""
    path.write_bytes(path.read_bytes().replace(b"{", b"?", 1))
    assert begin(storage, "z") == ["z"]
    assert "line 1: " in capsys.readouterr().err


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
