"""Which offset of a partition may be committed: the one up to which everything is settled, whatever settles first."""

from __future__ import annotations


class Offsets:
    """The offsets of one partition, for as long as it is assigned. Belongs to one thread.

    Attributes:
        committed: what was committed last; None before that.
    """

    __slots__ = ("_next", "_open", "committed")

    def __init__(self) -> None:
        self._open: dict[int, None] = {}  # in the order in which they came, which is the partition's
        self._next: int | None = None
        self.committed: int | None = None

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, offset: int) -> None:
        """A message has come."""
        self._open[offset] = None
        self._next = offset + 1

    def settle(self, offset: int) -> None:
        """A message is settled."""
        del self._open[offset]

    def to_commit(self) -> int | None:
        """The offset that the next reader is to begin at; None where nothing is new since `committed`."""
        position = next(iter(self._open), self._next)
        return None if position == self.committed else position
