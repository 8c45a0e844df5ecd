"""Where studies are kept: a file or a data base server."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from benchmark.repair import set_aside
from benchmark.writing import StoreError

PACKAGES = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
}
"""What ``pip install`` calls a driver, where it is not the module's name."""


@contextmanager
def opened(storage: str) -> Iterator[BaseStorage]:
    """The studies of a file or a server, created if missing.

    Args:
        storage: ``journal:PATH``, or an address such as ``sqlite:///PATH`` or
            ``postgresql://USER:PASSWORD@HOST/NAME``.

    Raises:
        StoreError: If the address is none, its driver is not installed, or the file or the server
            cannot be used, now or later.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name, advice = described(storage)
    try:
        if is_file(storage):
            mend(Path(name), damage_of_journal if is_journal(storage) else damage_of_database)
        if is_journal(storage):
            yield journal(Path(storage.removeprefix("journal:")))
        else:
            database = rdb(storage, name)
            try:
                yield optuna.storages.get_storage(database)  # remembers trials that have ended
            finally:
                database.remove_session()
                database.engine.dispose()
    except (SQLAlchemyError, OptunaError) as error:
        why = " ".join(str(error.__cause__ or error).split())
        raise StoreError(
            f"cannot open or use the studies in '{name}' ({type(error).__name__}: {why}); {advice}"
        ) from error


def described(storage: str) -> tuple[str, str]:
    """What messages call a storage, without its password, and what helps when it fails."""
    gone = "what is in trials.csv and runs.csv is not run again"
    if is_journal(storage):
        return storage.removeprefix("journal:"), f"move the file away: {gone}"
    try:
        url = make_url(storage)
    except ArgumentError:
        raise StoreError(
            f"--storage '{storage}' is no place for studies: give journal:PATH, sqlite:///PATH, "
            "postgresql://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME"
        ) from None
    if url.get_backend_name() == "sqlite":
        return str(url.database), f"move the file away: {gone}"
    return url.render_as_string(), "check that the server runs, and the user and the name"


def is_begun(storage: str) -> bool:
    """Whether there is a file of studies yet; a server is taken to be there."""
    return not is_file(storage) or Path(described(storage)[0]).exists()


def is_journal(storage: str) -> bool:
    """Whether a storage is a journal file."""
    return storage.startswith("journal:")


def is_file(storage: str) -> bool:
    """Whether a storage is a file, of either kind."""
    return is_journal(storage) or storage.startswith("sqlite:")


def mend(path: Path, damage_of: Callable[[Path], str]) -> None:
    """Set a damaged file of studies aside; all but the running trials are in ``trials.csv``, too.

    Args:
        path: The file, if there is one.
        damage_of: Says what is wrong with it.
    """
    then = "the studies are restored from trials.csv, only trials that are not in it are run again"
    try:
        if not path.is_file() or not damage_of(path):
            return
        with FileLock(f"{path}.mend.lock"):  # lest a second process do so with the new file
            if path.is_file() and (why := damage_of(path)):
                set_aside(path, why, then, companions=("-journal", "-wal", "-shm"))
    except OSError as error:
        raise StoreError(f"cannot read '{path}' ({error}); move the file away") from error


def damage_of_database(path: Path) -> str:
    """What SQLite finds wrong with a file; nothing if it cannot even look."""
    with closing(sqlite3.connect(path, timeout=60)) as database:
        try:
            [said] = database.execute("PRAGMA quick_check(1)").fetchone()
            return "" if said == "ok" else str(said)
        except sqlite3.OperationalError:  # such as a lock: opening it tells better
            return ""
        except sqlite3.DatabaseError as error:
            return str(error)


def damage_of_journal(path: Path) -> str:
    """What is wrong with a journal file, but for its last line, which somebody may be writing."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                json.loads(line)
            except ValueError as error:
                if line.endswith(b"\n"):
                    return f"line {number}: {error}"
    return ""


def journal(path: Path) -> BaseStorage:
    """Open a journal file, whose last line is dropped if a process died while writing it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = JournalFileOpenLock(str(path))
        backend = JournalFileBackend(str(path), lock)
        lock.acquire()  # so nobody is writing now
        try:
            with path.open("rb+") as file:
                *_, last = [b"", *file]
                if not last.endswith(b"\n"):
                    file.truncate(file.tell() - len(last))
        finally:
            lock.release()
        return optuna.storages.JournalStorage(backend)
    except (OSError, ValueError, KeyError) as error:
        raise StorageInternalError from error


def rdb(storage: str, name: str, attempts: int = 3) -> optuna.storages.RDBStorage:
    """Connect to a data base, where somebody else may be creating the tables just now."""
    url = make_url(storage)
    if url.get_backend_name() == "sqlite":
        url = url.update_query_dict({"timeout": "60"} | url.query)  # seconds while others write
        with contextlib.suppress(OSError):  # which opening the file tells better
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        return optuna.storages.RDBStorage(url.render_as_string(hide_password=False))
    except ImportError as error:
        driver = getattr(error.__cause__, "name", None) or "a driver"
        raise StoreError(
            f"--storage '{name}' needs the module '{driver}': "
            f"pip install '{PACKAGES.get(driver, driver)}'"
        ) from error
    except ArgumentError as error:
        raise StoreError(f"--storage '{name}' is of no known kind: {error}") from error
    except (OperationalError, IntegrityError, ProgrammingError):
        if attempts == 1:
            raise
        time.sleep(0.5)
        return rdb(storage, name, attempts - 1)
