"""Why a record is rejected, in the same words whichever mapping says so. No value of the record is told."""

from __future__ import annotations

from importer.errors import InvalidRecord

_KINDS = {str: "a text", int: "a number", float: "a number", bool: "true or false", dict: "an object", list: "an array"}


def no_name(field: str, value: object) -> InvalidRecord:
    """The record's `field` holds `value` where the event's name should be."""
    return InvalidRecord(f"has no event name: {field} must be a text and is {_kind(value)}", field)


def no_time(field: str, value: object, must_be: str = "in ISO 8601") -> InvalidRecord:
    """The record's `field` holds `value` where the event's time should be."""
    state = _kind(value) + (" that says otherwise" if isinstance(value, str) and value.strip() else "")
    return InvalidRecord(f"has no usable time: {field} must be {must_be}, 1971 or later, and is {state}", field)


def no_user(*fields: str) -> InvalidRecord:
    """None of the record's `fields` holds an id."""
    return InvalidRecord(f"has no user: no usable id is in {' or '.join(fields)}", fields[0])


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, str) and not value.strip():
        return "empty"
    return _KINDS.get(type(value), "something else")
