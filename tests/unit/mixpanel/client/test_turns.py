"""Who began first goes first."""

from __future__ import annotations

import math
import threading
import time

import pytest

from importer.mixpanel.client.turns import PriorityLock


def test_of_those_that_wait_the_first_to_begin_goes_first() -> None:
    turns = PriorityLock()
    went: list[int] = []

    def go(number: int) -> None:
        with turns.held(number):
            went.append(number)

    waiting = [threading.Thread(target=go, args=(number,)) for number in (5, 3, 9, 3, 1)]
    with turns.held(7):
        for thread in waiting:
            thread.start()
        time.sleep(0.1)
        assert went == []
    for thread in waiting:
        thread.join()
    assert went == [1, 3, 3, 5, 9]


def test_a_turn_ends_with_an_exception_too() -> None:
    turns = PriorityLock()
    try:
        with turns.held(1):
            raise RuntimeError
    except RuntimeError:
        pass
    with turns.held(2):
        pass


def test_a_turn_that_does_not_come_in_time_is_given_up_and_the_next_one_goes() -> None:
    turns = PriorityLock()
    went: list[int] = []

    def go(number: int) -> None:
        with turns.held(number):
            went.append(number)

    with turns.held(0):
        with pytest.raises(TimeoutError, match="the turn did not come in time"), turns.held(1, 0.05):
            pass
        waiting = [threading.Thread(target=go, args=(number,)) for number in (3, 2)]
        for thread in waiting:
            thread.start()
    for thread in waiting:
        thread.join()
    assert sorted(went) == [2, 3]


def test_one_that_gives_up_lets_the_others_go_that_waited_behind_it() -> None:
    turns = PriorityLock()
    went = threading.Event()
    gave_up: list[int] = []

    def give_up() -> None:
        try:
            with turns.held(1, 0.1):
                pass
        except TimeoutError:
            gave_up.append(1)

    def go() -> None:
        with turns.held(2):
            went.set()

    with turns.held(0):
        threads = [threading.Thread(target=one) for one in (give_up, go)]
        for thread in threads:
            thread.start()
        threads[0].join()
        assert not went.is_set()
    assert went.wait(5)
    threads[1].join()
    assert gave_up == [1]


def test_there_may_be_all_the_time_of_the_world() -> None:
    turns = PriorityLock()
    went = threading.Event()

    def go() -> None:
        with turns.held(2, math.inf):
            went.set()

    with turns.held(1):
        waiting = threading.Thread(target=go)
        waiting.start()
        assert not went.wait(0.1)
    assert went.wait(5)
    waiting.join()


def test_a_turn_that_is_free_is_taken_also_when_there_is_no_time_left() -> None:
    turns = PriorityLock()
    with turns.held(1, -1.0):
        pass
