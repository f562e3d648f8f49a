"""Days of events in the sandbox's bucket, as a job that runs every day finds them."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


def kill_in_the_middle(standin: Standin, command: Sequence[str], after: int, **options: Any) -> int:
    """Starts a program, and kills it and its group outright once so many events are in Mixpanel.

    Args:
        options: `subprocess.Popen`'s.

    Returns:
        How many events are there when its command, too, has ended: that settles what is on its way.
    """
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(command, start_new_session=True, **{**output, **options})
    while len(standin.ids()) < after:
        assert running.poll() is None
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    time.sleep(2)
    return len(standin.ids())
