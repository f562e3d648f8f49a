"""Made-up lines of Mixpanel's Raw Event Export, and rows of its JSON pipelines.

https://developer.mixpanel.com/reference/raw-event-export, https://docs.mixpanel.com/docs/data-pipelines/json-pipelines
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.vendors.shop import Happening, happenings, iso


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Lines of the export of a project with the original identity merge: one in 100 is a call of `$identify`, one in
    100 of `$merge`.
    """
    encode = msgspec.json.Encoder().encode
    return (encode(exported(happening)) for happening in happenings(count, seed))


def exported(happening: Happening) -> dict[str, Any]:
    """A line of the export."""
    place, client = happening.place, happening.client
    properties: dict[str, Any] = {
        "time": happening.time // 1000,
        "distinct_id": happening.user or f"$device:{happening.device}",
        "$device_id": happening.device,
        "$insert_id": happening.id,
        "$browser": client.browser,
        "$browser_version": int(client.browser_version.partition(".")[0]),
        "$city": place.city,
        "$current_url": happening.url,
        "$import": True,
        "$lib_version": "2.65.0",
        "$mp_api_endpoint": "api-js.mixpanel.com",
        "$mp_api_timestamp_ms": happening.time + 400,
        "$os": client.os,
        "$region": place.region,
        "$screen_height": client.height,
        "$screen_width": client.width,
        "mp_country_code": place.country,
        "mp_lib": "web",
        "mp_processing_time_ms": happening.time + 900,
        **happening.properties,
    }
    if happening.user:
        properties["$user_id"] = happening.user
    if happening.number % 100 == 1:
        calls = {"$identified_id": happening.user, "$anon_id": happening.device}
        return {"event": "$identify", "properties": properties | calls}
    if happening.number % 100 == 2:
        return {"event": "$merge", "properties": properties | {"$distinct_ids": [happening.device, happening.user]}}
    return {"event": happening.name, "properties": properties}


def piped(happening: Happening) -> dict[str, Any]:
    """The same event as a row of a pipeline."""
    line = exported(happening)
    properties = line["properties"]
    return {
        "event_name": line["event"],
        "time": iso(properties.pop("time") * 1000, " ", " UTC"),
        "distinct_id": properties.pop("distinct_id"),
        "insert_id": properties.pop("$insert_id"),
        "device_id": properties.pop("$device_id"),
        "user_id": properties.pop("$user_id", None),
        "properties": properties,
    }
