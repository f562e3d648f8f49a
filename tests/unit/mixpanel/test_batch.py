"""Batches: bounded in number and in bytes, and packed for the journey."""

from __future__ import annotations

import gzip
import itertools

from hypothesis import given
from hypothesis import strategies as st

from importer.mixpanel.batch import Batch, Packed, pack

EVENTS = st.lists(st.integers(1, 60).map(lambda size: b"x" * size), max_size=60)
LIMITS = st.tuples(st.integers(1, 12), st.integers(1, 200))
Piece = tuple[bytes, int]


def _size(events: list[bytes]) -> int:
    return sum(len(event) + 1 for event in events)


def body(packed: Packed) -> bytes:
    return gzip.decompress(packed.body)


@given(EVENTS, LIMITS, st.lists(st.booleans(), min_size=1))
def test_every_event_is_in_one_batch_in_order_and_no_batch_is_over_its_bounds(
    sizes: list[bytes], limits: tuple[int, int], together: list[bool]
) -> None:
    """Events come one by one or many at once, in any mixture."""
    events = [b"%d:%b" % (n, event) for n, event in enumerate(sizes)]
    batches = [Batch[int](*limits)]
    n = 0
    for at_once in itertools.cycle(together):
        if n == len(events):
            break
        if at_once:
            some = events[n : n + 7]
            taken = batches[-1].extend(some, _size(some), n)
        else:
            some = events[n : n + 1]
            taken = int(batches[-1].add(some[0], n))
        n += taken
        if taken < len(some):
            assert batches[-1].events
            batches.append(Batch(*limits))
    most_events, most_bytes = limits
    assert [event for batch in batches for event in batch.events] == events
    for batch in batches:
        assert len(batch.events) <= most_events
        assert batch.size == _size(batch.events)
        assert batch.size <= most_bytes or len(batch.events) == 1
        for index, event in enumerate(batch.events):
            place, nth = batch.place(index)
            assert events[place + nth] == event
    for batch, following in itertools.pairwise(batches):
        assert (
            len(batch.events) == most_events
            or not following.events
            or batch.size + len(following.events[0]) + 1 > most_bytes
        )


def test_an_empty_batch_takes_any_event() -> None:
    for add in (Batch[None].add, lambda batch, event, place: batch.extend([event], _size([event]), place)):
        batch = Batch[None](10, 5)
        assert add(batch, b"x" * 100, None)
        assert not add(batch, b"x", None)


def test_a_batch_lets_go_of_its_events_when_it_is_packed_and_keeps_their_places() -> None:
    batch = Batch[str](10, 100)
    batch.add(b"{}", "line 1")
    batch.extend([b"[]", b"1"], 5, "line 2")
    packed = batch.pack()
    assert (batch.events, batch.place(0), batch.place(2)) == ([], ("line 1", 0), ("line 2", 1))
    assert packed.events() == [b"{}", b"[]", b"1"]


@given(EVENTS)
def test_what_is_packed_is_lines_gzipped(events: list[bytes]) -> None:
    packed = pack(events)
    assert (packed.count, packed.size) == (len(events), len(body(packed)))
    assert packed.events() == events
    assert body(packed).split(b"\n") == (events or [b""])


@given(EVENTS.filter(lambda events: len(events) > 1))
def test_halves_hold_the_same_events_and_neither_is_empty(events: list[bytes]) -> None:
    left, right = pack(events).halves()
    assert left.events() + right.events() == events
    assert abs(left.count - right.count) <= 1


def test_packed_events_take_a_fraction_of_their_size() -> None:
    packed = pack([b'{"event":"Signup","properties":{"time":1700000000,"n":%d}}' % n for n in range(2_000)])
    assert len(packed.body) < packed.size / 4
