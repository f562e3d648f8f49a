"""What a measured process tells of itself: one line of JSON on standard error, a `measuring.Usage`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from bench.measuring import Usage, peak_memory


@dataclass(slots=True)
class Counted:
    """What the process counted itself; requests and bytes on the wire only where nobody else can count them."""

    events: int = 0
    bytes: int = 0
    requests: int = 0
    wire: int = 0


def measured(work: Callable[[], Counted]) -> None:
    """Does the work, and prints what it took. What was imported before does not count."""
    wall, processor = time.perf_counter(), time.process_time()
    counted = work()
    usage = Usage(
        events=counted.events,
        bytes=counted.bytes,
        wall=time.perf_counter() - wall,
        processor=time.process_time() - processor,
        peak=peak_memory(),
        requests=counted.requests,
        wire=counted.wire,
    )
    sys.stderr.write(msgspec.json.encode(usage).decode() + "\n")
