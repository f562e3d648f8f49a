"""The bounds that several rooms keep to: Mixpanel's, each with its source, and our own."""

from __future__ import annotations

MAX_BATCH_EVENTS = 2000
"""Events in one request to /import, at most: https://developer.mixpanel.com/reference/import-events"""
MAX_EVENT_BYTES = 1_000_000
"""An event is smaller than this, uncompressed: https://developer.mixpanel.com/reference/import-events"""
CHUNK_BYTES = 1 << 18
"""How much content is worked on at a time: also what a gzip bomb can make us hold."""
