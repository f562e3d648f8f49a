"""An event's properties: what must not get among them, what Mixpanel's limits are, and how to flatten."""

from __future__ import annotations

from typing import Any

from importer.errors import InvalidRecord
from importer.limits import MAX_DEPTH, MAX_PROPERTIES

RESERVED = frozenset(
    (
        *("$ignore", "bucket", "$bucket", "token", "ip", "time", "$time", "alias", "$event_name"),
        *("distinct_id", "$distinct_id", "$distinct_ids", "$device_id", "$user_id", "$identified_id", "$anon_id"),
        *("$insert_id", "mp_processing_time_ms", "$mp_api_endpoint"),
    )
)
"""What a vendor's own property of that name would do to Mixpanel is never what was meant: drop the event (`$ignore`),
break reports (`bucket`), change whose or when it is. A mapping sets them itself, from what means them.
https://docs.mixpanel.com/docs/data-structure/property-reference/reserved-properties"""

PLAIN = frozenset((str, bool, float, type(None)))
"""Types of values that Mixpanel takes whatever they are: there is nothing to look at."""

_HUGE = 2**1024
"""No double holds this, and Mixpanel's decoder takes no larger number."""
_NEGATIVE_HUGE = -_HUGE


def kept(found: dict[str, Any], leave_out: frozenset[str] = RESERVED) -> dict[str, Any]:
    """The properties that have a value, without those that must not pass."""
    return {name: value for name, value in found.items() if value is not None and name not in leave_out}


def add(found: dict[str, Any], given: dict[str, Any]) -> InvalidRecord | None:
    """Adds what a vendor's record has as properties of its own: those with a value that may pass.

    Returns:
        The reason why Mixpanel would reject one of them; None if it would not. See also `too_many`.
    """
    for name, value in given.items():
        if value is None or name in RESERVED:
            continue
        kind = value.__class__
        if kind is not str and kind not in PLAIN and (problem := _problem(value, 0)):
            return _rejected(name, problem)
        found[name] = value
    return None


def is_scalar(value: object) -> bool:
    """Whether it is a text, a number or a boolean, and not empty: what one of Mixpanel's own properties may be."""
    kind = value.__class__
    return (value != "" if kind in PLAIN else kind is int and _NEGATIVE_HUGE < value < _HUGE) and value is not None  # type: ignore[operator]


def too_many(properties: dict[str, Any]) -> InvalidRecord | None:
    """The reason why Mixpanel would reject so many properties, and those that completion adds; None if it would not."""
    if len(properties) < MAX_PROPERTIES - 2:
        return None
    count = len(properties) + ("ip" not in properties) + ("$insert_id" not in properties)
    if count < MAX_PROPERTIES:
        return None
    return InvalidRecord(f"has {count} properties: Mixpanel takes fewer than {MAX_PROPERTIES}", "properties")


def flatten(found: dict[str, Any], prefix: str = "", separator: str = ".") -> dict[str, Any]:
    """Objects within objects as one: `{"a": {"b": 1}}` becomes `{"a.b": 1}`. Lists stay as they are."""
    flat: dict[str, Any] = {}
    todo = [(prefix, found)]
    while todo:
        path, inner = todo.pop()
        for name, value in inner.items():
            if value.__class__ is dict:
                todo.append((f"{path}{name}{separator}", value))
            else:
                flat[path + name] = value
    return flat


def beyond_limits(properties: dict[str, Any]) -> InvalidRecord | None:
    """The reason why Mixpanel would reject these properties for their number, depth or size; None if it would not.

    https://developer.mixpanel.com/reference/import-events: fewer than 255 properties, keys and elements, objects at
    most 3 deep within a property. What completion adds, an `ip` and an `$insert_id`, counts.
    """
    for name, value in properties.items():
        kind = value.__class__
        if kind is not str and kind not in PLAIN and (problem := _problem(value, 0)):
            return _rejected(name, problem)
    return too_many(properties)


def problem_of(name: str, value: Any) -> InvalidRecord | None:
    """The reason why Mixpanel would reject a property of this value; None if it would not."""
    problem = _problem(value, 0)
    return _rejected(name, problem) if problem else None


def flatten_within(properties: dict[str, Any], separator: str) -> InvalidRecord | None:
    """Makes each object among the properties properties of its own, in place; names that are reserved are left out.

    Returns:
        What is beyond Mixpanel's limits even so.
    """
    for name in [name for name, value in properties.items() if value.__class__ is dict]:
        inner = flatten(properties.pop(name), name + separator, separator)
        properties.update({key: value for key, value in inner.items() if value is not None and key not in RESERVED})
    return beyond_limits(properties)


def _rejected(name: str, problem: str) -> InvalidRecord:
    return InvalidRecord(f"has a property that Mixpanel would reject: {name} {problem}", f"properties.{name}")


def _problem(value: Any, depth: int) -> str | None:
    kind = value.__class__
    if kind is int:
        return None if _NEGATIVE_HUGE < value < _HUGE else "holds a number that is too large"
    if kind is dict:
        depth += 1
        if depth > MAX_DEPTH:
            return f"holds objects more than {MAX_DEPTH} deep"
        value = value.values()
    elif kind is not list:
        return None
    if len(value) >= MAX_PROPERTIES:
        return f"holds {len(value)} keys or elements, and fewer than {MAX_PROPERTIES} are taken"
    for inner in value:
        if inner.__class__ not in PLAIN and (problem := _problem(inner, depth)):
            return problem
    return None
