"""Delivers requests to a function as Google's services do: again and again, until it has answered well.

At least once, in no order that anyone may rely on, a few at a time, with a longer wait after each failure.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import requests


@dataclass(slots=True, eq=False)
class Delivery:
    """One request on its way: `due` on the monotonic clock, its last answer's `status`, or None when there was none."""

    headers: dict[str, str]
    body: bytes
    shown: dict[str, Any]
    due: float = 0.0
    attempts: int = 0
    status: int | None = None
    delivered: bool = False
    forgotten: bool = False


class Deliverer:
    """Posts to the function at `function_url`; while that is None, everything waits.

    Args:
        function_url: where to post.
        in_flight: how many requests at a time, at most.
        first_wait: seconds until a request is made again that was not answered well; doubled each time.
        longest_wait: seconds it will never be more than.
        timeout: seconds the function has to answer.
        told_of: how many of the last requests `deliveries` tells of.
    """

    def __init__(
        self,
        function_url: str | None = None,
        *,
        in_flight: int,
        first_wait: float = 1.0,
        longest_wait: float = 10.0,
        timeout: float,
        told_of: int = 1000,
    ) -> None:
        self._function_url = function_url
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._timeout = timeout
        self._changed = threading.Condition()
        self._waiting: list[Delivery] = []
        self._under_way: list[Delivery] = []
        self._known: deque[Delivery] = deque(maxlen=told_of)
        self._closed = False
        for n in range(in_flight):
            threading.Thread(target=self._work, name=f"delivery {n}", daemon=True).start()

    def deliver(self, headers: dict[str, str], body: bytes, **shown: Any) -> None:
        """Takes a request, with what `deliveries` is to show of it, and returns at once."""
        delivery = Delivery(headers, body, shown)
        with self._changed:
            self._waiting.append(delivery)
            self._known.append(delivery)
            self._changed.notify()

    def send_to(self, function_url: str | None) -> None:
        """Delivers to another function from now on, at once what waits; None keeps it waiting."""
        with self._changed:
            self._function_url = function_url
            for delivery in self._waiting:
                delivery.due = 0.0
            self._changed.notify_all()

    def deliveries(self) -> list[dict[str, Any]]:
        """The last of them, oldest first: what is to be shown of each, `attempts`, `status`, `delivered`."""
        fields = ("attempts", "status", "delivered")
        with self._changed:
            return [{**each.shown, **{field: getattr(each, field) for field in fields}} for each in self._known]

    def reset(self) -> None:
        """Forgets all of them, and where they go. One that is under way is not made again."""
        with self._changed:
            self._function_url = None
            self._waiting.clear()
            self._known.clear()
            for delivery in self._under_way:
                delivery.forgotten = True

    def close(self) -> None:
        """Starts no more deliveries."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while found := self._next():
            delivery, url = found
            self._settle(delivery, self._post(url, delivery))

    def _next(self) -> tuple[Delivery, str] | None:
        """The delivery that is due, waiting until there is one; None when closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                first = min(self._waiting, key=lambda delivery: delivery.due, default=None)
                if self._function_url and first and first.due <= now:
                    self._waiting.remove(first)
                    self._under_way.append(first)
                    first.attempts += 1
                    return first, self._function_url
                self._changed.wait(first.due - now if first and self._function_url else None)
            return None

    def _post(self, url: str, delivery: Delivery) -> int | None:
        with requests.Session() as session:
            session.trust_env = False  # a proxy has no business between here and a local function
            try:
                answer = session.post(url, data=delivery.body, headers=delivery.headers, timeout=self._timeout)
            except requests.RequestException:
                return None
            return answer.status_code

    def _settle(self, delivery: Delivery, status: int | None) -> None:
        with self._changed:
            self._under_way.remove(delivery)
            delivery.status = status
            delivery.delivered = status is not None and 200 <= status < 300
            if delivery.delivered or delivery.forgotten:
                return
            wait = min(self._first_wait * 2 ** min(delivery.attempts - 1, 30), self._longest_wait)
            delivery.due = time.monotonic() + wait
            self._waiting.append(delivery)
            self._changed.notify()
