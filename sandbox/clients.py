"""Speaks to the stand-ins of the sandbox over HTTP, for the demo and the tests."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import quote

import requests

from sandbox.bucket.faults import KINDS


@dataclass(frozen=True, slots=True)
class Standin:
    """The stand-in for Mixpanel at `url`."""

    url: str

    def summary(self) -> dict[str, Any]:
        """Its counts."""
        return dict(_get(f"{self.url}/sandbox/summary").json())

    def ids(self) -> dict[str, int]:
        """Each `$insert_id` it holds, and how many times that came in."""
        lines = _get(f"{self.url}/sandbox/ids").text.splitlines()
        return {name: int(count) for name, _, count in (line.rpartition("\t") for line in lines)}

    def wait_for(self, ids: Iterable[str], timeout: float = 60) -> dict[str, int]:
        """Waits until it holds these.

        Returns:
            All that it holds then; see `ids`.

        Raises:
            TimeoutError: it does not, within `timeout` seconds.
        """
        wanted, deadline = set(ids), time.monotonic() + timeout
        while missing := wanted - self.ids().keys():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(missing)} events are missing after {timeout:g} s")
            time.sleep(0.05)
        return self.ids()

    def faults(self, **rules: Any) -> None:
        """Turns the switches named; the others stay. See `sandbox.mixpanel.faults.Switches`."""
        _post(f"{self.url}/sandbox/faults", rules)

    def preview_by(self, transform: str | None) -> None:
        """Has previews apply this transform (`module:function`) from now on."""
        _post(f"{self.url}/sandbox/transform", {"name": transform})

    def tell_around(self, told: dict[str, Any]) -> None:
        """Says what runs around it; see `sandbox.mixpanel.surroundings.Surroundings`."""
        _post(f"{self.url}/sandbox/around", told)

    def pick_mapping(self, name: str | None) -> None:
        """Picks a mapping, as one does on the page."""
        _post(f"{self.url}/sandbox/mapping", {"name": name})

    def reset(self) -> None:
        """Forgets all events, counts and faults."""
        _post(f"{self.url}/sandbox/reset", {})


@dataclass(frozen=True, slots=True)
class Bucket:
    """The local bucket `name` at `url`."""

    url: str
    name: str

    def put(
        self,
        name: str,
        data: bytes | BinaryIO,
        content_type: str = "application/octet-stream",
        content_encoding: str | None = None,
    ) -> str:
        """Writes an object, which fires an event. Large ones are best given as an open file.

        Returns:
            Its generation.
        """
        query = {"uploadType": "media", "name": name}
        if content_encoding:
            query["contentEncoding"] = content_encoding
        address = f"{self.url}/upload/storage/v1/b/{quote(self.name)}/o"
        answer = requests.post(address, params=query, data=data, headers={"Content-Type": content_type}, timeout=600)
        answer.raise_for_status()
        return str(answer.json()["generation"])

    def make(self, name: str) -> None:
        """Makes another bucket beside it, which fires no events, unless there is one of that name."""
        answer = requests.post(
            f"{self.url}/storage/v1/b", params={"project": "sandbox"}, json={"name": name}, timeout=60
        )
        if answer.status_code != requests.codes.conflict:
            answer.raise_for_status()

    def send_events_to(self, function_url: str | None) -> None:
        """Delivers events to this address from now on; None keeps them waiting."""
        _post(f"{self.url}/sandbox/function", {"url": function_url})

    def faults(self, **rules: Any) -> None:
        """Turns the switches named; the others stay. See `sandbox.bucket.faults.Switches`."""
        _post(f"{self.url}/sandbox/faults", rules)

    def end_trouble(self) -> None:
        """Nothing befalls a request from now on."""
        self.faults(**dict.fromkeys(KINDS, 0.0))

    def read(self) -> dict[str, int]:
        """How many bytes of each object's content were read since it was emptied, those read again included."""
        return dict(_get(f"{self.url}/sandbox/read").json())

    def size(self, name: str) -> int | None:
        """The bytes of an object; None where there is none of that name."""
        address = f"{self.url}/storage/v1/b/{quote(self.name)}/o/{quote(name, safe='')}"
        answer = requests.get(address, timeout=60)
        return int(answer.json()["size"]) if answer.ok else None

    def deliveries(self) -> list[dict[str, Any]]:
        """The last thousand events, oldest first: `name`, `generation`, `attempts`, `status`, `delivered`."""
        return list(_get(f"{self.url}/sandbox/deliveries").json())

    def wait_until_delivered(self, events: int = 1, timeout: float = 60) -> list[dict[str, Any]]:
        """Waits until `events` or more were fired and all of them answered with success.

        Returns:
            The deliveries.

        Raises:
            TimeoutError: they were not, within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            fired = self.deliveries()
            if len(fired) >= events and all(delivery["delivered"] for delivery in fired):
                return fired
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not all events were delivered within {timeout:g} s: {fired}")
            time.sleep(0.05)

    def reset(self) -> None:
        """Empties the bucket and forgets all events, delivered or not, and where they go."""
        _post(f"{self.url}/sandbox/reset", {})


@dataclass(frozen=True, slots=True)
class Topic:
    """The local topic at `url`."""

    url: str

    def publish(self, data: bytes) -> str:
        """Publishes one message.

        Returns:
            Its id.
        """
        answer = requests.post(self.url, data=data, timeout=60)
        answer.raise_for_status()
        return str(answer.json()["messageIds"][0])

    def push_to(self, function_url: str | None) -> None:
        """Pushes to this address from now on; None keeps messages waiting."""
        _post(f"{self.url}/sandbox/function", {"url": function_url})


@dataclass(frozen=True, slots=True)
class EmulatedTopic:
    """A topic in Google's Pub/Sub emulator at `url`, with a push subscription of this (full) name."""

    url: str
    subscription: str

    def push_to(self, function_url: str | None) -> None:
        """Pushes to this address from now on; None keeps messages waiting."""
        config = {"pushEndpoint": function_url} if function_url else {}
        _post(f"{self.url}/v1/{self.subscription}:modifyPushConfig", {"pushConfig": config})

    def make(self, topic: str) -> None:
        """Makes another topic, by its full name, unless there is one."""
        answer = requests.put(f"{self.url}/v1/{topic}", json={}, timeout=60)
        if answer.status_code != requests.codes.conflict:
            answer.raise_for_status()


def _get(url: str) -> requests.Response:
    answer = requests.get(url, timeout=60)
    answer.raise_for_status()
    return answer


def _post(url: str, body: dict[str, Any]) -> None:
    requests.post(url, json=body, timeout=60).raise_for_status()
