"""Switches that make trouble on purpose: what the stand-in for Mixpanel and the local bucket have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]

S = TypeVar("S", bound=Struct)
K = TypeVar("K", bound=str)


class SwitchError(ValueError):
    """The switches asked for make no sense; the text is one sentence that says why."""


def switch_name(attribute: str) -> str:
    """The name of a switch outside: `429` for the attribute `answer_429`."""
    return attribute.removeprefix("answer_")


def turned(current: S, asked: Mapping[str, Any], kinds: Sequence[str]) -> S:
    """The switches with those in `asked` turned, and the others as they are.

    Args:
        current: the switches as they stand.
        asked: positions by name.
        kinds: the switches that are shares of the requests, which cannot come to more than all of them.

    Raises:
        SwitchError: one of them does not exist or has no such position.
    """
    standing = {field.encode_name: getattr(current, field.name) for field in msgspec.structs.fields(current)}
    try:
        wanted = msgspec.convert({**standing, **asked}, type(current), from_attributes=True)
    except msgspec.ValidationError as error:
        raise SwitchError(f"{error}.") from None
    if sum(shares(wanted, kinds).values()) > 1 + 1e-9:
        raise SwitchError("The shares of requests that fail come to more than 1.")
    return wanted


def shares(switches: Struct, kinds: Sequence[K]) -> dict[K, float]:
    """The share of requests that each kind of trouble befalls."""
    return {kind: getattr(switches, f"answer_{kind}" if kind.isdigit() else kind) for kind in kinds}
