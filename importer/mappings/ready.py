"""The ready mappings: a name, and the module that knows that vendor's records. A module is imported when it is used.

Such a module has

    outcomes(record: dict[str, Any]) -> list[Outcome]   what a decoded record gives; it never raises
    to_mixpanel: Mapping                                 the same from bytes; `decoding.of_objects(outcomes)` makes it
    matches(record: dict[str, Any]) -> bool              whether a decoded record is this vendor's, by its keys

and where its records come as something else than JSON objects, a `decode(record: bytes)` of its own, which gives the
dict that `outcomes` takes, or the `InvalidRecord` that the record is. One with calls that only link two ids may have

    identified(record: dict[str, Any], name: str) -> Event | None   the event of that name which links them

and one whose tables each hold the events of one name

    of_table(name: str) -> Mapping   the mapping of that table's rows
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from importer.errors import InvalidRecord
from importer.mappings import decoding
from importer.mappings.outcome import Mapping, Outcome


@dataclass(frozen=True, slots=True)
class Vendor:
    """A row of the table.

    Attributes:
        title: what to call it in a sentence.
        signs: keys of which every record of the vendor's has one: without, its module is not even imported. Empty where
            nothing marks a record: `auto` does not try such a vendor.
    """

    title: str
    signs: tuple[str, ...]


VENDORS = {
    "snowplow": Vendor("Snowplow", ("collector_tstamp", "schema")),
    "ga4": Vendor("GA4", ("event_params",)),
    "amplitude": Vendor("Amplitude", ("event_properties", "merged_amplitude_id")),
    "posthog": Vendor("PostHog", ("uuid",)),
    "mparticle": Vendor("mParticle", ("events", "mpid")),
    "rudderstack": Vendor("RudderStack", ("messageId",)),
    "segment": Vendor("Segment", ("messageId",)),
    "cloudevents": Vendor("CloudEvents", ("specversion",)),
    "mixpanel": Vendor("Mixpanel's own export", ("properties",)),
    "heap": Vendor("Heap", ()),
}
"""By name, the module of `importer.mappings.vendors` behind it; in the order in which a record's shape is looked for:
those with the surest signs first. A new vendor is a file and a row here."""


class Ready(Protocol):
    """A module of this table."""

    to_mixpanel: Mapping

    def outcomes(self, record: dict[str, Any], /) -> list[Outcome]: ...

    def matches(self, record: dict[str, Any], /) -> bool: ...


def module(name: str) -> Ready:
    """The module behind a name of the table."""
    found: Any = importlib.import_module(f"importer.mappings.vendors.{name}")
    return found  # type: ignore[no-any-return]


def decoder(name: str) -> Callable[[bytes], dict[str, Any] | InvalidRecord]:
    """How the vendor's records are decoded."""
    return getattr(module(name), "decode", decoding.decode)
