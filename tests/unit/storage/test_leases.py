"""Leases: of several at the same work, one has each object; those of the dead are taken over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from importer.storage.leases import Leases, Owner
from importer.storage.store import store

SOURCE = "gs://events/a#17"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def leases(place: str, host: str = "", clock: Clock | None = None, hold: float = 60) -> Leases:
    owner = msgspec.structs.replace(Owner.here(), host=host)
    return Leases(store(place), place, owner, hold, clock or time.monotonic)


def test_of_many_at_once_one_has_it_until_it_is_given_back(place: str) -> None:
    many = [leases(place) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        taken = [*threads.map(lambda one: one.take(SOURCE), many)]
    assert taken.count(True) == 1
    first = many[taken.index(True)]
    others = [one for one in many if one is not first]
    assert others[0].take("gs://events/b#18")
    assert not others[0].take(SOURCE)
    first.give_back(SOURCE)
    assert others[0].take(SOURCE)


def test_one_that_is_not_written_again_is_taken_over_after_a_while(place: str) -> None:
    clock = Clock()
    dead, alive = leases(place), leases(place, clock=clock)
    assert dead.take(SOURCE)
    assert not alive.take(SOURCE)
    clock.now = 59
    assert not alive.take(SOURCE)
    clock.now = 61
    assert alive.take(SOURCE)


def test_one_that_is_written_again_is_not_taken_over(place: str) -> None:
    clock = Clock()
    with leases(place, hold=0.2) as busy:
        other = leases(place, clock=clock)
        assert busy.take(SOURCE)
        for _ in range(4):
            clock.now += 50
            assert not other.take(SOURCE)
            time.sleep(0.12)
    assert other.take(SOURCE)  # leaving the block gave it back


def test_one_of_a_process_that_has_ended_here_is_taken_over_at_once(place: str) -> None:
    words = (
        "import sys; from importer.storage.leases import *; from importer.storage.store import store;"
        "sys.exit(not Leases(store(sys.argv[1]), sys.argv[1]).take(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", words, place, SOURCE], check=True)
    assert leases(place, host=Owner.here().host).take(SOURCE)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_a_process_is_told_from_a_later_one_of_the_same_id() -> None:
    here = Owner.here()
    assert not here.has_ended()
    assert msgspec.structs.replace(here, born="1").has_ended()
    assert not msgspec.structs.replace(here, born="1", host="elsewhere").has_ended()
    assert not msgspec.structs.replace(here, born="1", host="").has_ended()


def test_where_any_machine_may_be_called_the_same_no_process_is_known_to_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each task of a Cloud Run job is process 1 of `localhost`."""
    monkeypatch.setenv("CLOUD_RUN_JOB", "backfill")
    assert Owner.here().host == ""
    assert Owner.here().pid == os.getpid()
