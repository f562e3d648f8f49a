"""What became of one batch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """One event that Mixpanel will never take: its index in the batch, the field at fault, and Mixpanel's words."""

    index: int
    field: str | None
    message: str


@dataclass(slots=True)
class Outcome:
    """What became of one batch. Every event in it was imported or is in `rejected`; there is no third.

    Attributes:
        imported: events that Mixpanel took.
        rejected: events it will never take.
        requests: requests made, tries again included.
        retried: requests that had to be made again.
        sent_bytes: bytes sent as request bodies, compressed.
    """

    imported: int = 0
    rejected: list[RejectedEvent] = field(default_factory=list)
    requests: int = 0
    retried: int = 0
    sent_bytes: int = 0
