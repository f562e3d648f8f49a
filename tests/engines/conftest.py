"""What tests of engines and orchestrators have in common. The stand-ins run in the sandbox's own environment."""

from __future__ import annotations

import pytest

from sandbox.clients import Bucket, Standin
from tests.engines.days import Days


@pytest.fixture
def days(standin: Standin, bucket: Bucket) -> Days:
    """Days of events in the sandbox's bucket, and the stand-in that they go to."""
    return Days(standin, bucket)
