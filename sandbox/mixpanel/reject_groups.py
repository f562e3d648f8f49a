"""What rejects have in common, and what tells one of them from the others."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_NAMES = ("event", "event_name", "event_type", "type", "name")
_USERS = ("distinct_id", "userId", "user_id", "anonymousId", "device_id", "user_pseudo_id", "$user_id")

_varies = re.compile(r"'[^']*'|\"[^\"]*\"|\b0x[0-9a-f]+\b|\d[\d.,]*")
_decode = msgspec.json.Decoder().decode
_name_in = re.compile(r'"(?:event|event_name|event_type)"\s*:\s*"([^"\\]{1,80})"').search
_user_in = re.compile(r'"(?:distinct_id|userId|user_id|anonymousId)"\s*:\s*"([^"\\]{1,80})"').search


def kind_of(reason: str) -> str:
    """The reason without what varies from record to record: texts in quotes, and numbers."""
    return _varies.sub("\u2026", reason)


def event_and_user(text: str) -> tuple[str, str]:
    """The event's name and the user in a record's text, whoever wrote it, as far as they can be found; else ""."""
    try:
        record = _decode(text.encode())
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        name, user = _name_in(text), _user_in(text)
        return name[1] if name else "", user[1] if user else ""
    if not isinstance(record, dict):
        return "", ""
    properties = record.get("properties")
    inner = properties if isinstance(properties, dict) else {}
    return _first(_NAMES, record), _first(_USERS, inner, record)


def _first(names: tuple[str, ...], *objects: dict[str, Any]) -> str:
    for one in objects:
        for name in names:
            value = one.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)[:200]
    return ""
