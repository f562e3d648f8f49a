"""Trouble on purpose with a bucket: what a storage service and the way to it can do wrong, by switches.

The same again for the same seed and order of requests.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any, Literal

from msgspec import Struct

from sandbox.switches import Seconds, Share, shares, switch_name, turned

Request = Literal["download", "upload", "metadata"]
"""What a request wants: an object's content, to write one, or to look at or delete one."""

Kind = Literal["429", "503", "cut", "corrupt", "stall", "upload_503", "upload_cut"]
"""What can befall a request:

- 429, 503: that answer, to downloads and to requests for metadata.
- cut: a download breaks off in the middle.
- corrupt: one byte of a download is another than the one that is stored.
- stall: a download stops in the middle for `stall_seconds`, and then breaks off.
- upload_503: that answer to an upload; nothing is written.
- upload_cut: the object is written, then the connection closes without an answer.
"""
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]

_BEFALLS: dict[Kind, frozenset[Request]] = {
    "429": frozenset({"download", "metadata"}),
    "503": frozenset({"download", "metadata"}),
    "cut": frozenset({"download"}),
    "corrupt": frozenset({"download"}),
    "stall": frozenset({"download"}),
    "upload_503": frozenset({"upload"}),
    "upload_cut": frozenset({"upload"}),
}


class Switches(Struct, frozen=True, forbid_unknown_fields=True, rename=switch_name):
    """All that can be made to go wrong. Each kind's own switch is the share of requests that suffer it, from 0 to 1.

    Attributes:
        seed: what the choice of requests follows from.
        prefix: only what is named so suffers.
        stall_seconds: how long a download stops.
    """

    seed: int = 0
    prefix: str = ""
    stall_seconds: Seconds = 60.0
    answer_429: Share = 0.0
    answer_503: Share = 0.0
    cut: Share = 0.0
    corrupt: Share = 0.0
    stall: Share = 0.0
    upload_503: Share = 0.0
    upload_cut: Share = 0.0


class StorageFaults:
    """Decides what befalls each request, and counts what was read. Serves several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """No trouble, and nothing read."""
        self._use(Switches())
        self._read: Counter[str] = Counter()

    def change(self, asked: dict[str, Any]) -> None:
        """Turns the switches named in `asked`, and leaves the others. The choice of requests starts anew.

        Raises:
            SwitchError: one of them does not exist or has no such position; nothing is changed.
        """
        self._use(turned(self.switches, asked, KINDS))

    def next(self, request: Request, name: str) -> Kind | None:
        """What befalls the next request about the object `name`."""
        with self._lock:
            draw = self._random.random()
            if not name.startswith(self.switches.prefix):
                return None
            for kind, share in self._shares.items():
                if request not in _BEFALLS[kind]:
                    continue
                if draw < share:
                    return kind
                draw -= share
            return None

    def count(self, name: str, size: int) -> None:
        """Books `size` bytes of an object's content as read."""
        with self._lock:
            self._read[name] += size

    def read(self) -> dict[str, int]:
        """How many bytes of each object's content were read so far, those read again included."""
        with self._lock:
            return dict(self._read)

    def _use(self, switches: Switches) -> None:
        with self._lock:
            self.switches = switches
            self._random = random.Random(switches.seed)
            self._shares = shares(switches, KINDS)
