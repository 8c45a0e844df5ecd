"""Where studies are kept: a file or a data base server."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
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

from benchmark.store import StoreError

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
        if storage.startswith("journal:"):
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
    gone = "finished trials are run again, finished runs are kept"
    if storage.startswith("journal:"):
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
    on_disk = storage.startswith(("journal:", "sqlite:"))
    return not on_disk or Path(described(storage)[0]).exists()


def journal(path: Path) -> BaseStorage:
    """Open a journal file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = JournalFileOpenLock(str(path))
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), lock))
        with path.open("rb") as lines:  # Optuna notices a damaged end only once it is written to
            for line in lines:
                json.loads(line)
        return storage
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
