"""Made-up enriched events of Snowplow's: https://docs.snowplow.io/docs/pipeline/enriched-tsv-format/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from importer.mappings.vendors.snowplow_lines import BOOLEANS, COLUMNS, DOUBLES, INTEGERS
from sandbox.vendors.shop import Happening, happenings, iso

_CENTRAL = "iglu:com.snowplowanalytics.snowplow"
_encode = msgspec.json.Encoder().encode


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Lines of the enriched stream: page views, and what the shop tells of with a schema or a structured event of its
    own. Every twentieth comes from a phone, and one in 500 is a bad row.
    """
    return (line(happening) for happening in happenings(count, seed))


def line(happening: Happening) -> bytes:
    """The event as it lies on the enriched topic."""
    if happening.number % 500 == 0:
        return _encode(_bad_row(happening))
    found = fields(happening)
    return "\t".join([found.get(name, "") for name in COLUMNS]).encode()


def as_json(happening: Happening) -> bytes:
    """The event as the analytics SDKs write it."""
    if happening.number % 500 == 0:
        return _encode(_bad_row(happening))
    found: dict[str, Any] = {}
    for name, value in fields(happening).items():
        if name.endswith("_tstamp"):
            found[name] = value.replace(" ", "T") + "Z"
        elif name in INTEGERS:
            found[name] = int(value)
        elif name in DOUBLES:
            found[name] = float(value)
        elif name in BOOLEANS:
            found[name] = value == "1"
        else:
            found[name] = value
    for entity in (*_contexts(happening), *_derived(happening)):
        found.setdefault("contexts" + _json_name(entity["schema"]), []).append(entity["data"])
    if own := _own(happening):
        found["unstruct_event" + _json_name(own["schema"])] = own["data"]
    for raw in ("contexts", "derived_contexts", "unstruct_event"):
        found.pop(raw, None)
    return _encode(found)


def fields(happening: Happening) -> dict[str, str]:
    """The fields that are not empty, as a line has them."""
    on_phone = happening.number % 20 == 0
    own, derived = _own(happening), _derived(happening)
    found = {
        "app_id": "shop",
        "etl_tstamp": iso(happening.time + 2500, " ", ""),
        "collector_tstamp": iso(happening.time + 800, " ", ""),
        "dvce_created_tstamp": iso(happening.time + 5, " ", ""),
        "event_id": happening.id,
        "v_collector": "ssc-3.2.0-googlepubsub",
        "user_id": happening.user,
        "user_ipaddress": happening.ip if happening.number % 7 else "203.0.x.x",
        "geo_country": happening.place.country,
        "geo_city": happening.place.city,
        "geo_region_name": happening.place.region,
        "geo_timezone": happening.place.zone,
        "contexts": _wrapped("contexts", _contexts(happening)),
        "derived_contexts": _wrapped("contexts", derived) if derived else "",
        "unstruct_event": _wrapped("unstruct_event", own) if own else "",
        "derived_tstamp": iso(happening.time, " ", "") if happening.time % 1000 else iso(happening.time, " ", "")[:-4],
        "event_format": "jsonschema",
        **(_phone() if on_phone else _browser(happening)),
        **_kind(happening, own),
    }
    return {name: value for name, value in found.items() if value}


def _browser(happening: Happening) -> dict[str, str]:
    url, client = urlsplit(happening.url), happening.client
    return {
        "platform": "web",
        "name_tracker": "sp",
        "v_tracker": "js-3.24.0",
        "domain_userid": happening.device,
        "domain_sessionidx": str(happening.session % 9 + 1),
        "domain_sessionid": f"{happening.session:032x}",
        "page_url": happening.url,
        "page_title": happening.title,
        "page_referrer": happening.referrer,
        "page_urlhost": url.netloc,
        "page_urlpath": url.path,
        "refr_urlhost": urlsplit(happening.referrer).netloc,
        **{f"mkt_{'campaign' if part == 'name' else part}": value for part, value in happening.campaign.items()},
        "useragent": client.user_agent,
        "br_lang": happening.place.locale,
        "br_cookies": "1",
        "br_viewwidth": str(client.width),
        "br_viewheight": str(client.height - 120),
        "dvce_screenwidth": str(client.width),
        "dvce_screenheight": str(client.height),
    }


def _phone() -> dict[str, str]:
    return {"platform": "mob", "name_tracker": "shop-app", "v_tracker": "ios-6.0.2"}


def _kind(happening: Happening, own: dict[str, Any] | None) -> dict[str, str]:
    vendor = "com.snowplowanalytics.snowplow"
    if own:
        name = own["schema"].split("/")[1]
        return {"event": "unstruct", "event_vendor": "com.example", "event_name": name, "event_version": "1-0-0"}
    if happening.name == "Link Clicked":
        return {
            "event": "struct",
            "event_vendor": "com.google.analytics",
            "event_name": "event",
            "se_category": "links",
            "se_action": "click",
            "se_label": happening.path,
            "se_value": "1.0",
        }
    return {"event": "page_view", "event_vendor": vendor, "event_name": "page_view", "event_version": "1-0-0"}


def _own(happening: Happening) -> dict[str, Any] | None:
    if happening.name in ("Page View", "Link Clicked"):
        return None
    name = happening.name.lower().replace(" ", "_")
    return {"schema": f"iglu:com.example/{name}/jsonschema/1-0-0", "data": happening.properties}


def _contexts(happening: Happening) -> list[dict[str, Any]]:
    if happening.number % 20:
        return [{"schema": f"{_CENTRAL}/web_page/jsonschema/1-0-0", "data": {"id": happening.id[::-1]}}]
    device = {
        "osType": "ios",
        "osVersion": "18.4",
        "deviceManufacturer": "Apple Inc.",
        "deviceModel": "iPhone17,1",
        "carrier": None,
        "networkType": "wifi",
        "resolution": "1206x2622",
    }
    session = {"userId": happening.device, "sessionId": happening.id[::-1], "sessionIndex": 3, "eventIndex": 7}
    return [
        {"schema": f"{_CENTRAL}/mobile_context/jsonschema/1-0-3", "data": device},
        {"schema": f"{_CENTRAL}/client_session/jsonschema/1-0-2", "data": session},
        {
            "schema": "iglu:com.snowplowanalytics.mobile/application/jsonschema/1-0-0",
            "data": {"version": "4.2.0", "build": "421"},
        },
    ]


def _derived(happening: Happening) -> list[dict[str, Any]]:
    if happening.number % 8 or happening.number % 20 == 0:
        return []
    client = happening.client
    data = {
        "deviceBrand": "Unknown",
        "deviceName": "Desktop",
        "deviceClass": "Desktop",
        "agentClass": "Browser",
        "operatingSystemName": client.os,
        "operatingSystemVersion": client.os_version or "??",
        "agentName": client.browser,
        "agentVersion": client.browser_version,
    }
    return [{"schema": "iglu:nl.basjes/yauaa_context/jsonschema/1-0-4", "data": data}]


def _bad_row(happening: Happening) -> dict[str, Any]:
    return {
        "schema": f"{_CENTRAL}.badrows/schema_violations/jsonschema/2-0-0",
        "data": {"failure": {"timestamp": iso(happening.time), "messages": []}, "processor": {"artifact": "enrich"}},
    }


def _wrapped(kind: str, data: Any) -> str:
    return _encode({"schema": f"{_CENTRAL}/{kind}/jsonschema/1-0-0", "data": data}).decode()


def _json_name(schema: str) -> str:
    vendor, name, _, version = schema.removeprefix("iglu:").split("/")
    return f"_{vendor.replace('.', '_')}_{name}_{version[0]}"
