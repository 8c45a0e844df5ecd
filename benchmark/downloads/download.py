"""A data set of the catalogue, from its source to a readable folder of the data root."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from benchmark.datasets.dataset import Dataset
from benchmark.datasets.sources import read
from benchmark.downloads.archives import unpack
from benchmark.downloads.catalogue import BY_HAND, CATALOGUE, Offer
from benchmark.downloads.transfer import (
    PATIENCE,
    Patience,
    Remote,
    Report,
    UnreachableError,
    fetch,
)
from benchmark.downloads.zenodo import Deposit, look_up
from models.errors import UsageError

ARCHIVES = "downloads"
"""The folder of the data root where archives are kept."""

Tell = Callable[[str], None]
"""Prints a line."""


def find(name: str) -> Offer:
    """The entry of the catalogue.

    Raises:
        UsageError: If there is none, with the way to the data where that is known.
    """
    if name in BY_HAND:
        raise UsageError(
            f"'{name}' cannot be downloaded by a program; fetch the folder '{name}' from "
            f"{BY_HAND[name]}, put it into the data root, and use it with --dataset {name}"
        )
    if name not in CATALOGUE:
        raise UsageError(
            f"'{name}' is not among the data sets to download: {', '.join(CATALOGUE)}; "
            f"and by hand: {', '.join(BY_HAND)}"
        )
    return CATALOGUE[name]


def download(name: str, root: Path, tell: Tell, patience: Patience = PATIENCE) -> Dataset:
    """Fetch, check, unpack and arrange a data set; its folder appears when it is whole.

    Args:
        name: One of the catalogue.
        root: The folder of data sets.
        tell: Takes the conditions of use, then what is being done.
        patience: How long to wait for servers.

    Raises:
        UsageError: If anything on the way fails; the message says what to do.
    """
    offer = find(name)
    folder, archives = root / name, root / ARCHIVES
    if folder.exists():
        raise UsageError(
            f"'{folder}' exists already: use it with --dataset {name}, or move it away to "
            f"download it anew"
        )
    for line in (offer.title, offer.terms):
        tell(line)
    try:
        archives.mkdir(parents=True, exist_ok=True)
        with FileLock(archives / ".lock", timeout=0):
            paths = [_fetched(each, archives, tell, patience) for each in offer.sources]
            dataset = _arranged(offer, paths, folder)
    except Timeout as error:
        raise UsageError(
            f"another download into '{archives}' is going on; wait until it is over"
        ) from error
    except OSError as error:
        raise UsageError(
            f"'{root}' cannot be written ({error.strerror or error}); make room, or choose another "
            f"--data-root"
        ) from error
    sizes = (dataset.num_users, dataset.num_items, len(dataset))
    told = (offer.users, offer.items, offer.interactions)
    if sizes != told:
        tell(f"! users, items and interactions are {sizes}, and should be {told}")
    return dataset


@contextmanager
def _bar(name: str) -> Iterator[Report]:
    """Shows the progress of a file."""
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TransferSpeedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _fetched(source: Remote | Deposit, archives: Path, tell: Tell, patience: Patience) -> Path:
    """The archive of a source, checked."""
    if isinstance(source, Deposit):
        source = _of_record(source, archives, tell, patience)
    path = archives / source.name
    tell(f"{path} is here already" if path.exists() else f"{source.url} to {path}")
    with _bar(source.name) as report:
        sha256 = fetch(source, path, report, patience)
    if source.checksum:
        tell(f"{source.name}: as published ({source.checksum}), sha256 {sha256}")
    else:
        tell(f"{source.name}: NOT VERIFIED, no checksum is known; sha256 {sha256}")
    return path


def _of_record(deposit: Deposit, archives: Path, tell: Tell, patience: Patience) -> Remote:
    """The file as Zenodo describes it; offline, one that was put here by hand."""
    try:
        remote, licence = look_up(deposit, f"put '{deposit.pattern}' into '{archives}'", patience)
    except UnreachableError:
        here = [path.name for path in archives.iterdir() if fnmatch(path.name, deposit.pattern)]
        if len(here) != 1:
            raise
        return Remote(deposit.page, here[0], deposit.checksum)
    tell(f"licence of {remote.name} according to {deposit.page}: {licence}")
    return remote


def _arranged(offer: Offer, paths: list[Path], folder: Path) -> Dataset:
    """Unpack, arrange and read, beside the folder, and only then give it its name."""
    work = folder.with_name(f".arranging-{folder.name}")
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    try:
        ready = work / folder.name
        ready.mkdir(parents=True)
        for path in paths:
            unpack(path, work / "archives" / path.stem)
        offer.arrange(work / "archives", ready)
        dataset = read(ready)
        ready.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return dataset
