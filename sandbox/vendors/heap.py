"""Made-up rows of Heap Connect's tables of events.

https://help.heap.io/hc/en-us/articles/18700033317020-Heap-Connect-Data-Schema
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sandbox.vendors.shop import Happening, happenings, iso


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Rows of several tables, each with its table's name beside it, as a query over all of them gives."""
    encode = msgspec.json.Encoder().encode
    return (encode({"event_table_name": table(one), **row(one)}) for one in happenings(count, seed))


def table(happening: Happening) -> str:
    """The table that the row is in."""
    return "pageviews" if happening.name == "Page View" else happening.name.lower().replace(" ", "_")


def row(happening: Happening) -> dict[str, Any]:
    """The row as the table has it."""
    client, place, url = happening.client, happening.place, urlsplit(happening.url)
    return {
        "event_id": 7_000_000_000_000_000_000 + int(happening.id[:8], 16),
        "user_id": 4_000_000_000_000_000 + int(happening.device[:6], 16),
        "session_id": happening.session * 1_009,
        "time": iso(happening.time, " ", ""),
        "library": "web",
        "platform": f"{client.os} {client.os_version}".strip(),
        "device_type": "Mobile" if client.width < 1000 else "Desktop",
        "country": place.country_name,
        "region": place.region,
        "city": place.city,
        "ip": happening.ip,
        "referrer": happening.referrer or None,
        "landing_page": "https://www.example-shop.com/",
        "browser": f"{client.browser} {client.browser_version}",
        "domain": url.netloc,
        "path": url.path,
        "query": f"?{url.query}" if url.query else None,
        "hash": None,
        "title": happening.title,
        **{f"utm_{'campaign' if part == 'name' else part}": value for part, value in happening.campaign.items()},
        "heap_device_id": happening.device,
        "identity": happening.user or None,
        **happening.properties,
    }
