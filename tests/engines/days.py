"""Days of events in the sandbox's bucket, as a job that runs every day finds them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

from sandbox.clients import Bucket, Standin
from sandbox.events import Events

SECRET = "a-token-that-no-log-may-have"


@dataclass(frozen=True, slots=True)
class Days:
    """Days in a bucket, each a prefix with files, and what they hold.

    Attributes:
        standin: the project that they go to.
        bucket: where they lie.
    """

    standin: Standin
    bucket: Bucket

    @property
    def settings(self) -> dict[str, str]:
        """What a command needs to find both, but for credentials."""
        return {"MIXPANEL_API_URL": self.standin.url, "STORAGE_EMULATOR_HOST": self.bucket.url}

    def fill(self, day: str, files: int = 5, events: int = 4_000, bad_share: float = 0.01) -> list[Events]:
        """Writes the files of a day: `archive/DAY/NUMBER.jsonl.gz`."""
        made = []
        for number in range(files):
            each = Events(events, "small", seed=hash_of(day, number), bad_share=bad_share)
            self.bucket.put(f"archive/{day}/{number}.jsonl.gz", gzip.compress(b"\n".join(each.records()), 1))
            made.append(each)
        return made

    def place(self, path: str) -> str:
        """The address of something in the bucket."""
        return f"gs://{self.bucket.name}/{path}"


def hash_of(day: str, number: int) -> int:
    """A seed of its own for each file."""
    return int(day.replace("-", "")) * 100 + number


def good(made: list[Events]) -> set[str]:
    """The ids of what is to be in Mixpanel."""
    return {name for each in made for name in each.ids()}


def bad(made: list[Events]) -> int:
    """How many records are to be rejected."""
    return sum(1 for each in made for _ in each.bad())
