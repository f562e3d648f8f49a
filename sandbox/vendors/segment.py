"""Made-up calls as Segment archives them: https://segment.com/docs/connections/spec/common/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.vendors.shop import Happening, happenings, iso


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Calls of analytics.js, one a line: mostly track, some page, and one identify in 200."""
    encode = msgspec.json.Encoder().encode
    return (encode(call(happening)) for happening in happenings(count, seed))


def call(happening: Happening) -> dict[str, Any]:
    """One call, with all that analytics.js sends along."""
    page = {
        "path": happening.path,
        "referrer": happening.referrer,
        "title": happening.title,
        "url": happening.url,
    }
    client = happening.client
    context: dict[str, Any] = {
        "ip": happening.ip,
        "library": {"name": "analytics.js", "version": "next-1.70.0"},
        "locale": happening.place.locale,
        "page": page,
        "userAgent": client.user_agent,
    }
    if happening.campaign:
        context["campaign"] = happening.campaign
    found: dict[str, Any] = {"anonymousId": happening.device, "context": context}
    if happening.number % 200 == 0:
        found |= {"type": "identify", "traits": {"plan": "pro"}}
    elif happening.name == "Page View":
        found |= {"type": "page", "name": "Product", "properties": {**page, "name": "Product"}}
    else:
        found |= {"type": "track", "event": happening.name, "properties": happening.properties}
    time = iso(happening.time)
    return {
        **found,
        "messageId": f"ajs-next-{happening.time}-{happening.id}",
        "originalTimestamp": time,
        "receivedAt": iso(happening.time + 900),
        "sentAt": iso(happening.time + 200),
        "timestamp": time,
        "userId": happening.user or None,
        "version": 2,
    }
