"""Transforms for the tests: one that fails at some events, and the same with its fault mended."""

from __future__ import annotations

from typing import Any


def broken(event: dict[str, Any]) -> dict[str, Any]:
    """Takes for granted what not every event has."""
    if event["event"] != "Page View":
        raise KeyError(event["event"])
    return event


def mended(event: dict[str, Any]) -> dict[str, Any]:
    """Takes each event as it is."""
    return event


def loud(event: dict[str, Any]) -> dict[str, Any]:
    """Fails with all of the event in its error, where it has an event."""
    if "event" in event:
        raise ValueError("\n".join(map(str, event.values())))
    return event
