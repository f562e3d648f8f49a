"""What a mapping gives, held against Mixpanel's published rules; and records of a vendor with anything in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st

from importer.errors import InvalidRecord
from importer.mappings.outcome import Dropped, Mapping
from importer.mixpanel.event.completer import Completer
from importer.mixpanel.rules import check

END_OF_TIME = 253_402_300_800.0
"""A clock to which no time is ahead: how far ahead of it an event may be is Mixpanel's to say, which has a clock."""

_completer = Completer("0")


def encode(record: object) -> bytes:
    return record if isinstance(record, bytes) else json.dumps(record).encode()


def event(mapping: Mapping, record: object) -> dict[str, Any]:
    """The one event that the record gives."""
    (outcome,) = mapping(encode(record))
    assert isinstance(outcome, dict), outcome
    return outcome


def properties(mapping: Mapping, record: object) -> dict[str, Any]:
    found: dict[str, Any] = event(mapping, record)["properties"]
    return found


def rejected(mapping: Mapping, record: object) -> InvalidRecord:
    """The one reject that the record gives."""
    (outcome,) = mapping(encode(record))
    assert isinstance(outcome, InvalidRecord), outcome
    return outcome


def dropped(mapping: Mapping, record: object) -> str:
    """Of what kind the one thing is that was dropped of the record."""
    (outcome,) = mapping(encode(record))
    assert isinstance(outcome, Dropped), outcome
    return outcome.kind


def judge(mapping: Mapping, record: bytes) -> list[bytes]:
    """Holds that what the record gives keeps every rule or is a reject or dropped, and gives the completed events."""
    outcomes = mapping(record)
    assert outcomes
    made = []
    for nth, outcome in enumerate(outcomes):
        if isinstance(outcome, InvalidRecord | Dropped):
            continue
        try:
            made.append(_completer.complete_made(outcome, record, nth))
        except InvalidRecord:
            continue
        problems = check(msgspec.json.decode(made[-1]), END_OF_TIME)
        assert not problems, (problems, made[-1])
    return made


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(),
    st.sampled_from(
        [
            "",
            " ",
            "0",
            "null",
            "undefined",
            "NaN",
            "1e999",
            "2020-01-24 11:59:02",
            "\ud83d",
            "00000000-0000-0000-0000-000000000000",
        ]
    ),
)
_names = st.text(max_size=4) | st.sampled_from(
    ["$ignore", "bucket", "token", "time", "ip", "distinct_id", "key", "value"]
)
anything = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4), max_leaves=12
)
"""Whatever JSON can hold, and what it cannot: numbers that are none, halves of characters."""

Path = tuple[Any, ...]


def _paths(value: object, path: Path = ()) -> list[Path]:
    """The way to everything in a value, itself included."""
    found = [path]
    members: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    for key, inner in members:
        found += _paths(inner, (*path, key))
    return found


def _changed(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    key, *rest = path
    copy = value.copy()
    copy[key] = _changed(copy[key], tuple(rest), change)
    return copy


@st.composite
def spoiled(draw: st.DrawFn, samples: Sequence[object]) -> bytes:
    """One of the samples (decoded records) with up to three of the things in it replaced, lost, or added to."""
    record = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_paths(record)))
        if draw(st.booleans()):
            record = _changed(record, path, lambda _: draw(anything))
        else:
            record = _changed(record, path, lambda value: _with_more_or_less(draw, value))
    return json.dumps(record).encode("utf-8", "surrogatepass")


def _with_more_or_less(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict):
        lost = draw(st.sampled_from([*sorted(value), None]))
        return {key: value[key] for key in value if key != lost} | draw(st.dictionaries(_names, anything, max_size=3))
    if isinstance(value, list):
        return (value * draw(st.sampled_from([0, 2, 260])))[:260]
    return draw(anything)
