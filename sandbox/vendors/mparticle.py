"""Made-up batches as mParticle's outputs send them: https://docs.mparticle.com/developers/apis/json-reference/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.vendors.shop import Happening, happenings

_BATCH = 5
"""Events in a batch, at most. One batch in 50 has none."""


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Batches, most of three events and of about 850 bytes for each: page views, custom and commerce events."""
    encode = msgspec.json.Encoder().encode
    held: list[Happening] = []
    number = 0
    for happening in happenings(count * _BATCH, seed):
        held.append(happening)
        if len(held) > number % _BATCH:
            yield encode(batch(held if number % 50 else held[:0], held[0]))
            held, number = [], number + 1
            if number == count:
                return


def batch(held: list[Happening], first: Happening) -> dict[str, Any]:
    """A batch of the first one's visitor."""
    in_app, client = first.number % 2 == 0, first.client
    device: dict[str, Any] = {
        "platform": "iOS" if in_app else "web",
        "http_header_user_agent": client.user_agent,
        "screen_width": client.width,
        "screen_height": client.height,
        "locale_language": first.place.locale[:2],
        "locale_country": first.place.country,
        "timezone_offset": 2,
    }
    if in_app:
        device |= {
            "brand": "iPhone17,1",
            "device_manufacturer": "Apple",
            "device_model": "iPhone17,1",
            "os_version": "18.4",
            "ios_idfv": first.device.upper(),
            "network_carrier": "",
            "is_tablet": False,
        }
    return {
        "events": [{"data": data(one), "event_type": kind(one)} for one in held],
        "device_info": device,
        "user_attributes": {"plan": "pro"},
        "deleted_user_attributes": [],
        "user_identities": [{"identity_type": "email", "identity": "a@example.com", "timestamp_unixtime_ms": None}]
        + [{"identity_type": "customer_id", "identity": first.user, "timestamp_unixtime_ms": str(first.time)}]
        * bool(first.user),
        "application_info": {"application_name": "Shop", "application_version": "4.2.0", "package": "com.example.shop"},
        "schema_version": 2,
        "environment": "production",
        "context": {"location": _location(first)},
        "mpid": -7_636_538_281_262_557_000 + int(first.device[:8], 16),
        "timestamp_unixtime_ms": str(first.time + 5000),
        "batch_id": first.session * 1_000_003,
        "message_id": first.id,
        "message_type": "events",
    }


def kind(happening: Happening) -> str:
    """The type of an event."""
    if happening.name == "Page View":
        return "screen_view"
    return "commerce_event" if happening.name in _ACTIONS else "custom_event"


def data(happening: Happening) -> dict[str, Any]:
    """What an event has to tell."""
    told = happening.properties
    found: dict[str, Any] = {
        "timestamp_unixtime_ms": str(happening.time),
        "event_id": 6_558_165_446_704_400_378 - happening.number,
        "source_message_id": happening.id if happening.number % 9 else None,
        "session_id": -happening.session * 1_000_003,
        "session_uuid": happening.device,
        "session_start_unixtime_ms": str(happening.session),
        "event_start_unixtime_ms": str(happening.time),
        "custom_attributes": {name: _as_text(value) for name, value in told.items() if name not in ("tags", "coupon")},
        "location": None,
        "device_current_state": {"data_connection_type": "wifi", "battery_level": 0.5},
    }
    if happening.name in _ACTIONS:
        product = {"id": told["sku"], "name": told["product"], "price": told["price"], "quantity": 1}
        return found | {
            "product_action": {"action": _ACTIONS[happening.name], "products": [product]},
            "currency_code": told["currency"],
        }
    if happening.name == "Page View":
        return found | {"screen_name": "Product"}
    return found | {"event_name": happening.name, "custom_event_type": "navigation"}


def _location(happening: Happening) -> dict[str, Any]:
    return {"city_name": happening.place.city, "region_code": "BE", "country_code": happening.place.country}


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_ACTIONS = {
    "Product Viewed": "view_detail",
    "Product Added": "add_to_cart",
    "Checkout Started": "checkout",
    "Order Completed": "purchase",
}
