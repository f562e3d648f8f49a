"""Made-up calls as RudderStack's storage destinations keep them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.vendors import segment
from sandbox.vendors.shop import Happening, happenings, iso


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Calls of the JavaScript SDK, one a line: mostly track, some page, and one identify in 200."""
    encode = msgspec.json.Encoder().encode
    return (encode(call(happening)) for happening in happenings(count, seed))


def call(happening: Happening) -> dict[str, Any]:
    """One call: Segment's, with what RudderStack has in its place or adds."""
    found = segment.call(happening)
    del found["version"]
    context = found["context"] | {
        "sessionId": happening.session,
        "timezone": happening.place.zone,
        "library": {"name": "RudderLabs JavaScript SDK", "version": "3.21.0"},
        "screen": {"width": happening.client.width, "height": happening.client.height, "density": 2},
    }
    del context["ip"]
    return found | {
        "messageId": happening.id,
        "rudderId": happening.device,
        "channel": "web",
        "context": context,
        "request_ip": happening.ip,
        "timestamp": iso(happening.time + 19_800_000, end="+05:30"),
    }
