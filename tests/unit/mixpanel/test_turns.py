"""Who began first goes first."""

from __future__ import annotations

import threading
import time

from importer.mixpanel.turns import PriorityLock


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
