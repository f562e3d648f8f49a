"""The stand-in's whole state: what it holds, what it was told, what trouble it makes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from sandbox.clients import Bucket
from sandbox.mixpanel.faults import Faults
from sandbox.mixpanel.import_log import MAX_SOURCES, Reports
from sandbox.mixpanel.store import HISTORY, LIMITS, Reject, Request, Store
from sandbox.mixpanel.surroundings import MAPPINGS, Functions, Surroundings


class Sandbox:
    """One stand-in.

    Args:
        seed: what the choice of troubled requests follows from.
        count_only: whether events are only counted, neither checked nor kept, so that a benchmark measures its client.
        credentials: the only ones accepted, as `username:secret` or a lone token; any by default.
        bucket: where files dropped on the page go.
        mapping: what a preview applies, as IMPORT_MAPPING names it.
        transform: the same, as `module:function`.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        count_only: bool = False,
        credentials: str | None = None,
        bucket: Bucket | None = None,
        mapping: str | None = None,
        transform: str | None = None,
    ) -> None:
        self.store = Store()
        self.reports = Reports()
        self.faults = Faults(seed, credentials)
        self.count_only = count_only
        self.bucket = bucket
        self.around = Surroundings(mapping=mapping, transform=transform)

    @property
    def rejected(self) -> int:
        """Records rejected so far: as the importer tells it, who refuses some itself, or else those refused here."""
        return self.reports.rejected if self.reports.heard else self.store.rejected

    def finish(self, request: Request, rejects: Sequence[Reject] = ()) -> None:
        """A request has been dealt with."""
        self.store.finish(request, rejects)
        self.reports.note(request)

    def hear(self, log: bytes) -> int:
        """Takes the importer's log lines; how many of them told of a run or a reject."""
        before = self.reports.rejected
        taken = self.reports.take(log)
        if (more := self.reports.rejected - before) > 0:
            self.store.second(time.time()).reported += more
        return taken

    def picked(self, mapping: str | None) -> None:
        """A mapping was picked on the page."""
        state = self.around.functions.state
        functions = self.around.functions if state == "unknown" else Functions("starting")
        self.around = msgspec.structs.replace(self.around, mapping=mapping, functions=functions)

    def setting(self) -> dict[str, Any]:
        """What it keeps; it does not change while it runs."""
        return {
            "limits": {**LIMITS, "sources": MAX_SOURCES},
            "history": HISTORY,
            "bucket": self.bucket.name if self.bucket else None,
            "bucket_url": self.bucket.url if self.bucket else None,
            "mappings": MAPPINGS,
        }

    def reset(self) -> None:
        """Forgets everything, trouble included."""
        self.store = Store()
        self.reports = Reports()
        self.faults.reset()
