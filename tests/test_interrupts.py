"""Ctrl-C and SIGTERM end a command, whatever else goes wrong."""

from __future__ import annotations

import argparse
import signal

import pytest

from benchmark.command import called


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_error_of_cleaning_up_hides_no_interrupt(
    stop: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        try:
            signal.raise_signal(stop)
        finally:
            raise ValueError("cannot close an archive in the middle of a write")

    assert called(run, argparse.ArgumentParser(), []) == code
    assert capsys.readouterr().err == "stopped; the same command goes on with what is left\n"


def test_any_other_error_goes_on() -> None:
    def run(_: argparse.Namespace) -> int:
        try:
            raise KeyError("item")
        finally:
            raise ValueError("no item")

    with pytest.raises(ValueError, match="no item"):
        called(run, argparse.ArgumentParser(), [])
