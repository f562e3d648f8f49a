"""Filters: what of an event may leave, applied after the mapping. A mapping file says which (`[filters]`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from importer.mappings.outcome import Dropped, Event

Step = Callable[[Event, list[str]], "Event | Dropped"]
"""One rule: gives the event, changed in place if need be (then it adds its name to the list), or why it is dropped."""


class Filters(Protocol):
    """A file's filters, compiled."""

    def apply(self, event: Event, changed: list[str]) -> Event | Dropped:
        """The event as it may leave: changed in place, or dropped. It raises nothing for what an event holds.

        Args:
            event: what a mapping made, or a record of Mixpanel's own shape; it may lack anything.
            changed: gets the names of the rules that changed something, each once.
        """
        ...
