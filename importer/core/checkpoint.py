"""Checkpoints: how far a source got, so that its next delivery goes on from there instead of from the beginning."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from importer.core.report import Report
from importer.records import Position


class Counts(Struct, frozen=True):
    """What became of the records before a mark. The names are the report's."""

    imported: int = 0
    rejected: int = 0
    dropped: int = 0
    requests: int = 0
    retried: int = 0
    bytes: int = 0
    sent_bytes: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, report: Report, offset: int) -> Counts:
        """What a report has counted, `offset` being the bytes of content that it is about."""
        values = {name: getattr(report, name) for name in cls.__struct_fields__}
        return cls(**{**values, "bytes": offset})

    def report(self) -> Report:
        """A report that goes on counting from here."""
        report = Report(read=self.imported + self.rejected + self.dropped)
        for name in self.__struct_fields__:
            setattr(report, name, getattr(self, name))
        return report


class Checkpoint(Struct, frozen=True):
    """A place in a source, and what became of all that is before it. Whoever wrote it, it is true."""

    mark: Position
    counts: Counts


class Checkpoints(Protocol):
    """Where the checkpoint of one source is kept."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Keeps it, in the place of the one before. If that fails, the log says so and the one before still holds."""

    def forget(self) -> None:
        """Takes it away, so that the next delivery starts at the beginning.

        Raises:
            Exception: it could not be taken away.
        """
