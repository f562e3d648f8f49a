"""What a process costs, and on which core it runs: the parts of every measurement here."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

OURS, THEIRS = 0, 1
"""The core that what is measured runs on, alone, and the core of all that it talks to."""


class Usage(Struct, frozen=True):
    """What the import of some events took.

    Attributes:
        events: how many there were, good and bad.
        bytes: their uncompressed size.
        wall: seconds from the first byte read to the last answer.
        processor: seconds of user and system time within that.
        peak: bytes of memory resident at most (`VmHWM`), since the process began.
        requests: import requests.
        wire: bytes sent as their bodies.
    """

    events: int
    bytes: int
    wall: float
    processor: float
    peak: int
    requests: int = 0
    wire: int = 0


def processor(usage: Usage) -> float:
    """Processor seconds an event."""
    return usage.processor / usage.events


def speed(usage: Usage) -> float:
    """Events a second."""
    return usage.events / usage.wall


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Within it, this thread and the processes it starts run on that core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def processor_seconds(pid: int) -> float:
    """User and system time of a running process, threads that have ended too, to the nanosecond.

    Linux makes a clock of every process; see CPUCLOCK_SCHED in its include/linux/posix-timers.h.
    """
    return time.clock_gettime(~pid << 3 | 2)


def peak_memory(pid: int | str = "self") -> int:
    """Bytes of memory that were resident at most (`VmHWM`)."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM:") * 1024


def proportional_memory(pid: int) -> int:
    """Bytes of memory resident now; what processes share counts in parts (`Pss`)."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") * 1024


def group(leader: int) -> list[int]:
    """The processes of a group, the leader first."""
    found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return sorted((pid for pid in found if _group_of(pid) == leader), key=lambda pid: (pid != leader, pid))


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _kilobytes(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(name))
