"""Google's client, for the tests that publish."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from sandbox.topic.emulator import Emulator


@pytest.fixture
def publisher(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublisherClient]:
    """Google's client, which publishes to the emulator."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)
    with PublisherClient() as client:
        yield client
