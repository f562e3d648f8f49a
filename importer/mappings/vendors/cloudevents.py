"""CloudEvents in JSON: https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md, version 1.0.

`type` is the event's name, `data` its properties, and `source` with `id` what tells it from all others.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from importer.errors import InvalidRecord
from importer.mappings import decoding, reasons
from importer.mappings.decoding import of_objects
from importer.mappings.fields.identity import as_id, identify
from importer.mappings.fields.insert_ids import hashed
from importer.mappings.fields.properties import add, too_many
from importer.mappings.outcome import Dropped, Outcome
from importer.times import from_iso

_REQUIRED = ("specversion", "id", "source", "type")
_ATTRIBUTES = frozenset(("specversion", "id", "type", "time", "datacontenttype", "dataschema", "data", "data_base64"))
"""What is not a property: the others, `source`, `subject` and extensions, are."""
_USERS = ("$user_id", "user_id", "userId")
_DEVICES = ("$device_id", "device_id", "deviceId", "anonymous_id", "anonymousId")
"""Keys of `data` that are read as ids; a mapping file can name others."""
_IDS = frozenset((*_USERS, *_DEVICES))
_NOTIFICATION = "google.cloud.storage.object.v1."
"""How the types of Cloud Storage's notifications begin: they tell of a file, not of anything a user did."""


def matches(record: dict[str, Any]) -> bool:
    """Whether it is a CloudEvent."""
    return all(isinstance(record.get(name), str) for name in _REQUIRED)


def outcomes(record: dict[str, Any]) -> list[Outcome]:
    """One event for a CloudEvent."""
    return [_outcome(record)]


to_mixpanel = of_objects(outcomes)


def _outcome(record: dict[str, Any]) -> Outcome:
    for required in _REQUIRED:
        if not isinstance(record.get(required), str) or not record[required].strip():
            return _no_event(required, record.get(required))
    if record["type"].startswith(_NOTIFICATION):
        return Dropped("storage notification")
    time = from_iso(record.get("time"))
    if time is None:
        return reasons.no_time("time", record.get("time"))
    data = _data(record)
    if isinstance(data, InvalidRecord):
        return data
    properties: dict[str, Any] = {}
    attributes = {name: value for name, value in record.items() if name not in _ATTRIBUTES}
    reject = add(properties, attributes) or add(properties, {k: v for k, v in data.items() if k not in _IDS})
    user, device = _first(data, _USERS), _first(data, _DEVICES)
    if not identify(properties, user, device) and not identify(properties, data.get("distinct_id"), None):
        properties["distinct_id"] = ""
    properties["time"] = time
    properties["$insert_id"] = hashed(record["source"], record["id"])
    return reject or too_many(properties) or {"event": record["type"], "properties": properties}


def _no_event(required: str, value: object) -> InvalidRecord:
    if required == "type":
        return reasons.no_name("type", value)
    return InvalidRecord(f"is no CloudEvent: {required} must be a text, and is none or empty", required)


def _data(record: dict[str, Any]) -> dict[str, Any] | InvalidRecord:
    """The payload as an object: one that is none is the property `data`."""
    data = record.get("data")
    encoded = record.get("data_base64")
    if data is None and encoded is not None:
        data = _decoded(encoded, record.get("datacontenttype"))
        if isinstance(data, InvalidRecord):
            return data
    return data if isinstance(data, dict) else {} if data is None else {"data": data}


def _decoded(encoded: object, content_type: object) -> Any:
    """What was encoded, where it is text or JSON."""
    kind = content_type.partition(";")[0].strip().casefold() if isinstance(content_type, str) else ""
    is_json = kind in ("", "application/json", "text/json") or kind.endswith("+json")
    if not is_json and not kind.startswith("text/"):
        return InvalidRecord(
            f"has data that is neither JSON nor text: datacontenttype is {kind[:100]!r}", "data_base64"
        )
    try:
        if not isinstance(encoded, str):
            raise ValueError  # noqa: TRY004 (it is what the record holds that is wrong)
        content = base64.b64decode(encoded, validate=True)
        if is_json:
            return decoding.decode(content)
        return content.decode()
    except (ValueError, binascii.Error):
        return InvalidRecord("has data_base64 that is not the base64 of a text in UTF-8", "data_base64")


def _first(data: dict[str, Any], names: tuple[str, ...]) -> str:
    return next(filter(None, (as_id(data.get(name)) for name in names)), "")
