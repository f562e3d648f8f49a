"""Where events go and come from while something is measured: the stand-in and the bucket, on the other core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import requests
from msgspec import Struct

from bench.files import File
from bench.measuring import THEIRS, on_core
from sandbox import processes
from sandbox.clients import Bucket, Standin


class Arrived(Struct, frozen=True):
    """What arrived at the stand-in: events, requests, and bytes of their bodies."""

    events: int
    requests: int
    wire: int

    def since(self, before: Self) -> Self:
        """What arrived after `before`."""
        return type(self)(self.events - before.events, self.requests - before.requests, self.wire - before.wire)


@dataclass(frozen=True, slots=True)
class Sinks:
    """The stand-in and the bucket."""

    standin: Standin
    bucket: Bucket
    _put: dict[File, list[str]] = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment in which an importer uses them."""
        return {
            "MIXPANEL_PROJECT_TOKEN": "bench",
            "MIXPANEL_API_URL": self.standin.url,
            "STORAGE_EMULATOR_HOST": self.bucket.url,
            "LOG_LEVEL": "ERROR",
        }

    def arrived(self) -> Arrived:
        """What arrived so far."""
        summary = self.standin.summary()
        return Arrived(summary["received"], summary["requests"], summary["wire_bytes"])

    def put(self, sample: File) -> list[str]:
        """Has a sample in the bucket, and gives the bucket's name and the object's."""
        path = sample.path()
        if sample not in self._put:
            with path.open("rb") as file:
                self.bucket.put(path.name, file)
            self._put[sample] = [self.bucket.name, path.name]
        return self._put[sample]

    def object(self, name: str) -> dict[str, Any]:
        """An object as the storage API shows it."""
        answer = requests.get(f"{self.bucket.url}/storage/v1/b/{self.bucket.name}/o/{name}", timeout=60)
        answer.raise_for_status()
        return dict(answer.json())


@contextmanager
def opened() -> Iterator[Sinks]:
    """Runs both on their core; the stand-in only counts, so that it is never what holds an importer up."""
    with (
        on_core(THEIRS),
        processes.service("sandbox.mixpanel", "--port", "0", "--count-only") as standin,
        processes.service("sandbox.bucket", "--port", "0") as bucket,
    ):
        yield Sinks(Standin(standin.url), Bucket(bucket.url, "events"))
