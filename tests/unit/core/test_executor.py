"""The sender: how much is on its way at a time, and that room comes back whatever becomes of a delivery."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importer.core.executor import BoundedExecutor


class Gate:
    """Deliveries that are at work until they are let through."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.began = threading.Semaphore(0)

    def deliver(self) -> None:
        self.began.release()
        assert self.opened.wait(30)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


Make = Callable[[int, int], BoundedExecutor]


@pytest.fixture
def make(gate: Gate) -> Iterator[Make]:
    """Makes senders; their deliveries end when the test does."""
    made: list[BoundedExecutor] = []

    def make_(concurrency: int, buffer_bytes: int) -> BoundedExecutor:
        made.append(BoundedExecutor(concurrency, buffer_bytes))
        return made[-1]

    yield make_
    gate.opened.set()
    for each in made:
        each.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=25), st.integers(1, 4), st.integers(1, 40))
def test_the_bounds_hold_and_every_delivery_is_made(sizes: list[int], concurrency: int, buffer_bytes: int) -> None:
    sender = BoundedExecutor(concurrency, buffer_bytes)
    lock = threading.Lock()
    at_work: list[int] = []
    seen: list[tuple[int, int]] = []

    def deliver(size: int) -> int:
        with lock:
            at_work.append(size)
            seen.append((len(at_work), sum(at_work)))
        threading.Event().wait(0.0005)
        with lock:
            at_work.remove(size)
        return size

    futures = [sender.submit(size, lambda size=size: deliver(size)) for size in sizes]  # type: ignore[misc]
    assert [future.result() for future in futures] == sizes
    sender.close()
    assert all(count <= concurrency and (count == 1 or held <= buffer_bytes) for count, held in seen)


def test_one_larger_than_the_buffer_goes_alone(make: Make, gate: Gate) -> None:
    sender = make(4, 100)
    assert sender.submit_now(1_000, gate.deliver)
    assert sender.submit_now(0, gate.deliver) is None
    gate.opened.set()
    sender.submit(0, gate.deliver).result(30)
    assert sender.submit_now(1_000, gate.deliver)


@pytest.mark.parametrize(("concurrency", "buffer_bytes"), [(2, 1_000), (9, 100)], ids=["by number", "by bytes"])
def test_whoever_has_no_room_waits_until_there_is(make: Make, gate: Gate, concurrency: int, buffer_bytes: int) -> None:
    sender = make(concurrency, buffer_bytes)
    for _ in range(2):
        assert sender.submit_now(50, gate.deliver)
    assert sender.submit_now(50, gate.deliver) is None
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(sender.submit, 50, gate.deliver)
        for _ in range(2):
            assert gate.began.acquire(timeout=30)
        assert not waiting.done()
        assert not gate.began.acquire(blocking=False)
        gate.opened.set()
        waiting.result(30).result(30)


def test_an_exception_gives_the_room_back_and_goes_to_whoever_asked(make: Make) -> None:
    def fail() -> None:
        raise LookupError("here")

    sender = make(1, 100)
    failed: list[Future[None]] = [sender.submit(100, fail) for _ in range(5)]
    assert sender.submit(100, lambda: "made").result(30) == "made"
    for future in failed:
        with pytest.raises(LookupError, match="here"):
            future.result()
