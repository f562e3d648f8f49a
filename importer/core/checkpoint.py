"""Checkpoints: how far a source got, so that its next delivery goes on from there instead of from the beginning."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from importer.core.report import Counts
from importer.records import Position

__all__ = ["Checkpoint", "Checkpoints", "Counts"]


class Checkpoint(Struct, frozen=True):
    """A place in a source, and what became of all that is before it. Whoever wrote it, it is true."""

    mark: Position
    counts: Counts


class Checkpoints(Protocol):
    """Where the checkpoint of one source is stored."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Stores it, in the place of the one before. If that fails, the log says so and the one before still holds."""

    def forget(self) -> None:
        """Takes it away, so that the next delivery starts at the beginning.

        Raises:
            Exception: it could not be taken away.
        """
