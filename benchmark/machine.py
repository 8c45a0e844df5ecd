"""Where a run happened: device, memory, versions."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

from benchmark.determinism import is_refused
from models.errors import UsageError

CODE = ("models", "baselines", "benchmark")
"""What a run is made of; stored rows change the checkout as well, but nothing that is run."""

PACKAGES = ("torch", "torch-geometric", "numpy", "scipy", "scikit-learn", "optuna", "pandas")


def choose_device(name: str) -> torch.device:
    """``auto``, ``cpu`` or ``cuda`` as a device.

    Raises:
        UsageError: If the device does not exist here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device '{name}' is unknown: use auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device '{name}': torch sees no CUDA GPU; use --device cpu or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"--device '{name}' does not exist: torch sees {torch.cuda.device_count()} GPUs, "
            "counted from 0"
        )
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"--device '{name}' is not supported: use auto, cpu or cuda")
    return device


DETERMINISTIC = ", deterministic"
"""How the name of a device ends that ``--deterministic`` was given for."""


def device_name(device: torch.device) -> str:
    """The processor's or the GPU's name, and what else about it results may depend on."""
    how = DETERMINISTIC if torch.are_deterministic_algorithms_enabled() else ""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device) + how
    lines = _read("/proc/cpuinfo").splitlines()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    name = next(models, platform.processor() or platform.machine())
    return f"{name}, {torch.get_num_threads()} threads{how}"


def versions() -> dict[str, str]:
    """Python's and the main packages' versions."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The checkout's commit, with ``+`` for local changes of code; empty outside a checkout."""
    try:
        _git("ls-files", "--error-unmatch", *CODE)  # fails in a checkout of something else
        changed = _git("status", "--porcelain", *CODE)
        return _git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    """What a command of Git prints in the folder of this checkout."""
    told = subprocess.run(
        ["git", *arguments],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout.strip()


def explained(error: Exception, device: torch.device) -> str:
    """Why a model failed, for its row; with what helps, where memory or an option is to blame."""
    reason = f"{type(error).__name__}: {error}"
    if is_refused(error):
        what, _, _ = str(error).partition(", but you set")
        instead = " or with --device cpu" if device.type == "cuda" else ""
        return f"--deterministic: {what}; run the model without the option{instead}"
    if not is_out_of_memory(error):
        return reason
    elsewhere = "--device cpu" if device.type == "cuda" else "a machine with more memory"
    return (
        f"out of memory on {device.type}: use smaller batches (--preset paper, or a smaller "
        f"batch_size in the model), fewer --jobs, fewer --modalities, or {elsewhere} ({reason})"
    )


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, NumPy, or torch on any device, could not get memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # torch has no class of its own for it on the processor
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


class PeakMemory:
    """Peak memory in MiB since it was made: of the GPU where there is one, else of the process."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            with contextlib.suppress(OSError):  # Linux forgets the process's peak when told so
                Path("/proc/self/clear_refs").write_text("5")

    def read(self) -> float:
        """The peak so far, of the whole process where the system cannot forget; NaN on Windows."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        for line in _read("/proc/self/status").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 2**10
        if sys.platform == "win32":
            return float("nan")
        import resource  # does not exist on Windows

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
