"""Rejects in the log, where no other place is set: each whole, over several entries if it is long.

The platform cuts an entry of more than 256 kB: https://cloud.google.com/logging/quotas#log-limits
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from importer import log
from importer.core.rejects.reject import Reject

_MAX_PART_BYTES = 120_000
"""A part of an event in one entry, at most, as JSON writes it: the other fields take at most as much."""

_MAX_CHARACTERS = 2_000
"""Of a text that is no event."""


class LogSink:
    """Writes each reject to the log, as an error: nothing else keeps it.

    A reject whose event has several parts is an entry of the kind `reject` with the first, and one of the kind
    `reject part` for each that follows. All of them have the same `reject_id`, and their number as `part`.
    """

    def __init__(self) -> None:
        self._log = log.get()

    def store(self, rejects: Sequence[Reject]) -> None:
        """See `core.rejects.reject.RejectSink`."""
        for one in rejects:
            self._write(one)

    def _write(self, reject: Reject) -> None:
        parts = list(_parts(reject.event)) or [""]
        reason, field = reject.reason[:_MAX_CHARACTERS], (reject.field or "")[:_MAX_CHARACTERS]
        place = f"{reject.source}, line {reject.line}"
        identifier = secrets.token_hex(8)
        for number, part in enumerate(parts, 1):
            fields: dict[str, Any] = {"source": reject.source, "line": reject.line, "offset": reject.offset}
            if len(parts) > 1:
                fields |= {"reject_id": identifier, "part": number, "parts": len(parts)}
            if number > 1:
                told = f"part {number} of {len(parts)}"
                self._log.error(f"{place}: {told}", kind="reject part", **fields, _event=part)
                continue
            fields |= {"reason": reason, "field": field or None, **_not_usual(reject)}
            fields["insert_id"] = reject.insert_id and reject.insert_id[:_MAX_CHARACTERS]
            told = f"{field + ': ' if field else ''}{reason}"
            self._log.error(f"{place}: {told}", kind="reject", **fields, _event=part)


def _not_usual(reject: Reject) -> dict[str, Any]:
    """What a reject says of itself only where it is not as usual."""
    usual = {"encoding": None, "whole": False, "records": 1}
    return {name: found for name, default in usual.items() if (found := getattr(reject, name)) != default}


def _parts(event: str) -> Iterator[str]:
    """Cuts a text so that each part takes no more than its bytes once it is written as JSON."""
    most = _MAX_PART_BYTES - len('""')
    start, size = 0, most
    while start < len(event):
        part = event[start : start + size]
        length = len(msgspec.json.encode(part)) - len('""')
        if length > most:
            size = max(len(part) * most // length, 1)
        else:
            yield part
            start, size = start + len(part), most
