"""Files as the commands have them, made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from importer.commands.work import File, State
from importer.core.rejects.reject import Reject, rejected_record
from importer.core.report import Report
from importer.errors import InvalidRecord
from importer.storage.store import Entry


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
