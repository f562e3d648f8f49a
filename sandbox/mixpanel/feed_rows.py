"""Events and rejects as the page shows them."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from importer.mixpanel.judge import Event
from sandbox.mixpanel.import_log import SourceReject
from sandbox.mixpanel.reject_groups import event_and_user, kind_of
from sandbox.mixpanel.store import Batch, Reject

MAX_TEXT = 32_000
"""Characters of one event that are shown."""

_decode = msgspec.json.Decoder(Event).decode


class Shown(Struct, frozen=True):
    """One event as the page shows it; `text` is its JSON, indented, the numbers as they were written."""

    at: float
    request: int
    source: str
    event: str
    user: str
    time: float
    insert_id: str
    text: str
    bytes: int


class Refused(Struct, frozen=True):
    """One reject as the page shows it, whoever made it: the importer, or the stand-in."""

    at: float
    source: str
    line: int | None
    field: str | None
    reason: str
    insert_id: str | None
    event: str
    kind: str
    name: str
    user: str


def shown(batch: Batch, line: bytes) -> Shown:
    """An event as the page shows it."""
    event = _decode(line)
    whole = len(line) <= MAX_TEXT
    return Shown(
        at=batch.at,
        request=batch.request,
        source=batch.source,
        event=event.event,
        user=event.properties.distinct_id,
        time=event.properties.time,
        insert_id=event.properties.insert_id,
        text=(msgspec.json.format(line, indent=2) if whole else line[:MAX_TEXT]).decode(errors="replace"),
        bytes=len(line),
    )


def refused(reject: SourceReject) -> Refused:
    """A reject as the page shows it."""
    return Refused(
        at=reject.at,
        source=reject.source,
        line=reject.line,
        field=reject.field,
        reason=reject.reason,
        insert_id=reject.insert_id,
        event=reject.event,
        kind=reject.kind,
        name=reject.name,
        user=reject.user,
    )


def of_standin(reject: Reject) -> SourceReject:
    """A reject of the stand-in's as the importer would tell of it: where the importer is not heard."""
    name, user = event_and_user(reject.event)
    return SourceReject(
        at=reject.at,
        source=reject.source or f"request {reject.request}",
        field=reject.field,
        reason=reject.message,
        insert_id=reject.insert_id,
        event=reject.event,
        kind=kind_of(reject.message),
        name=name,
        user=user,
    )
