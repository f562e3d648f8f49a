"""The stand-in's whole state: what it holds, what it was told, what trouble it makes."""

from __future__ import annotations

import time
from typing import Any

from sandbox.clients import Bucket
from sandbox.mixpanel.faults import Faults
from sandbox.mixpanel.import_log import MAX_SOURCES, Reports
from sandbox.mixpanel.store import HISTORY, LIMITS, Store


class Sandbox:
    """One stand-in.

    Args:
        seed: what the choice of troubled requests follows from.
        count_only: whether events are only counted, neither checked nor kept, so that a benchmark measures its client.
        credentials: the only ones accepted, as `username:secret` or a lone token; any by default.
        bucket: where files dropped on the page go.
        transform: what a preview applies, as `module:function`.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        count_only: bool = False,
        credentials: str | None = None,
        bucket: Bucket | None = None,
        transform: str | None = None,
    ) -> None:
        self.store = Store()
        self.reports = Reports()
        self.faults = Faults(seed, credentials)
        self.count_only = count_only
        self.bucket = bucket
        self.transform = transform

    @property
    def rejected(self) -> int:
        """Records rejected so far: as the importer tells it, who refuses some itself, or else those refused here."""
        return self.reports.rejected if self.reports.heard else self.store.rejected

    def hear(self, log: bytes) -> int:
        """Takes the importer's log lines; how many of them told of a run or a reject."""
        before = self.reports.rejected
        taken = self.reports.take(log)
        if (more := self.reports.rejected - before) > 0:
            self.store.second(time.time()).reported += more
        return taken

    def setting(self) -> dict[str, Any]:
        """What it keeps and works with; hardly ever does it change while it runs."""
        return {
            "limits": {**LIMITS, "sources": MAX_SOURCES},
            "history": HISTORY,
            "bucket": self.bucket.name if self.bucket else None,
            "transform": self.transform,
        }

    def reset(self) -> None:
        """Forgets everything, trouble included."""
        self.store = Store()
        self.reports = Reports()
        self.faults.reset()
