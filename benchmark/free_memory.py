"""How much memory is left: of a GPU, or of the machine and the containers that a process is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import torch

GROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""Where Linux shows control groups, and those of this process."""

KINDS = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""By the kind of a group, new and old: files of its limit and its use, and what can be given up."""


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still get."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # what torch holds without using it
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min([int(psutil.virtual_memory().available), *group_rooms()])


def group_rooms() -> Iterator[int]:
    """What is left of the limit of every control group around this process, if it has one."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        for kind in KINDS.keys() & set(kinds.split(",")):
            inner = GROUPS / kind / path.strip("/")
            # a container may see its own group as the root, whatever its path is outside
            for group in (inner, *inner.parents):
                if group.is_relative_to(GROUPS) and (room := left_in(group, kind)) is not None:
                    yield room


def left_in(group: Path, kind: str) -> int | None:
    """Limit less use, where the use is not what the page cache would give up."""
    limit, use, cache = KINDS[kind]
    try:
        most, used = (group / limit).read_text(), (group / use).read_text()
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if not most.strip().isdigit():  # "max"
        return None
    return int(most) - int(used) + int(statistics.get(cache, 0))
