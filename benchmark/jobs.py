"""Several variants at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Container, Iterable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from joblib import cpu_count
from torch import multiprocessing

from benchmark.experiments import Variant
from benchmark.interrupts import without_interrupts
from benchmark.progress import Relay, Reporter
from benchmark.store import Store
from benchmark.writing import StoreError
from models.errors import UsageError
from models.registry import discover

GRACE = 5.0
"""Seconds until a process that no longer answers is no longer waited for."""

Run = Callable[[Variant], list[str]]
"""Does all trainings of a variant; returns a line if it failed."""

# opened anew over there: locks do not travel
ForkingPickler.register(Store, lambda store: (Store, (store.folder,)))


def settle_arithmetic() -> None:
    """One thread per process, unless ``OMP_NUM_THREADS`` says otherwise; denormals are zero.

    Floating-point sums depend on the number of threads that share them, and results must depend
    neither on ``--jobs`` nor on the number of cores. Other cores are for other processes: threads
    meet after every small product, and on a busy machine they wait for each other there.

    A sharp softmax leaves gradients and Adam's averages of them below 1e-38, where many processors
    need a hundred times as long for a product; without them, metrics stay within their intervals.
    """
    torch.set_flush_denormal(True)
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def usual_jobs(device: torch.device) -> int:
    """As many as there are cores for this process, within reason: each holds a model and torch."""
    return 1 if device.type == "cuda" else min(8, cpu_count())


def run_at_once(
    variants: Sequence[Variant],
    jobs: int,
    prepare: Callable[[Reporter], Run],
    folders: Sequence[Path],
    lost: Callable[[Variant, str], str],
    reporter: Reporter,
    settled: Iterable[str],
    claimed: Callable[[str], bool],
) -> list[str]:
    """Run variants in up to ``jobs`` processes, those first that others are tuned by.

    Args:
        variants: What to run, each once.
        jobs: Number of processes.
        prepare: Called once in every process; makes what runs the variants there.
        folders: Where models are discovered there.
        lost: Told of a variant whose process died, and how it ended; returns a line about it.
        reporter: Shows the progress of all of them.
        settled: Labels of the variants whose studies are complete.
        claimed: Whether somebody runs the variant of that label at the moment.

    Returns:
        A line for each variant that failed.

    Raises:
        StoreError: If the record cannot be read or written in one of the processes.
        UsageError: If the data cannot be shared with them.
    """
    waiting = sorted(variants, key=lambda variant: variant.tuned_as is not None)
    workers = [Worker(prepare, folders, reporter.beside()) for _ in range(jobs)]
    running, settled = dict[Worker, Variant](), set(settled)
    failures: list[str] = []
    try:
        while waiting or running:
            for worker in workers:
                if worker in running:
                    continue
                if variant := take(waiting, running.values(), settled, claimed):
                    running[worker] = variant
                    worker.give(variant)
            ready = wait([worker.connection for worker in running])
            for worker in [each for each in running if each.connection in ready]:
                try:
                    if (outcome := worker.listen()) is not None:
                        failures += outcome
                        settled.add(study(running.pop(worker)))
                except ChildProcessError as error:
                    failures.append(lost(running.pop(worker), str(error)))
    finally:  # Ctrl-C included: whatever a process is doing, what is stored stays whole
        for worker in workers:
            worker.stop()
    return failures


def study(variant: Variant) -> str:
    """The label of the variant whose study this one needs."""
    return (variant.tuned_as or variant).label


def take(
    waiting: list[Variant],
    running: Iterable[Variant],
    settled: Container[str],
    claimed: Callable[[str], bool],
) -> Variant | None:
    """The next variant to run, removed from those waiting.

    Its study is settled or nobody's here, so that each runs in one process. What another command
    is running comes last, so that several commands share the work.
    """
    busy = [study(variant) for variant in running]
    ready = [each for each in waiting if study(each) in settled or study(each) not in busy]
    if not ready:
        return None
    free = (v for v in ready if not any(map(claimed, {v.label, study(v)})))
    variant = next(free, ready[0])
    waiting.remove(variant)
    return variant


class Worker:
    """A process that runs one variant after the other, and is replaced when it dies.

    It starts afresh, since a fork of a process with threads may hang; the tensors of the data are
    moved to memory that all processes share.

    Args:
        prepare: As for :func:`run_at_once`.
        folders: As for :func:`run_at_once`.
        reporter: Shows the progress of this process.
    """

    connection: Connection

    def __init__(
        self, prepare: Callable[[Reporter], Run], folders: Sequence[Path], reporter: Reporter
    ) -> None:
        self.prepare = prepare
        self.folders = folders
        self.reporter = reporter
        self._process: BaseProcess | None = None

    def give(self, variant: Variant) -> None:
        """Have a variant run, in a new process if there is none."""
        if self._process is None or not self._process.is_alive():
            self._start()
        with contextlib.suppress(OSError):  # dead already, which shows when it is listened to
            self.connection.send(variant)

    def _start(self) -> None:
        self.connection, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=work,
            args=(
                there,
                self.prepare,
                self.folders,
                torch.are_deterministic_algorithms_enabled(),
                torch.get_float32_matmul_precision(),
            ),
        )
        try:
            with without_interrupts():
                process.start()
                self._process = process  # before an interrupt is felt, so that it is ended then
        except RuntimeError as error:  # by torch, before there is a process
            raise UsageError(
                f"--jobs needs to share the data among processes, but: {error}; make room there "
                "(in Docker by --shm-size), or use --jobs 1"
            ) from error
        there.close()  # so that the end of the process is the end of its messages

    def listen(self) -> list[str] | None:
        """Wait for a message; what :data:`Run` returned, or ``None`` while it goes on.

        Raises:
            ChildProcessError: If the process died.
            StoreError: If it met one.
        """
        try:
            what, *content = self.connection.recv()
        except (EOFError, OSError):
            self.reporter.finish(0)
            raise ChildProcessError(self._end(GRACE)) from None
        if what == "ran":
            return list(content[0])
        if what == "raised":
            raise content[0]
        getattr(self.reporter, what)(*content)
        return None

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._end(0)

    def _end(self, grace: float) -> str:
        if self._process is None:
            return ""
        self._process.join(grace)
        stuck = self._process.is_alive()
        self._process.kill()
        self._process.join()
        self.connection.close()
        if stuck:
            return "its process broke down and would not end, so it was killed"
        code = self._process.exitcode or 0
        if code < 0:
            often = ", as happens when memory runs out" if code == -9 else ""
            return f"its process was ended by signal {-code} ({signal.strsignal(-code)}){often}"
        return f"its process ended with exit code {code}"


def work(
    connection: Connection,
    prepare: Callable[[Reporter], Run],
    folders: Sequence[Path],
    deterministic: bool,
    precision: str,
) -> None:
    """What a process does: run the variants it is sent, and tell what happens."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # drops what was held back, and Windows holds nothing
    Thread(target=end_with_parent, daemon=True).start()
    settle_arithmetic()
    torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision(precision)
    for folder in folders:
        discover(folder)

    def tell(message: tuple[Any, ...]) -> None:
        try:
            connection.send(message)
        except OSError:  # nobody listens; were it raised, it would count as the model's failure
            os._exit(1)

    run = prepare(Relay(tell))
    while True:
        try:
            variant = connection.recv()
        except EOFError:
            return
        try:
            tell(("ran", run(variant)))
        except StoreError as error:
            tell(("raised", error))


def end_with_parent() -> None:
    """Even if the parent was killed, no process trains on for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
