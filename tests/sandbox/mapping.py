"""A transform, for the tests of the preview: sign-ups keep their plan, what is of no interest is dropped."""

from __future__ import annotations

from typing import Any


def to_mixpanel(record: dict[str, Any]) -> dict[str, Any] | None:
    """Turns one line of a made-up application's log into an event."""
    print("a transform may print")
    if record["type"] == "heartbeat":
        return None
    return {
        "event": record["type"],
        "properties": {"time": record["when"], "distinct_id": record["who"], "plan": record.get("plan")},
    }
