"""What a mapping gives for one record: an outcome for each event that the record holds.

A mapping is a pure function from a record (one JSON object in bytes; for Snowplow's TSV one line) to outcomes.
It raises nothing for what a record holds, and the same record always gives the same outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from importer.errors import InvalidRecord

Event = dict[str, Any]
"""A Mixpanel event, `{"event": …, "properties": {…}}`, before it is checked and completed. A mapping may leave out
`$insert_id` where the vendor has none: it is then made from the record as it came and the event's number in it."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """An event (or all of a record) that a mapping or a filter left out on purpose.

    Attributes:
        kind: what it was, in a few words that can be counted: `identify call`, `bad row`, `filter: events.deny $page*`.
    """

    kind: str


Outcome = Event | Dropped | InvalidRecord
"""An event to send, one that was dropped, or the reason why one cannot be mapped."""

Mapping = Callable[[bytes], list[Outcome]]
"""A compiled mapping. A record that holds no event gives one `Dropped`, never an empty list."""
