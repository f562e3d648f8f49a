"""What several unit tests import with: pipelines to the stand-in, and a sink that shows what it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hypothesis
import msgspec
import pytest

from importer.core.pipeline import Pipeline
from importer.core.rejects.reject import Reject
from importer.settings import CredentialKind, Credentials, Settings
from sandbox.clients import Standin

hypothesis.settings.register_profile("unit", deadline=None)
hypothesis.settings.load_profile("unit")
"""Seconds are never asserted: on a machine that others use, one example in a thousand takes its time."""

MakePipeline = Callable[..., Pipeline]


@pytest.fixture
def pipeline(standin: Standin) -> Iterator[MakePipeline]:
    """Makes pipelines to the stand-in, which wait little."""
    made: list[Pipeline] = []

    def make(**changes: Any) -> Pipeline:
        token = Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None)
        quick = Settings(token, standin.url, backoff=0.02, timeout=2)
        made.append(Pipeline(msgspec.structs.replace(quick, **changes)))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Kept:
    """A sink that keeps rejects in a list."""

    def __init__(self) -> None:
        self.rejects: list[Reject] = []

    def store(self, rejects: Sequence[Reject]) -> None:
        self.rejects += rejects
