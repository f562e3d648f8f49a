"""mParticle: batches of 0 to n events, as its storage and stream outputs send them.

The fields are those of https://docs.mparticle.com/developers/apis/json-reference/. What is sent out differs from what
is sent in: identities are a list, times are texts, and there is no `ip`. Both forms are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from importer.errors import InvalidRecord
from importer.mappings import reasons
from importer.mappings.decoding import Shape, as_object
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.countries import country_code
from importer.mappings.fields.identity import as_id, identify
from importer.mappings.fields.insert_ids import insert_id
from importer.mappings.fields.properties import add, is_scalar, too_many
from importer.mappings.fields.user_agents import client
from importer.mappings.outcome import Dropped, Outcome
from importer.times import from_epoch


class Batch(Struct, gc=False):
    """The fields that are looked at. What is known of the user is the user's, and not in every event of theirs."""

    events: Any = None
    user_identities: Any = None
    mp_deviceid: Any = None
    mpid: Any = None
    batch_id: Any = None
    message_type: Any = None
    request_type: Any = None
    environment: Any = None
    ip: Any = None
    device_info: dict[str, Any] | None = None
    application_info: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


_USER = "customer_id"
"""The type of identity that Mixpanel's integration with mParticle takes for the known user, unless told otherwise."""
_DEVICES = ("ios_idfv", "android_uuid", "roku_publisher_id", "microsoft_publisher_id")
"""What of `device_info` tells a device from another, without being an advertiser's."""
_DEVICE = {
    "platform": "platform",
    "os_version": "$os_version",
    "brand": "$brand",
    "device_manufacturer": "$manufacturer",
    "device_model": "$model",
    "network_carrier": "$carrier",
    "radio_access_technology": "$radio",
    "has_nfc": "$has_nfc",
    "bluetooth_enabled": "$bluetooth_enabled",
    "bluetooth_version": "$bluetooth_version",
    "screen_height": "$screen_height",
    "screen_width": "$screen_width",
    "screen_dpi": "$screen_dpi",
    "locale_language": "language",
    "is_tablet": "is_tablet",
}
_APPLICATION = {
    "application_version": "$app_version_string",
    "application_build_number": "$app_build_number",
    "application_name": "app_name",
    "package": "app_package",
}
_PLACE = {"city_name": "$city", "region_code": "$region"}
_SYSTEMS = {"ios": "iOS", "android": "Android", "tvos": "tvOS"}
_NOT_EVENTS = {
    "user_attribute_change": "user attribute change",
    "user_identity_change": "user identity change",
    "breadcrumb": "breadcrumb",
    "network_performance": "network performance",
    "crash_report": "crash report",
    "push_registration": "push registration",
    "opt_out": "opt-out",
    "profile": "profile",
}
"""Types that are changes to a user, or of the app's workings."""
_HANDLED = """
    event_name event_id source_message_id message_id message_type timestamp_unixtime_ms event_start_unixtime_ms
    session_id session_start_unixtime_ms session_start_unixtime event_num location device_current_state
    custom_attributes custom_flags product_action promotion_action shopping_cart push_notification_payload
    push_message_token registration_token system_notifications
"""
_LEFT_OUT = frozenset(_HANDLED.split())
"""What of an event's data is not kept as it is: looked at one by one, or of no use in reports."""
_BOOLEANS = {"true": True, "false": False, "True": True, "False": False}
_SHAPE = Shape(Batch)


def matches(record: dict[str, Any]) -> bool:
    """Whether it is a batch, which may be without events."""
    events = record.get("events")
    if events:
        return isinstance(events, list) and isinstance(events[0], dict) and {"event_type", "data"} <= events[0].keys()
    return {"mpid", "batch_id"} <= record.keys() or {"mpid", "message_type"} <= record.keys()


def outcomes(record: dict[str, Any]) -> list[Outcome]:
    """An outcome for each event of a batch."""
    return _outcomes(_SHAPE.convert(record))


def to_mixpanel(record: bytes) -> list[Outcome]:
    """The same of a batch in bytes."""
    batch = _SHAPE.read(record)
    return [batch] if isinstance(batch, InvalidRecord) else _outcomes(batch)


def _outcomes(batch: Batch) -> list[Outcome]:
    events = batch.events
    if not events and (events is not None or not _is_blank(batch)):
        return [Dropped("alias request" if batch.request_type == "alias" else "batch without events")]
    if not isinstance(events, list):
        return [InvalidRecord("is no batch of mParticle's: it has no list of events", "events")]
    shared = _shared(batch)
    if not identify(shared, _user(batch.user_identities), _device(batch)):
        return [reasons.no_user("user_identities", "mp_deviceid", "device_info", "mpid") for _ in events]
    place = as_object(as_object(batch.context).get("location"))
    return [_outcome(as_object(event), f"events[{number}].", shared, place) for number, event in enumerate(events)]


def _outcome(event: dict[str, Any], path: str, shared: dict[str, Any], place: dict[str, Any]) -> Outcome:
    kind, data = event.get("event_type"), as_object(event.get("data"))
    if isinstance(kind, str) and kind in _NOT_EVENTS:
        return Dropped(_NOT_EVENTS[kind])
    name = _name(kind, data)
    if name.__class__ is not str or not name or name.isspace():
        return reasons.no_name(path + ("data.event_name" if kind == "custom_event" else "event_type"), name)
    time = from_epoch(data.get("timestamp_unixtime_ms"), "ms")
    if time is None:
        field = "data.timestamp_unixtime_ms"
        return reasons.no_time(path + field, data.get("timestamp_unixtime_ms"), "milliseconds since the epoch")
    properties = shared.copy()
    _put_own(properties, data)
    rest = {name: value for name, value in data.items() if name not in _LEFT_OUT}
    for part in (rest, _commerce(data), _attributes(data)):
        if part and (reject := add(properties, part)):
            return reject
    _put_place(properties, as_object(data.get("location")) or place)
    properties["time"] = time
    if identifier := insert_id(data.get("source_message_id")) or insert_id(data.get("event_id")):
        properties["$insert_id"] = identifier
    return too_many(properties) or {"event": name, "properties": properties}


def _is_blank(batch: Batch) -> bool:
    """Whether nothing tells that it is a batch at all."""
    return all(one is None for one in (batch.mpid, batch.batch_id, batch.message_type, batch.request_type))


def _name(kind: object, data: dict[str, Any]) -> Any:
    if kind == "custom_event":
        return data.get("event_name")
    if kind == "screen_view":
        screen = data.get("screen_name")
        return f"Viewed {screen}" if isinstance(screen, str) and screen.strip() else "Viewed Screen"
    if kind == "commerce_event":
        action, promotion = (as_object(data.get(f"{what}_action")).get("action") for what in ("product", "promotion"))
        if action or not isinstance(promotion, str):
            return action or ("product_impression" if data.get("product_impressions") else kind)
        return f"promotion_{promotion}"
    return kind


def _user(identities: object) -> str:
    """The customer's id: of a list (as sent out) the first that is usable, or of an object (as sent in)."""
    if isinstance(identities, dict):
        return as_id(identities.get(_USER))
    for one in identities if isinstance(identities, list) else ():
        if isinstance(one, dict) and one.get("identity_type") == _USER and (user := as_id(one.get("identity"))):
            return user
    return ""


def _device(batch: Batch) -> str:
    """The device; mParticle's own id of the person stands for it only where nothing else does."""
    known = as_object(batch.device_info)
    candidates = (batch.mp_deviceid, *map(known.get, _DEVICES), batch.mpid)
    return next(filter(None, map(as_id, candidates)), "")


def _shared(batch: Batch) -> dict[str, Any]:
    """The properties that all events of a batch have."""
    device = as_object(batch.device_info)
    platform = device.get("platform")
    system = platform.casefold() if isinstance(platform, str) else ""
    found = dict(client(device.get("http_header_user_agent"))) if system == "web" else {}
    if system in _SYSTEMS:
        found["$os"] = _SYSTEMS[system]
    _put(found, device, _DEVICE.items())
    _put(found, as_object(batch.application_info), _APPLICATION.items())
    if is_scalar(batch.environment):
        found["environment"] = batch.environment
    if address := client_ip(batch.ip):
        found["ip"] = address
    return found


def _put_own(properties: dict[str, Any], data: dict[str, Any]) -> None:
    """Adds the session, the network, and the campaign that the app or page was opened from."""
    if session := as_id(data.get("session_id")):
        properties["session_id"] = session  # as a text: reports would round a number of 64 bits
    network = as_object(data.get("device_current_state")).get("data_connection_type")
    if isinstance(network, str) and network:
        properties["$wifi"] = network == "wifi"
    referral = data.get("launch_referral")
    if isinstance(referral, str) and "utm_" in referral:
        try:
            query = parse_qsl(urlsplit(referral).query, max_num_fields=100)
        except ValueError:
            return
        properties.update({name: value for name, value in query if name.startswith("utm_")})


def _attributes(data: dict[str, Any]) -> dict[str, Any]:
    """The custom attributes, which are texts: those that say true or false become booleans, as mParticle's own
    forwarder to Mixpanel makes them.
    """
    found = as_object(data.get("custom_attributes"))
    return {name: _BOOLEANS.get(value, value) if value.__class__ is str else value for name, value in found.items()}


def _commerce(data: dict[str, Any]) -> dict[str, Any]:
    """What was done with products or promotions; that it was is the event's name."""
    found = as_object(data.get("product_action")) or as_object(data.get("promotion_action"))
    return {name: value for name, value in found.items() if name != "action"}


def _put_place(properties: dict[str, Any], place: dict[str, Any]) -> None:
    if place:
        _put(properties, place, _PLACE.items())
        if code := country_code(place.get("country_code")):
            properties["mp_country_code"] = code


def _put(properties: dict[str, Any], section: dict[str, Any], names: Iterable[tuple[str, str]]) -> None:
    for name, target in names:
        value = section.get(name)
        if value is not None and is_scalar(value):
            properties[target] = value
