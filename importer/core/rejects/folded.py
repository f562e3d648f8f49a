"""The rejects of one source: the first thousand one by one, those beyond folded, many records in one reject.

A small message can hold millions of records, and the good ones among them are to be imported whatever the others are.
So nothing of the others is lost, and what is held of them is hardly more than their text.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from importer.core.rejects.reject import Reject, is_counted_again, rejected_event, rejected_record, rejected_rest
from importer.errors import InvalidRecord
from importer.mixpanel.outcome import RejectedEvent

MAX_UNFOLDED = 1_000
"""Rejects that hold one record each."""

MAX_FOLDED_BYTES = 200_000
"""Records in one reject, in bytes; one that is longer has a reject of its own."""


class FoldedRejects:
    """Collects the rejects of a source.

    Args:
        source: its name.

    Attributes:
        count: records (or events of theirs) that were rejected.
    """

    __slots__ = ("_first", "_folded", "_last", "_lines", "_rejects", "_rest", "_source", "_unfolded", "count")

    def __init__(self, source: str) -> None:
        self.count = 0
        self._source = source
        self._unfolded = 0
        self._rejects: list[Reject] = []
        self._lines = bytearray()  # records that are being folded, a line each
        self._folded = 0  # how many rejects they stand for
        self._first = (0, 0, "")  # line and offset of the first of them, and its reason
        self._last = (0, 0)
        self._rest: Reject | None = None

    @property
    def is_folding(self) -> bool:
        """Whether the next reject will be folded, and take no more than its text."""
        return self._unfolded >= MAX_UNFOLDED

    def add(self, line: int, offset: int, record: bytes, reasons: Sequence[InvalidRecord]) -> None:
        """Takes a record in that was rejected here, for one reason or, if it holds several events, for more."""
        for reason in reasons:
            if not self.is_folding and is_counted_again(self._rejects, line, offset, record):
                self.count += 1
            elif not self.is_folding:
                self._append(rejected_record(self._source, line, offset, record, reason))
            else:
                self._fold(line, offset, record, reason.reason)

    def add_event(self, line: int, offset: int, record: bytes | None, event: bytes, rejection: RejectedEvent) -> None:
        """Takes a record in whose `event` Mixpanel rejected; `record` is None where they are the same."""
        if not self.is_folding and is_counted_again(self._rejects, line, offset, event if record is None else record):
            self.count += 1
        elif not self.is_folding:
            self._append(rejected_event(self._source, line, offset, record, event, rejection))
        else:
            self._fold(line, offset, event if record is None else record, rejection.message)

    def add_rest(self, line: int, offset: int, whole: bytes, reason: str) -> None:
        """Takes in that nothing after `line` can be read. The reject is `whole`, so what was folded is in it, too."""
        self.count += 1
        self._rest = rejected_rest(self._source, line, offset, whole, reason)
        del self._rejects[self._unfolded :]
        self._lines.clear()

    def all(self) -> list[Reject]:
        """The rejects; their `records` add up to `count`."""
        if self._rest is not None:
            counted = sum(one.records for one in self._rejects)
            return [*self._rejects, msgspec.structs.replace(self._rest, records=self.count - counted)]
        self._close()
        return self._rejects

    def _append(self, reject: Reject) -> None:
        self.count += 1
        self._unfolded += 1
        self._rejects.append(reject)

    def _fold(self, line: int, offset: int, record: bytes, reason: str) -> None:
        self.count += 1
        if self._rest is not None:
            return
        if self._folded and (line, offset) == self._last:
            self._folded += 1  # another event of the same record
            return
        if len(self._lines) + len(record) >= MAX_FOLDED_BYTES:
            self._close()
        if not self._folded:
            self._first = line, offset, reason
        self._last = line, offset
        self._folded += 1
        # An array's element may stand on several lines: between JSON's tokens a space means the same.
        self._lines += record.replace(b"\n", b" ") + b"\n"

    def _close(self) -> None:
        """Makes a reject of what is folded so far."""
        if not self._folded:
            return
        line, offset, reason = self._first
        several = f"{self._folded:,} records, of which the first: " if self._folded > 1 else ""
        reject = rejected_record(
            self._source, line, offset, bytes(self._lines[:-1]), InvalidRecord(f"{several}{reason}")
        )
        self._rejects.append(msgspec.structs.replace(reject, records=self._folded))
        self._lines.clear()
        self._folded = 0
