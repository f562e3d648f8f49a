"""Whatever the storage service and the way to it do wrong, every event is there in the end, and every reject."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox import processes
from sandbox.bucket.faults import KINDS
from sandbox.clients import Bucket, Standin
from sandbox.events import Events, Shape
from tests.faults.trouble import KEEPING, SEED, content, kept_rejects, missing, objects, twice

EACH: dict[str, dict[str, float]] = {kind: {kind: 0.3} for kind in KINDS}
TROUBLE: dict[str, dict[str, float]] = {**EACH, "all kinds at 10 %": dict.fromkeys(KINDS, 0.1)}


@pytest.fixture(scope="module")
def gcs_import(environment: dict[str, str]) -> Iterator[processes.Function]:
    settings = {**environment, **KEEPING, "IMPORT_BATCH_EVENTS": "2000"}
    with processes.function("gcs_import", environment=settings) as function:
        yield function


@pytest.mark.parametrize("name", TROUBLE)
@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_a_file_arrives_whole(
    name: str,
    gzipped: bool,
    standin: Standin,
    bucket: Bucket,
    gcs_import: processes.Function,
    figure: Callable[[str], None],
) -> None:
    """Invariants 2 and 3: good events arrive and bad ones are kept, each for itself, whatever the storage does."""
    # Small, the file is one download alone; a whole object is to come uncorrupted.
    shape: Shape = "small" if gzipped or name == "corrupt" else "dense"
    events = Events(20_000, shape, seed=SEED, bad_share=0.001)
    bucket.put("events", content(events, gzipped=gzipped))
    bucket.faults(seed=SEED, stall_seconds=0.7, **TROUBLE[name])
    bucket.send_events_to(gcs_import.url)
    deliveries = bucket.wait_until_delivered(timeout=120)
    bucket.end_trouble()
    assert not missing(events, standin)
    lines = {reject.line for reject in kept_rejects(bucket)}
    bad = {number for number, _ in events.bad()}
    assert lines >= bad if "corrupt" in TROUBLE[name] else lines == bad
    assert [name.rpartition("/")[2] for name in objects(bucket, "checkpoints/")] == ["receipt.json"]
    figure(f"{twice(standin):,} of 20,000 came twice, {deliveries[0]['attempts']} deliveries")
