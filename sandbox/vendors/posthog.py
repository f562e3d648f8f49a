"""Made-up rows of PostHog's batch exports: https://posthog.com/docs/cdp/batch-exports/s3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sandbox.vendors.shop import Happening, happenings, iso

_encode = msgspec.json.Encoder().encode


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Rows as JSON lines: page views and events of posthog-js's, one in ten of a server's, one in 100 a call of
    `identify` and one in 100 that of a feature flag.
    """
    return (_encode(row(happening)) for happening in happenings(count, seed))


def row(happening: Happening) -> dict[str, Any]:
    """The row of one event."""
    time = iso(happening.time, end="000+00:00")
    name, properties = _told(happening)
    return {
        "uuid": happening.id,
        "event": name,
        "properties": properties,
        "distinct_id": happening.user or happening.device,
        "person_id": happening.device[::-1],
        "person_properties": {"plan": "pro"} if happening.user else {},
        "elements_chain": "",
        "timestamp": time,
        "created_at": iso(happening.time + 900, end="000+00:00"),
        "_inserted_at": iso(happening.time + 60_000, end="000+00:00"),
    }


def of_table(row: dict[str, Any]) -> dict[str, Any]:
    """The same as a row of Parquet, where what is nested is a text, and times are such."""
    found = {name: _encode(value).decode() if isinstance(value, dict) else value for name, value in row.items()}
    for name in ("timestamp", "created_at", "_inserted_at"):
        found[name] = found[name].replace("+00:00", "Z")
    return found


def _told(happening: Happening) -> tuple[str, dict[str, Any]]:
    if happening.number % 10 == 0:
        return happening.name, {"$lib": "posthog-python", "$lib_version": "6.1.0", "$ip": None, **happening.properties}
    client, place, referrer = happening.client, happening.place, happening.referrer or "$direct"
    found: dict[str, Any] = {
        "$ip": happening.ip,
        "$device_id": happening.device,
        "$is_identified": bool(happening.user),
        "$os": client.os,
        "$browser": client.browser,
        "$browser_version": int(client.browser_version.partition(".")[0]),
        "$current_url": happening.url,
        "$lib": "web",
        "$lib_version": "1.249.0",
        "$insert_id": "x7z2m9",
        "token": "phc_made_up",
        "$referrer": referrer,
        "$referring_domain": urlsplit(referrer).netloc or "$direct",
        "$geoip_city_name": place.city,
        "$geoip_country_code": place.country,
        "$geoip_subdivision_1_name": place.region,
        "$feature/new-checkout": "test",
        **{f"utm_{'campaign' if part == 'name' else part}": value for part, value in happening.campaign.items()},
    }
    if happening.user:
        found["$user_id"] = happening.user
    if happening.number % 100 == 1:
        return "$identify", found | {"$anon_distinct_id": happening.device}
    if happening.number % 100 == 2:
        return "$feature_flag_called", found | {"$feature_flag": "new-checkout"}
    if happening.name == "Page View":
        return "$pageview", found | {"title": happening.title}
    return happening.name, found | happening.properties
