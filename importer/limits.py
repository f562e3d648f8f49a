"""The bounds that several rooms keep to: Mixpanel's, each with its source, and our own."""

from __future__ import annotations

MAX_BATCH_EVENTS = 2000
"""Events in one request to /import, at most: https://developer.mixpanel.com/reference/import-events"""
MAX_EVENT_BYTES = 1_000_000
"""An event is smaller than this, uncompressed: https://developer.mixpanel.com/reference/import-events"""
MAX_RECORD_BYTES = 8_000_000
"""A record of which a mapping makes events is smaller than this, whatever the events' number: ours. What is decoded of
it takes ten times as much memory."""
MAX_MADE_BYTES = 64_000_000
"""The events that are made of one record have less than this together: ours."""
MAX_PROPERTIES = 255
"""An event's properties, the keys of a nested object and the elements of an array are each fewer than this."""
MAX_DEPTH = 3
"""Objects within a property's value nest at most this deep; arrays on the way do not count."""

_PLACEHOLDERS = "anon anonymous nil none null n/a na undefined unknown <nil> 0 -1 true false [] {}"
DISALLOWED_IDS = frozenset({"00000000-0000-0000-0000-000000000000", *_PLACEHOLDERS.split()})
"""What neither distinct_id nor $insert_id may be: values that betray a mistake in the sender."""
IDENTITY_CALLS = frozenset(("$identify", "$create_alias", "$merge"))
"""Names of events that are no events: Mixpanel's `/import` rejects the whole batch that one of them is in, in a project
with the simplified merge."""

MAX_NESTING = 600
"""Brackets of a record lie within each other at most this deep. Python 3.11 decodes what is 1,000 deep, less the calls
that the program is in, and later versions more: so this is what all of them can do, within anyone's engine."""

CHUNK_BYTES = 1 << 18
"""How much content is worked on at a time: also what a gzip bomb can make us hold."""
