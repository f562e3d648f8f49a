"""Amplitude: rows of its export, from the Export API or from the Google Cloud Storage and S3 destinations.

The fields are those of https://amplitude.com/docs/apis/analytics/export. What the page calls ISO 8601 is written
`2025-06-30 03:37:52.846000`, in UTC; a country is written out; on the web, what is called the system is the browser.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from importer.mappings import reasons
from importer.mappings.decoding import Shape
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.countries import country_code
from importer.mappings.fields.identity import identify
from importer.mappings.fields.insert_ids import insert_id
from importer.mappings.fields.properties import add, problem_of, too_many
from importer.mappings.outcome import Dropped, Outcome
from importer.times import from_iso


class Row(Struct, gc=False, rename={"insert_id": "$insert_id"}):
    """The fields that are looked at, in the order in which rows have them, which is the fastest to read; the others are
    Amplitude's own, or say the same."""

    insert_id: Any = None
    city: str | None = None
    country: str | None = None
    device_brand: str | None = None
    device_carrier: str | None = None
    device_family: str | None = None
    device_id: Any = None
    device_manufacturer: str | None = None
    device_model: str | None = None
    device_type: str | None = None
    dma: str | None = None
    event_properties: dict[str, Any] | None = None
    event_time: Any = None
    event_type: Any = None
    groups: dict[str, Any] | None = None
    ip_address: str | None = None
    language: str | None = None
    library: str | None = None
    location_lat: float | None = None
    location_lng: float | None = None
    merged_amplitude_id: Any = None
    os_name: str | None = None
    os_version: str | None = None
    paying: bool | str | None = None
    platform: str | None = None
    region: str | None = None
    session_id: int | None = None
    user_id: Any = None
    user_properties: dict[str, Any] | None = None
    uuid: Any = None
    version_name: str | None = None


_PAGE = "[Amplitude] Page Location"
"""What Amplitude's browser SDK calls a page's whole address."""
_NOT_EVENTS = {
    "$identify": "identify call",
    "$groupidentify": "group identify call",
    "$create_alias": "alias call",
    "$merge": "merge call",
}
"""Names of what sets something about a user or a group. Some of them cost Mixpanel's /import a whole batch."""

_SHAPE = Shape(Row)


def matches(record: dict[str, Any]) -> bool:
    """Whether it is a row of events, or of the files of merged users beside them."""
    return {"amplitude_id", "event_type", "event_properties"} <= record.keys() or "merged_amplitude_id" in record


def _outcome(row: Row) -> Outcome:
    name = row.event_type
    if name.__class__ is not str or not name or name.isspace() or name in _NOT_EVENTS:
        return _no_event(row)
    time = from_iso(row.event_time)
    if time is None:
        return reasons.no_time("event_time", row.event_time)
    properties: dict[str, Any] = {}
    _put_device(properties, row)
    _put_client(properties, row)
    _put_place(properties, row)
    for given in (row.groups, row.event_properties):
        if given and (reject := add(properties, given)):
            return reject
    if row.user_properties and not problem_of("user_properties", row.user_properties):  # there may be too many
        properties["user_properties"] = row.user_properties
    if page := properties.get(_PAGE):
        properties["$current_url"] = page
    if address := client_ip(row.ip_address):
        properties["ip"] = address
    properties["time"] = time
    if identifier := _insert_id(row):
        properties["$insert_id"] = identifier
    if not identify(properties, row.user_id, row.device_id):
        return reasons.no_user("user_id", "device_id")
    return too_many(properties) or {"event": name, "properties": properties}


def _no_event(row: Row) -> Outcome:
    name = row.event_type
    if name is None and row.merged_amplitude_id is not None:
        return Dropped("merged users")
    if isinstance(name, str) and name in _NOT_EVENTS:
        return Dropped(_NOT_EVENTS[name])
    return reasons.no_name("event_type", name)


# Each by itself: most of them are null in most rows, and to pass over a field so costs a third of a loop's turn.


def _put_device(properties: dict[str, Any], row: Row) -> None:
    if brand := row.device_brand:
        properties["$brand"] = brand
    if manufacturer := row.device_manufacturer:
        properties["$manufacturer"] = manufacturer
    if model := row.device_model:
        properties["$model"] = model
    if carrier := row.device_carrier:
        properties["$carrier"] = carrier
    if family := row.device_family:
        properties["device_family"] = family
    if kind := row.device_type:
        properties["device_type"] = kind
    if version := row.version_name:
        properties["$app_version_string"] = version


def _put_client(properties: dict[str, Any], row: Row) -> None:
    on_web = row.platform == "Web"
    if system := row.os_name:
        properties["$browser" if on_web else "$os"] = system
    if version := row.os_version:
        properties["$browser_version" if on_web else "$os_version"] = version
    if platform := row.platform:
        properties["platform"] = platform
    if language := row.language:
        properties["language"] = language
    if row.library:
        properties["mp_lib"], _, version = row.library.partition("/")
        if version:
            properties["$lib_version"] = version
    if row.session_id is not None and row.session_id != -1:
        properties["session_id"] = row.session_id
    if paying := row.paying:
        properties["paying"] = paying


def _put_place(properties: dict[str, Any], row: Row) -> None:
    if city := row.city:
        properties["$city"] = city
    if region := row.region:
        properties["$region"] = region
    if country := row.country:
        code = country_code(country)
        properties["mp_country_code" if code else "country"] = code or country
    if dma := row.dma:
        properties["dma"] = dma
    if row.location_lat is not None and row.location_lng is not None:
        properties["location_lat"], properties["location_lng"] = row.location_lat, row.location_lng


def _insert_id(row: Row) -> str | None:
    """Amplitude's own `$insert_id` is what the sender chose, such as `Order Completed:1`; the `uuid` is always one."""
    made = insert_id(row.insert_id)
    return made if made is not None and made == row.insert_id else insert_id(row.uuid) or made


outcomes = _SHAPE.of_objects(_outcome)
"""One event for a row."""

to_mixpanel = _SHAPE.of_bytes(_outcome)
"""The same of a record in bytes."""
