"""Made-up rows of Amplitude's export: https://amplitude.com/docs/apis/analytics/export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sandbox.vendors.shop import Happening, happenings, iso


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Rows as the export has them: all fields in every row, null where nothing is known, which takes 1,400 bytes. Every
    tenth is of the app, and every fourth has an `$insert_id` that Mixpanel would not take.
    """
    encode = msgspec.json.Encoder().encode
    return (encode(row(happening)) for happening in happenings(count, seed))


def row(happening: Happening) -> dict[str, Any]:
    """The row of one event."""
    in_app, place, client = happening.number % 10 == 0, happening.place, happening.client
    time = iso(happening.time, " ", "000")
    told = happening.properties
    if happening.name == "Page View":
        told = {"[Amplitude] Page Location": happening.url, "[Amplitude] Page Title": happening.title}
    return {
        "$insert_id": happening.id if happening.number % 4 else f"{happening.name}:{happening.number}",
        "$insert_key": None,
        "$schema": None,
        "adid": None,
        "amplitude_attribution_ids": None,
        "amplitude_event_type": None,
        "amplitude_id": 700_000_000_000 + int(happening.device[:6], 16),
        "app": 345_678,
        "city": place.city,
        "client_event_time": time,
        "client_upload_time": time,
        "country": place.country_name,
        "data": {"path": "/2/httpapi"},
        "device_brand": "Google" if in_app else None,
        "device_carrier": None,
        "device_family": "Google Pixel 9" if in_app else client.os,
        "device_id": happening.device,
        "device_manufacturer": "Google" if in_app else None,
        "device_model": "Pixel 9" if in_app else None,
        "device_type": "Google Pixel 9" if in_app else client.os,
        "dma": None,
        "event_id": happening.number % 1000,
        "event_properties": told,
        "event_time": time if happening.number % 9 else time[:19],
        "event_type": "[Amplitude] Page Viewed" if happening.name == "Page View" else happening.name,
        "group_properties": {},
        "groups": {"company": [f"c-{happening.number % 90}"]} if happening.number % 3 == 0 else {},
        "idfa": None,
        "ip_address": happening.ip if happening.number % 8 else None,
        "is_attribution_event": False,
        "language": "English",
        "library": "amplitude-kotlin/1.16.7" if in_app else "amplitude-ts/2.11.1",
        "location_lat": None,
        "location_lng": None,
        "os_name": "android" if in_app else client.browser,
        "os_version": "15" if in_app else client.browser_version.partition(".")[0],
        "partner_id": None,
        "paying": None,
        "plan": {},
        "platform": "Android" if in_app else "Web",
        "processed_time": time,
        "region": place.region,
        "sample_rate": None,
        "server_received_time": time,
        "server_upload_time": time,
        "session_id": happening.session if happening.number % 11 else -1,
        "start_version": None,
        "user_creation_time": None,
        "user_id": happening.user or None,
        "user_properties": {"plan": "pro"},
        "uuid": happening.id[::-1] if happening.number % 4 else happening.id,
        "version_name": "4.2.0" if in_app else None,
    }
