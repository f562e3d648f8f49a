"""What becomes of many records at once, as tests ask for it."""

from __future__ import annotations

from collections.abc import Sequence

from importer.mixpanel.event.completer import Completer


def leading(completer: Completer, records: Sequence[bytes]) -> list[bytes]:
    """The events of the records, up to the first that has to be completed alone."""
    found: list[bytes] = []
    for _, events in completer.stretches(list(records)):
        if not events:
            break
        found += events
    return found


def all_of(completer: Completer, records: Sequence[bytes]) -> list[bytes] | None:
    """The events of all of them; None when one has to be completed alone."""
    found = leading(completer, records)
    return found if len(found) == len(records) else None


def are_unchanged(completer: Completer, records: Sequence[bytes]) -> bool:
    """Whether all of them are the events themselves."""
    return all_of(completer, records) == list(records)
