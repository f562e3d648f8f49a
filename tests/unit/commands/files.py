"""Files as the commands have them, made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from importer.commands.work import File, State
from importer.core.rejects.reject import Reject, rejected_record
from importer.core.report import Report
from importer.errors import InvalidRecord
from importer.storage.store import Entry
from tests.integration.running import Ended

Run = Callable[..., Ended]


def entry(name: str = "day/a.jsonl", size: int = 1_000, written: float = 1_700_000_000.0) -> Entry:
    return Entry(name, f"{name}#1", size, written)


def file(state: State = "done", name: str = "day/a.jsonl", size: int = 1_000, **report: Any) -> File:
    return File(entry(name, size), state, Report(**report))


def reject(reason: str = "is no time", field: str | None = "properties.time", line: int = 3, **changes: Any) -> Reject:
    made = rejected_record("gs://b/x#7", line, 10, b"{}", InvalidRecord(reason, field))
    return Reject(**{name: getattr(made, name) for name in Reject.__struct_fields__} | changes)


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.rejects: list[Reject] = []

    def store(self, rejects: Sequence[Reject]) -> None:
        self.rejects += rejects


def event(identifier: str, **properties: Any) -> bytes:
    known = {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": identifier}
    return json.dumps({"event": "e", "properties": {**known, **properties}}).encode()


def write(*names: str, content: bytes | None = None) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(event(name.replace("/", "-").removesuffix(".jsonl")) if content is None else content)
