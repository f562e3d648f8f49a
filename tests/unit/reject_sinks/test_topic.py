"""Rejects on a topic: how many are published before the ones before them are confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import msgspec
import pytest

from importer.core.rejects.reject import Reject, rejected_record
from importer.errors import InvalidRecord, RejectSinkError
from importer.reject_sinks.topic import TopicSink

TOPIC = "projects/p/topics/rejects"


class Waited(NamedTuple):
    """As `concurrent.futures.wait` answers."""

    done: set[Future[str]]
    not_done: set[Future[str]]


class Publisher:
    """Takes messages, and confirms them when it is waited for: all, or those before the reject on line `fails_at`."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.confirmed: list[list[int]] = []
        self._fails_at = fails_at
        self._published: list[tuple[int, Future[str]]] = []

    def publish(self, topic: str, data: bytes, **_: str) -> Future[str]:
        assert topic == TOPIC
        self._published.append((msgspec.json.decode(data, type=Reject).line, Future()))
        return self._published[-1][1]

    def wait(self, futures: Sequence[Future[str]], timeout: float) -> Waited:
        assert (timeout, futures) == (60, [future for _, future in self._published])
        for line, future in self._published:
            if line == self._fails_at:
                future.set_exception(LookupError("gone"))
            else:
                future.set_result("")
        self.confirmed.append([line for line, _ in self._published])
        self._published = []
        return Waited(set(futures), set())


def store(publisher: Any, monkeypatch: pytest.MonkeyPatch, sizes: Sequence[int]) -> None:
    """Stores rejects whose events have these sizes."""
    monkeypatch.setattr("importer.reject_sinks.topic.wait", publisher.wait)
    rejects = [rejected_record("s", line, 0, b"x" * size, InvalidRecord("no")) for line, size in enumerate(sizes)]
    TopicSink(publisher, TOPIC).store(rejects)


def test_each_thousand_is_confirmed_before_the_next_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = Publisher()
    store(publisher, monkeypatch, [1] * 2_001)
    assert publisher.confirmed == [[*range(1_000)], [*range(1_000, 2_000)], [2_000]]


def test_long_ones_are_fewer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = Publisher()
    store(publisher, monkeypatch, [4_000_000, 4_000_000, 1, 9_000_000, 4_000_000, 4_000_000])
    assert publisher.confirmed == [[0, 1], [2], [3], [4, 5]]


def test_after_one_that_is_not_taken_no_more_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = Publisher(fails_at=999)
    with pytest.raises(RejectSinkError, match=rf"^LookupError: gone \({TOPIC}\)$"):
        store(publisher, monkeypatch, [1] * 3_000)
    assert publisher.confirmed == [[*range(1_000)]]


def test_no_rejects_are_none_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = Publisher()
    store(publisher, monkeypatch, [])
    assert publisher.confirmed == []
