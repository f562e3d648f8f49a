"""The ready mappings: a name, and the module that knows that vendor's records. A module is imported when it is used.

Such a module has

    outcomes(record: dict[str, Any]) -> list[Outcome]   what a decoded record gives; it never raises
    to_mixpanel: Mapping                                 the same from bytes; `decoding.of_objects(outcomes)` makes it
    matches(record: dict[str, Any]) -> bool              whether a decoded record is this vendor's, by its keys

and where its records come as something else than JSON objects, a `decode(record: bytes)` of its own, which gives the
dict that `outcomes` takes, or the `InvalidRecord` that the record is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from importer.errors import InvalidRecord
from importer.mappings import decoding
from importer.mappings.outcome import Mapping, Outcome

MODULES = {
    "snowplow": "importer.mappings.snowplow",
    "ga4": "importer.mappings.ga4",
    "amplitude": "importer.mappings.amplitude",
    "segment": "importer.mappings.segment",
    "rudderstack": "importer.mappings.rudderstack",
    "posthog": "importer.mappings.posthog",
    "mparticle": "importer.mappings.mparticle",
    "heap": "importer.mappings.heap",
    "mixpanel": "importer.mappings.mixpanel",
    "cloudevents": "importer.mappings.cloudevents",
}


class Ready(Protocol):
    """A module of this table."""

    to_mixpanel: Mapping

    def outcomes(self, record: dict[str, Any], /) -> list[Outcome]: ...

    def matches(self, record: dict[str, Any], /) -> bool: ...


def module(name: str) -> Ready:
    """The module behind a name of `MODULES`."""
    found: Any = importlib.import_module(MODULES[name])
    return found  # type: ignore[no-any-return]


def decoder(name: str) -> Callable[[bytes], dict[str, Any] | InvalidRecord]:
    """How the vendor's records are decoded."""
    return getattr(module(name), "decode", decoding.decode)
