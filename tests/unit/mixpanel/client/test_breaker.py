"""What no retry heals is asked for once."""

from __future__ import annotations

import pytest

from importer.errors import FatalDeliveryError
from importer.mixpanel.client.breaker import CircuitBreaker
from tests.unit.mixpanel.scripted import Clock


def test_a_breaker_lets_all_through_until_it_opens() -> None:
    breaker = CircuitBreaker(2, Clock())
    breaker.check()
    breaker.close()
    breaker.check()


def test_while_it_is_open_one_request_in_a_while_goes_through() -> None:
    clock = Clock()
    breaker = CircuitBreaker(2, clock)
    assert breaker.open(FatalDeliveryError("the token is wrong"))
    for _ in range(3):
        for _ in range(2):
            with pytest.raises(FatalDeliveryError, match="the token is wrong"):
                breaker.check()
        clock.now += 1.999
        with pytest.raises(FatalDeliveryError):
            breaker.check()
        clock.now += 0.001
        breaker.check()


def test_it_closes_when_a_request_is_answered() -> None:
    breaker = CircuitBreaker(2, Clock())
    breaker.open(FatalDeliveryError("the token is wrong"))
    breaker.close()
    breaker.check()
    breaker.check()
    assert breaker.open(FatalDeliveryError("again"))


def test_a_failure_that_lasts_is_news_once_a_minute() -> None:
    clock = Clock()
    breaker = CircuitBreaker(2, clock)
    news = []
    for _ in range(14):
        news.append(breaker.open(FatalDeliveryError("the token is wrong")))
        clock.now += 10
    assert [n for n, is_news in enumerate(news) if is_news] == [0, 6, 12]


def test_each_failure_holds_anew_with_its_own_words() -> None:
    clock = Clock()
    breaker = CircuitBreaker(2, clock)
    breaker.open(FatalDeliveryError("the token is wrong"))
    clock.now += 1.5
    breaker.open(FatalDeliveryError("the project is gone"))
    clock.now += 1.5
    with pytest.raises(FatalDeliveryError, match="the project is gone"):
        breaker.check()
