"""Made-up CloudEvents: https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.vendors.shop import Happening, happenings, iso

_encode = msgspec.json.Encoder().encode


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """What a shop's services tell each other. One in 50 has its data encoded, and one in 200 is a storage's
    notification.
    """
    return (_encode(event(happening)) for happening in happenings(count, seed))


def event(happening: Happening) -> dict[str, Any]:
    """One event in JSON."""
    client, place = happening.client, happening.place
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": happening.id,
        "source": "https://shop.example.com/checkout",
        "type": f"com.example.shop.{happening.name.lower().replace(' ', '_')}",
        "time": iso(happening.time, end="123456Z"),
        "subject": happening.path,
        "datacontenttype": "application/json",
        "traceparent": f"00-{happening.device.replace('-', '')}-00f067aa0ba902b7-01",
    }
    data = {
        "user_id": happening.user or None,
        "anonymous_id": happening.device,
        "page": {"url": happening.url, "title": happening.title, "referrer": happening.referrer},
        "client": {"user_agent": client.user_agent, "width": client.width, "height": client.height},
        "place": {"city": place.city, "region": place.region, "country": place.country},
        **happening.properties,
    }
    if happening.number % 200 == 0:
        return found | {"type": "google.cloud.storage.object.v1.finalized", "data": {"bucket": "b", "name": "n"}}
    if happening.number % 50 == 0:
        return found | {"data_base64": base64.b64encode(_encode(data)).decode()}
    return found | {"data": data}
