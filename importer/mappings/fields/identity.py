"""Who an event is of: `$user_id`, `$device_id` and `distinct_id`, as Mixpanel's simplified identity merge wants them.

https://docs.mixpanel.com/docs/tracking-methods/id-management/migrating-to-simplified-id-merge-system: the known id is
`$user_id`, the anonymous one `$device_id`, and the first event that carries both links them. A bare `distinct_id` is
taken for a known user, and two known users can never be merged: so an anonymous id stands there as `$device:…` only.
In a project with the original merge the same events are right, too; there, nothing links the two ids.
"""

from __future__ import annotations

from typing import Any

from importer.limits import DISALLOWED_IDS

FORBIDDEN = DISALLOWED_IDS.union(*((one.upper(), one.title()) for one in DISALLOWED_IDS), ("",))
"""Ids that betray a mistake in the sender, in the spellings that programs give them: they count as absent."""

_DEVICE = "$device:"
_ODD = "$\U0010ffff"
"""Texts that begin with a space or a $ are less than this, and hardly any id is."""


def as_id(value: Any) -> str:
    """The value as an id: a text as it is, a number in digits (12 and 12.0 are "12"); "" where it is none."""
    kind = value.__class__
    if kind is str:
        text: str = value
        if text > _ODD:
            return "" if text in FORBIDDEN else text
    elif kind is int:
        text = str(value)
    elif kind is float:
        text = str(int(value)) if value.is_integer() else str(value)
    else:
        return ""
    return "" if text in FORBIDDEN or text.isspace() else text


def identify(properties: dict[str, Any], user_id: object, device_id: object) -> bool:
    """Puts a vendor's ids into an event's properties.

    Args:
        properties: get `$user_id` and `$device_id` where there is one, and `distinct_id`: the user's, else `$device:`
            and the device's.
        user_id: the known id, as the record has it.
        device_id: the anonymous id, as the record has it.

    Returns:
        Whether there is one of the two. If not, the mapping decides: where the vendor's records may be without a
        user, `distinct_id` is "", which Mixpanel takes for "no user"; where they may not, it is a
        reject (`reasons.no_user`).
    """
    user, device = as_id(user_id), as_id(device_id)
    if user < _ODD and user.startswith(_DEVICE):
        user, device = "", device or user
    if device < _ODD and device.startswith(_DEVICE):
        device = as_id(device[len(_DEVICE) :])
    if device:
        properties["$device_id"] = device
        if not user:
            properties["distinct_id"] = _DEVICE + device
            return True
    if not user:
        return False
    properties["$user_id"] = properties["distinct_id"] = user
    return True
