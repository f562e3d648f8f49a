"""Which events, rejects, requests and sources a page wants to see."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from starlette.requests import Request as HttpRequest

from importer.mixpanel.judge import Event
from sandbox.mixpanel.import_log import Source, SourceReject
from sandbox.mixpanel.store import Batch, Request

_decode = msgspec.json.Decoder(Event).decode


class Wanted(Struct, frozen=True):
    """What to show: that whose name, user and source contain these texts, whatever their case.

    Attributes:
        event, user, source: of events and rejects; requests and sources have a source alone.
        reason: of rejects: a part of it, or the kind of the group.
        answer: of requests: the status, or a part of what is said of it.
        request: the number of a request, for its events and rejects, and for itself.
    """

    event: str = ""
    user: str = ""
    source: str = ""
    reason: str = ""
    answer: str = ""
    request: str = ""

    @classmethod
    def by(cls, request: HttpRequest) -> Wanted:
        """What a request's query asks for."""
        return cls(**{name: request.query_params.get(name, "").strip().casefold() for name in cls.__struct_fields__})

    def includes(self, batch: Batch, line: bytes) -> bool:
        """Whether an event is one of them."""
        if self.source not in batch.source.casefold() or self.request not in {"", str(batch.request)}:
            return False
        if not self.event and not self.user:
            return True
        event = _decode(line)
        return self.event in event.event.casefold() and self.user in event.properties.distinct_id.casefold()

    def includes_request(self, request: Request) -> bool:
        """Whether a request is one of them."""
        said = f"{request.status or 'no answer'} {request.fault or ''} {request.reason} {request.path}"
        return (
            self.source in request.source.casefold()
            and self.answer in said.casefold()
            and self.request in {"", str(request.n)}
        )

    def includes_reject(self, reject: SourceReject, *, of_any_kind: bool = False) -> bool:
        """Whether a reject is one of them; where `of_any_kind`, whatever its reason."""
        return (
            (not self.source or self.source in reject.source.casefold())
            and (of_any_kind or self.reason == reject.kind.casefold() or self.reason in reject.reason.casefold())
            and (not self.event or self.event in reject.event.casefold())
            and (not self.user or self.user in (reject.user or reject.event).casefold())
        )

    def includes_source(self, source: Source) -> bool:
        """Whether a source is one of them."""
        return self.source in source.name.casefold() or self.source.startswith(source.name.casefold() + "#")
