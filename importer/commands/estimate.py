"""What an import will take, before it begins: time at Mixpanel's rate, and money at Google's list prices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from importer.storage.store import Entry

_EVENT_BYTES = 850
_RATIO = 4
"""Bytes of an event as JSON; how many of them become one byte that is sent, and come out of one of a packed file."""
_PACKED = (".gz", ".gzip", ".zst", ".zstd", ".parquet", ".avro", ".bz2", ".snappy", ".lz4")

_EVENTS_PER_SECOND = 30_000
_BYTES_PER_SECOND = 2e9 / 60
"""https://developer.mixpanel.com/reference/import-events#rate-limits"""

_OUT_DOLLARS = 0.12 / 1e9
"""For a byte that leaves Google's network: https://cloud.google.com/vpc/network-pricing"""
_RUN_DOLLARS = 0.000018 + 0.5 * 0.000002
"""For a second of a Cloud Run job with one processor and 512 MiB: https://cloud.google.com/run/pricing"""
_OBJECT_DOLLARS = 4 * 0.005 / 1_000 + 4 * 0.0004 / 1_000
"""For what is written and read of an object and of what is kept of it: https://cloud.google.com/storage/pricing"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What objects hold, and what it takes to import them.

    Attributes:
        objects, bytes: how many there are, and their bytes as they are stored.
        events: about how many they hold.
        seconds: how long that takes, at least.
        dollars: what it costs as a Cloud Run job, about.
    """

    objects: int
    bytes: int
    events: float
    seconds: float
    dollars: float


def estimate(entries: Iterable[Entry], events_per_second: float | None) -> Estimate:
    """What it takes to import these objects.

    Args:
        events_per_second: the ceiling that the user sets; None is Mixpanel's.
    """
    objects = stored = unpacked = 0
    for entry in entries:
        objects += 1
        stored += entry.size
        unpacked += entry.size * (_RATIO if entry.address.lower().endswith(_PACKED) else 1)
    events = unpacked / _EVENT_BYTES
    rate = min(events_per_second or _EVENTS_PER_SECOND, _EVENTS_PER_SECOND)
    seconds = max(events / rate, unpacked / _BYTES_PER_SECOND)
    dollars = unpacked / _RATIO * _OUT_DOLLARS + seconds * _RUN_DOLLARS + objects * _OBJECT_DOLLARS
    return Estimate(objects, stored, events, seconds, dollars)
