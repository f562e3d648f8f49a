"""A file too large for one delivery is finished over several, each going on where the last one stopped.

`python -m bench.sections.resume` does the same with 500 MB and 20 seconds.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.sections.resume import resume
from sandbox.clients import Bucket, Standin
from sandbox.events import Events, Format
from tests.faults.trouble import SEED


@pytest.mark.parametrize(
    ("format_", "gzipped"),
    [("ndjson", False), ("ndjson", True), ("array", False), ("array", True)],
    ids=["lines", "lines, gzipped", "array", "array, gzipped"],
)
def test_each_delivery_goes_on_where_the_last_one_stopped(
    format_: Format, gzipped: bool, standin: Standin, bucket: Bucket, figure: Callable[[str], None]
) -> None:
    """Invariant 2: a checkpoint moves once what is before it is settled; nothing before it is then done anew."""
    # Of a plain file, which is read by ranges, little is to be read again: there it takes a larger one to tell.
    count, limit = (15_000, 2) if gzipped else (30_000, 4)
    events = Events(count, "dense", seed=SEED, format=format_)
    few_at_a_time = {"IMPORT_BATCH_EVENTS": "500", "IMPORT_CONCURRENCY": "4", "IMPORT_BACKOFF": "0.1"}
    resumed = resume(standin, bucket, events, gzipped=gzipped, limit=limit, rate=6_000, **few_at_a_time)
    assert resumed.missing == 0
    assert resumed.deliveries > 1
    assert resumed.settled_before == sorted(resumed.settled_before)
    assert resumed.twice < events.count * 0.1
    if not gzipped:
        assert resumed.again < 0.15
    figure(
        f"{resumed.stored / 1e6:.0f} MB, {resumed.deliveries} deliveries, {resumed.again:.1%} read again, "
        f"{resumed.twice:,} came twice"
    )
