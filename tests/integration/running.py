"""Commands that tests run, as processes of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox.events import Events


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


class Run(Protocol):
    """Runs a command to its end; `settings` add to the environment, None takes one away."""

    def __call__(self, *words: str, input: bytes = b"", **settings: str | None) -> Ended: ...  # noqa: A002


def write(path: Path, events: Events, *, gzipped: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        events.write(file, gzip=gzipped)
    return path


def event(identifier: str, **properties: Any) -> bytes:
    known = {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": identifier}
    return json.dumps({"event": "e", "properties": {**known, **properties}}).encode()
