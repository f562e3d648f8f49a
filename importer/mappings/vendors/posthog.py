"""PostHog: its batch exports of events, as JSON lines or as rows of Parquet, where properties are a text of JSON.

The fields are those of https://posthog.com/docs/cdp/batch-exports/s3. Whose an event is stands in its properties:
`distinct_id` is either a known user's or a browser's.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from importer.errors import InvalidRecord
from importer.mappings import decoding, reasons
from importer.mappings.decoding import Shape
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.countries import country_code
from importer.mappings.fields.identity import as_id, identify
from importer.mappings.fields.insert_ids import insert_id
from importer.mappings.fields.properties import RESERVED, add, beyond_limits
from importer.mappings.outcome import Dropped, Outcome
from importer.times import from_iso


class Row(Struct, gc=False):
    """The fields that are looked at."""

    uuid: Any = None
    event: Any = None
    distinct_id: Any = None
    timestamp: Any = None
    properties: dict[str, Any] | str | None = None
    person_version: Any = None
    is_deleted: Any = None


IDENTIFIED = "Identify"
"""What PostHog's `$identify` is called here, if it links a browser to a user: the name itself is not one for events."""
_NOT_EVENTS = {
    "$feature_flag_called": "feature flag call",
    "$set": "set call",
    "$groupidentify": "group identify call",
    "$create_alias": "alias call",
    "$merge": "merge call",
    "$merge_dangerously": "merge call",
    "$web_vitals": "web vitals",
    "$snapshot": "session recording",
    "$performance_event": "session recording",
    "$$heatmap": "heatmap",
}
"""What PostHog keeps among its events and is none: what is known of users and groups, and measurements of its own."""

_NAMES = {
    "$lib": "mp_lib",
    "$os_name": "$os",
    "$app_version": "$app_version_string",
    "$app_build": "$app_build_number",
    "$device_manufacturer": "$manufacturer",
    "$device_model": "$model",
    "$device_name": "$device",
    "$network_carrier": "$carrier",
    "$network_wifi": "$wifi",
    "$network_bluetooth": "$bluetooth_enabled",
    "$geoip_city_name": "$city",
    "$geoip_subdivision_1_name": "$region",
}
_LEFT_OUT = """
    $ip $set $set_once $unset $initial_person_info $anon_distinct_id $is_identified $process_person_profile $groups
    $group_0 $group_1 $group_2 $group_3 $group_4 $active_feature_flags $enabled_feature_flags $elements $elements_chain
    $heatmap_data $exception_list $exception_functions $exception_sources $exception_fingerprint_record
    $sent_at $lib_custom_api_host $configured_session_timeout_ms
"""
_PREFIXES = ("$feature/", "$feature_flag_", "$sdk_debug", "$replay_", "$session_recording", "$geoip_", "$web_vitals_")
"""How properties begin that are PostHog's own, or say more of the place than Mixpanel has names for."""
_NO_REFERRER = ("$direct", "")
_MAX_TARGETS = 4096


class _Targets(dict[str, str]):
    """Which property one of PostHog's becomes; "" for none. Found once for each, as long as they are not too many."""

    def __missing__(self, name: str) -> str:
        target = "" if name.startswith(_PREFIXES) else name
        if len(self) < _MAX_TARGETS:
            self[name] = target
        return target


_targets = _Targets(_NAMES | dict.fromkeys(_LEFT_OUT.split(), "") | dict.fromkeys(RESERVED, ""))
_SHAPE = Shape(Row)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def matches(record: dict[str, Any]) -> bool:
    """Whether it is a row of events. Mixpanel's own events have `distinct_id` among their properties."""
    if not {"uuid", "event", "distinct_id", "properties"} <= record.keys():
        return False
    properties = record["properties"]
    return not {"person_id", "elements_chain", "_inserted_at"}.isdisjoint(record) or (
        isinstance(properties, dict) and "$lib" in properties
    )


def _outcome(row: Row) -> Outcome:
    name = row.event
    if name.__class__ is not str or not name or name.isspace() or name in _NOT_EVENTS:
        return _no_event(row)
    time = from_iso(row.timestamp)
    if time is None:
        return reasons.no_time("timestamp", row.timestamp)
    given = row.properties if isinstance(row.properties, dict) else _of_text(row.properties)
    if isinstance(given, InvalidRecord):
        return given
    properties = {target: value for name_, value in given.items() if value is not None and (target := _targets[name_])}
    user, device = _who(row, given)
    if name == "$identify":
        if not user or not device or user == device:
            return Dropped("identify call")
        name = IDENTIFIED
    _put_place(properties, given)
    if groups := given.get("$groups"):
        properties = _of_groups(groups) | properties
    properties["time"] = time
    if identifier := insert_id(row.uuid):
        properties["$insert_id"] = identifier
    if not identify(properties, user, device):
        return reasons.no_user("distinct_id")
    return beyond_limits(properties) or {"event": name, "properties": properties}


def _no_event(row: Row) -> Outcome:
    name = row.event
    if name is None and (row.person_version is not None or row.is_deleted is not None):
        return Dropped("person")
    if isinstance(name, str) and name in _NOT_EVENTS:
        return Dropped(_NOT_EVENTS[name])
    return reasons.no_name("event", name)


def _of_text(text: str | None) -> dict[str, Any] | InvalidRecord:
    """Properties as Parquet has them."""
    if not text:
        return {}
    try:
        return _decode(text)
    except (msgspec.MsgspecError, RecursionError):
        found = decoding.decode(text.encode())
        if isinstance(found, InvalidRecord):
            return InvalidRecord(f"has properties that cannot be read: the text {found.reason}", "properties")
        return found


def _who(row: Row, given: dict[str, Any]) -> tuple[str, str]:
    """The known user and the device.

    A browser's first `distinct_id` is its `$device_id`, until somebody is identified. What is sent by a server has
    neither a device nor a word on it: its `distinct_id` is a user's, unless no profile is to be made for it.
    """
    distinct, user, device = as_id(row.distinct_id), as_id(given.get("$user_id")), as_id(given.get("$device_id"))
    if row.event == "$identify":
        return user or distinct, device or as_id(given.get("$anon_distinct_id"))
    if user:
        return user, device
    identified = given.get("$is_identified")
    if identified is None:
        identified = given.get("$process_person_profile") is not False and device != distinct
    return (distinct, device) if identified else ("", device or distinct)


def _put_place(properties: dict[str, Any], given: dict[str, Any]) -> None:
    """Adds the place; takes out that there is no referrer."""
    address, country = given.get("$ip"), given.get("$geoip_country_code")
    if address and (address := client_ip(address)):
        properties["ip"] = address
    if country and (code := country_code(country)):
        properties["mp_country_code"] = code
    if properties.get("$referrer") in _NO_REFERRER:
        del properties["$referrer"]
    if properties.get("$referring_domain") in _NO_REFERRER:
        del properties["$referring_domain"]


def _of_groups(groups: object) -> dict[str, Any]:
    """Which group of each kind the event is of: Mixpanel's group keys are properties of such names."""
    found: dict[str, Any] = {}
    if isinstance(groups, dict):
        add(found, {kind: key for kind, key in groups.items() if as_id(key)})
    return found


outcomes = _SHAPE.of_objects(_outcome)
"""One event for a row."""

to_mixpanel = _SHAPE.of_bytes(_outcome)
"""The same of a record in bytes."""
