"""The core: records in, report out, against the real stand-in: nothing of it is replaced by anything else."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from importer import log
from importer.core.checkpoint import Checkpoint
from importer.core.ordered.run import Limits, Progress, run
from importer.core.pipeline import Pipeline
from importer.core.rejects.reject import Reject
from importer.core.report import HandedBack, Report
from importer.errors import FatalDeliveryError, RejectSinkError
from importer.formats.content import Content
from importer.formats.held import Held, Stream
from importer.limits import CHUNK_BYTES
from sandbox.clients import Standin
from sandbox.events import BAD_JSON, BAD_KINDS, Events
from tests.unit.conftest import Kept, MakePipeline

SOURCE = "gs://events/file#1"


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure("ERROR")


def imported(
    pipeline: Pipeline, content: bytes, kept: Kept | None = None, limits: Limits | None = None, **more: Any
) -> Report:
    blocks = Content(Held(content)).blocks()
    return run(pipeline, SOURCE, blocks, kept or Kept(), limits or Limits(10), **more)


def event(number: int | str, **properties: Any) -> bytes:
    known = {"time": 1_700_000_000, "distinct_id": "user-1", "$insert_id": f"id-{number}"}
    return json.dumps({"event": "Signup", "properties": {**known, **properties}}).encode()


def whole(report: Report) -> bool:
    return report.read == report.imported + report.rejected + report.dropped


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("format_", ["ndjson", "array"])
def test_every_event_arrives_once(
    standin: Standin, pipeline: MakePipeline, tmp_path: Path, pack: Callable[[bytes], bytes], format_: Any
) -> None:
    events = Events(5_000, "small", seed=3, format=format_)
    with (tmp_path / "file").open("wb") as file:
        events.write(file)
    report = imported(pipeline(), pack((tmp_path / "file").read_bytes()))
    assert standin.ids() == dict.fromkeys(events.ids(), 1)
    assert (report.read, report.imported, report.rejected, report.dropped) == (5_000, 5_000, 0, 0)
    assert report.bytes == sum(map(len, events.records()))
    summary = standin.summary()
    assert (report.requests, report.retried, report.sent_bytes) == (summary["requests"], 0, summary["wire_bytes"])


def test_what_is_put_in_events_counts_for_the_bounds_too(standin: Standin, pipeline: MakePipeline) -> None:
    """A block that would fit as it came, but not with the ip that each of its events gets."""
    lines = b"\n".join(event(f"{number:03}") for number in range(100))
    report = imported(pipeline(batch_bytes=len(lines) + 350), lines)
    assert report.requests == 2
    largest = standin.summary()["largest_request"]
    assert (largest["events"], largest["bytes"] <= len(lines) + 350) == (96, True)
    assert (report.imported, report.bytes) == (100, len(lines) - 99)


def test_batches_keep_within_the_bounds(standin: Standin, pipeline: MakePipeline) -> None:
    lines = b"\n".join(Events(3_000).records())
    imported(pipeline(batch_events=700, batch_bytes=100_000), lines)
    assert 90_000 < standin.summary()["largest_request"]["bytes"] <= 100_000
    standin.reset()
    imported(pipeline(batch_events=50), lines)
    assert standin.summary()["largest_request"]["events"] == 50


@pytest.mark.parametrize("format_", ["ndjson", "array"])
def test_each_bad_record_is_named_with_its_place_and_no_good_one_is_lost(
    standin: Standin, pipeline: MakePipeline, tmp_path: Path, format_: Any
) -> None:
    events = Events(4_000, "small", seed=5, bad_share=0.02, format=format_)
    with (tmp_path / "file").open("wb") as file:
        events.write(file)
    content = (tmp_path / "file").read_bytes()
    kept = Kept()
    report = imported(pipeline(), content, kept)
    first_line = 1 if format_ == "ndjson" else 2
    assert standin.ids() == dict.fromkeys(events.ids(), 1)
    assert [reject.line for reject in kept.rejects] == [number - 1 + first_line for number, _ in events.bad()]
    assert report.rejected == len(kept.rejects) == len(list(events.bad()))
    assert whole(report)
    lines = content.split(b"\n")
    for reject in kept.rejects:
        record = lines[reject.line - 1].removesuffix(b",") if format_ == "array" else lines[reject.line - 1]
        assert reject.record() == record
        assert content[reject.offset :].startswith(record)
        assert (reject.source, bool(reject.reason)) == (SOURCE, True)
    assert report.first_rejects == kept.rejects[:5]


@pytest.mark.parametrize("kind", sorted({*BAD_KINDS} - {"trailing comma"}))  # which is none in an array
def test_a_bad_record_in_a_pretty_array_costs_no_neighbour(standin: Standin, pipeline: MakePipeline, kind: str) -> None:
    bad = BAD_KINDS[kind](next(Events(1).records()))
    good = [json.dumps(json.loads(event(n)), indent=2).encode() for n in range(3)]
    kept = Kept()
    imported(pipeline(), b"[\n" + b",\n".join([*good[:2], bad, good[2]]) + b"\n]", kept)
    assert set(standin.ids()) == {"id-0", "id-1", "id-2"}
    assert len(kept.rejects) == 1 or kind not in BAD_JSON


def test_elements_that_stand_on_several_lines_arrive_as_one_line_each(standin: Standin, pipeline: MakePipeline) -> None:
    events = [json.loads(event(n, text="a\nb")) for n in range(300)]
    report = imported(pipeline(), json.dumps(events, indent=2).encode().replace(b"\n", b"\r\n"))
    assert (report.imported, report.rejected, len(standin.ids())) == (300, 0, 300)


LINES = st.lists(
    st.sampled_from(
        [
            *("good", "good", "good", "good with a carriage return", "no insert id", "blank"),
            *("refused by Mixpanel", "not named by Mixpanel", "null", "cut short", "not UTF-8", "NUL"),
        ]
    ),
    max_size=60,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(LINES, st.integers(1, 20), st.booleans())
def test_whatever_the_lines_every_record_is_accounted_for_and_every_reject_named(
    standin: Standin, pipeline: MakePipeline, kinds: list[str], batch_events: int, transformed: bool
) -> None:
    def line(n: int, kind: str) -> bytes:
        if kind.startswith("good"):
            return event(n) + b"\r" * (kind != "good")
        if kind in BAD_KINDS:
            return BAD_KINDS[kind](event(n))
        return {
            "no insert id": event(n).replace(b'"$insert_id"', b'"my_id"'),
            "blank": b" \t",
            "refused by Mixpanel": event(n, time=1),
            "not named by Mixpanel": event(n, text="poison"),
        }[kind]

    standin.reset()
    through = pipeline(
        batch_events=batch_events, transform="tests.unit.core.ordered.test_run:unchanged" if transformed else None
    )
    imported(through, event("first"))
    standin.faults(unnamed_400="poison")
    kept = Kept()
    report = imported(through, b"\n".join(line(n, kind) for n, kind in enumerate(kinds)), kept)
    good = [n for n, kind in enumerate(kinds) if kind.startswith("good")]
    bad = [n for n, kind in enumerate(kinds) if kind not in {"no insert id", "blank"} and n not in good]
    no_id = kinds.count("no insert id")
    assert [reject.line for reject in kept.rejects] == [n + 1 for n in bad]
    assert [reject.record() for reject in kept.rejects] == [line(n, kinds[n]) for n in bad]
    assert (report.read, report.imported, report.rejected) == (
        len(good) + no_id + len(bad),
        len(good) + no_id,
        len(bad),
    )
    assert {name for name in standin.ids() if name.startswith("id-")} == {"id-first", *(f"id-{n}" for n in good)}
    assert len(standin.ids()) == 1 + len(good) + no_id


def unchanged(record: dict[str, Any]) -> Any:
    return record


def mapped(record: dict[str, Any]) -> Any:
    """Doubles what says so, drops what says so, and fails at what says so."""
    wanted = record["properties"].get("wanted")
    if wanted == "raise":
        raise LookupError(wanted)
    if wanted == "double":
        properties = {name: value for name, value in record["properties"].items() if name != "$insert_id"}
        return [{"event": name, "properties": properties} for name in ("First", "Second")]
    return None if wanted == "drop" else record


def test_a_transform_maps_drops_fans_out_and_fails_each_for_its_record_alone(
    standin: Standin, pipeline: MakePipeline
) -> None:
    wanted = [*itertools.islice(itertools.cycle(["as it is", "drop", "double", "raise", "as it is"]), 500)]
    through = pipeline(transform="tests.unit.core.ordered.test_run:mapped", batch_events=7)
    kept = Kept()
    content = b"\n".join(event(n, wanted=each) for n, each in enumerate(wanted))
    report = imported(through, content, kept)
    assert (report.read, report.imported, report.dropped, report.rejected) == (600, 400, 100, 100)
    assert len(standin.ids()) == 400
    assert [reject.line for reject in kept.rejects] == list(range(4, 501, 5))
    (reason,) = {reject.reason for reject in kept.rejects}
    assert re.fullmatch(r"the transform raised LookupError: raise \(test_run\.py, line \d+\)", reason)
    again = imported(through, content)
    assert (again.imported, len(standin.ids())) == (400, 400)


def test_what_a_transform_made_and_mixpanel_refused_is_rejected_as_it_came(
    standin: Standin, pipeline: MakePipeline
) -> None:
    came = event(1, wanted="double", time=1)
    kept = Kept()
    report = imported(pipeline(transform="tests.unit.core.ordered.test_run:mapped"), came, kept)
    assert (report.read, report.rejected) == (2, 2)
    assert [(reject.line, reject.record(), reject.field) for reject in kept.rejects] == [
        (1, came, "properties.time"),
        (1, came, "properties.time"),
    ]


def row_of_posthog(number: int, name: str = "Signup", year: int = 2024) -> bytes:
    row = {"uuid": f"id-{number}", "event": name, "distinct_id": "u", "properties": {}, "timestamp": f"{year}-01-01"}
    return json.dumps(row).encode()


@pytest.mark.parametrize("batch_events", [7, 2000])
def test_what_a_mapping_made_arrives_and_what_mixpanel_refused_is_rejected_as_it_came(
    standin: Standin, pipeline: MakePipeline, batch_events: int
) -> None:
    """Every tenth record is no event, another one is broken, and of another one Mixpanel does not take the time."""
    lines = [row_of_posthog(n) for n in range(500)]
    for n in range(0, 500, 10):
        lines[n] = row_of_posthog(n, "$feature_flag_called")
        lines[n + 3] = b"{"
        lines[n + 5] = b" "
        lines[n + 8] = row_of_posthog(n + 8, year=2999)
    content = b"\n".join(lines)
    kept = Kept()
    report = imported(pipeline(mapping="posthog", batch_events=batch_events), content, kept)
    assert (report.read, report.imported, report.dropped, report.rejected) == (450, 300, 50, 100)
    assert report.dropped_by == {"feature flag call": 50}
    assert report.bytes == sum(map(len, lines)) - 50
    wanted = [n for n in range(500) if n % 10 in (3, 8)]
    ends = list(itertools.accumulate(len(line) + 1 for line in lines))
    rejects = sorted(kept.rejects, key=lambda reject: reject.line)
    assert [(reject.line, reject.offset) for reject in rejects] == [(n + 1, ends[n - 1]) for n in wanted]
    assert [reject.record() for reject in rejects] == [lines[n] for n in wanted]


def large_batch(name: str, size: int, **more: Any) -> bytes:
    """An mParticle batch of events of 100 kB, so many that it has about `size` bytes."""
    events = [
        {
            "event_type": "custom_event",
            "data": {"event_name": f"{name}-{n}", "timestamp_unixtime_ms": 1_700_000_000_000, **more}
            | {"custom_attributes": {"text": "x" * 100_000}},
        }
        for n in range(size // 100_000)
    ]
    return json.dumps({"mpid": 1, "message_type": "events", "batch_id": 1, "events": events}).encode()


IN_LAYOUTS: dict[str, Callable[[list[bytes]], bytes]] = {
    "lines": b"\n".join,
    "an array": lambda records: b"[" + b",".join(records) + b"]",
    "an array of lines": lambda records: b"[\n" + b",\n".join(records) + b"\n]",
}


@pytest.mark.parametrize("laid", IN_LAYOUTS.values(), ids=IN_LAYOUTS.keys())
@pytest.mark.parametrize("size", [CHUNK_BYTES, 1 << 30], ids=["in chunks", "at once"])
def test_a_record_may_be_longer_than_an_event_where_a_mapping_makes_many_of_it(
    standin: Standin, pipeline: MakePipeline, laid: Callable[[list[bytes]], bytes], size: int
) -> None:
    """One of them is too long for that, too: it is one reject."""
    sizes = (100_000, 3_000_000, 300_000, 7_800_000, 9_000_000, 300_000)
    content = laid([large_batch(f"batch {n}", size) for n, size in enumerate(sizes)])
    kept = Kept()
    pieces = Stream([content[n : n + size] for n in range(0, len(content), size)])
    report = run(pipeline(mapping="mparticle"), SOURCE, Content(pieces, rows="records").blocks(), kept, Limits(10))
    assert (report.read, report.imported, report.rejected) == (116, 115, 1)
    (reject,) = kept.rejects
    assert reject.reason == "is too long: a mapping takes records under 8 MB"
    assert reject.event.startswith(large_batch("batch 4", 100_000).decode()[:200])


def test_an_event_that_is_too_long_is_rejected_though_its_record_may_be_longer(
    standin: Standin, pipeline: MakePipeline
) -> None:
    record = large_batch("batch", 2_000_000).replace(b"x" * 100_000, b"x" * 1_000_000, 1)
    kept = Kept()
    report = run(
        pipeline(mapping="mparticle"), SOURCE, Content(Held(record), rows="records").blocks(), kept, Limits(10)
    )
    assert (report.read, report.imported, report.rejected) == (20, 19, 1)
    assert kept.rejects[0].record() == record


@pytest.mark.parametrize("year", [1970, 2999], ids=["rejected here", "rejected by Mixpanel"])
def test_a_long_record_is_held_once_however_many_of_its_events_are_rejected(
    standin: Standin, pipeline: MakePipeline, year: int
) -> None:
    time_ = {"timestamp_unixtime_ms": "no time"} if year == 1970 else {"timestamp_unixtime_ms": 32_472_144_000_000}
    record = large_batch("batch", 7_000_000, **time_)
    kept = Kept()
    content = Content(Held(record + b"\n" + row_of_posthog(1)), rows="records")
    report = run(pipeline(mapping="mparticle"), SOURCE, content.blocks(), kept, Limits(10))
    assert (report.read, report.imported, report.rejected) == (71, 0, 71)
    assert [(one.line, one.records, one.event == record.decode()) for one in kept.rejects] == [
        (1, 70, True),
        (2, 1, False),
    ]


# What ends before its end


def test_content_that_stops_making_sense_is_imported_up_to_there_and_one_reject_tells(
    standin: Standin, pipeline: MakePipeline
) -> None:
    content = gzip.compress(b"\n".join(Events(2_000).records()))
    kept = Kept()
    report = imported(pipeline(), content[: len(content) // 2], kept)
    (reject,) = kept.rejects
    assert report.unreadable == "the gzip data breaks off before its end"
    assert reject.reason == f"from here on: {report.unreadable}"
    assert (reject.line, report.imported) == (report.imported + 1, len(standin.ids()))
    assert 500 < report.imported < 1_500
    assert whole(report)


def test_a_source_that_fails_is_handed_back_and_what_came_before_is_imported(
    standin: Standin, pipeline: MakePipeline
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"\n".join(event(n) for n in range(5_000)) + b"\n"
        raise ConnectionResetError("half way")

    with pytest.raises(HandedBack, match="ConnectionResetError: half way") as raised:
        run(pipeline(), SOURCE, Content(Stream(broken())).blocks(), Kept(), Limits(10))
    report = raised.value.report
    assert report.imported == len(standin.ids()) >= 4_000
    assert report.handed_back == 5_000 - report.imported


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"503": 1.0}, "Mixpanel could not take the events in time"),
        ({"unauthorized": True}, "rejected the project token"),
    ],
)
def test_what_mixpanel_does_not_take_is_handed_back(
    standin: Standin, pipeline: MakePipeline, faults: dict[str, Any], reason: str
) -> None:
    standin.faults(**faults)
    kept = Kept()
    content = b"\n".join([*(event(n) for n in range(50)), b"null"])
    with pytest.raises(HandedBack, match=reason) as raised:
        imported(pipeline(batch_events=10), content, kept, Limits(0.1))
    report = raised.value.report
    assert (report.imported, report.handed_back) == (0, report.read - report.rejected)
    assert not standin.ids()


def test_an_outage_in_the_middle_is_made_good_by_the_next_delivery(standin: Standin, pipeline: MakePipeline) -> None:
    content = b"\n".join([*Events(3_000, "small").records()])
    standin.faults(after=10, **{"503": 1.0})
    through = pipeline(batch_events=100)
    with pytest.raises(HandedBack) as raised:
        imported(through, content, limits=Limits(0.1))
    assert raised.value.report.imported == len(standin.ids()) == 1_000
    standin.faults(**{"503": 0.0})
    assert imported(through, content).imported == 3_000
    assert set(standin.ids()) == set(Events(3_000, "small").ids())


def test_wrong_credentials_stop_the_reading(standin: Standin, pipeline: MakePipeline) -> None:
    standin.faults(unauthorized=True)
    with pytest.raises(HandedBack) as raised:
        imported(pipeline(batch_events=10), b"\n".join(Events(20_000, "small").records()))
    assert isinstance(raised.value.__cause__, FatalDeliveryError)
    assert standin.summary()["requests"] < 100


def test_when_the_time_is_up_reading_stops_and_what_is_on_its_way_comes_to_its_end(
    standin: Standin, pipeline: MakePipeline
) -> None:
    standin.faults(latency=0.05)
    through = pipeline(batch_events=20, concurrency=2)
    content = b"\n".join(Events(20_000, "small").records())
    limits = Limits(10, stop_at=time.monotonic() + 0.3)
    with pytest.raises(HandedBack, match="the time limit came before the end") as raised:
        imported(through, content, limits=limits)
    report = raised.value.report
    assert 0 < report.imported == len(standin.ids()) < 20_000


def test_a_slow_mixpanel_slows_the_reader(standin: Standin, pipeline: MakePipeline) -> None:
    standin.faults(latency=0.02)
    ahead: list[int] = []
    rows = list(Events(4_000).records())

    def watched() -> Iterator[bytes]:
        for n in range(0, 4_000, 50):
            ahead.append(n - standin.summary()["received"])
            yield b"\n".join(rows[n : n + 50]) + b"\n"

    through = pipeline(batch_events=50, concurrency=4, buffer_bytes=10_000_000)
    # The head, by which content is known, is read at once: about 300 rows. Then: what is on its way, and two batches.
    run(through, SOURCE, Content(Stream(watched())).blocks(), Kept(), Limits(10))
    assert len(standin.ids()) == 4_000
    assert max(ahead) <= 2 * CHUNK_BYTES / 850 + (4 + 2) * 50


def test_a_file_of_nothing_but_long_rejects_is_not_held_in_memory(pipeline: MakePipeline) -> None:
    def endless(lines: int) -> Iterator[bytes]:
        yield b"{}\n"
        for _ in range(lines):
            yield from [b"x" * 250_000] * 4
            yield b"\n"

    class Counted:
        kept = 0

        def store(self, rejects: Sequence[Reject]) -> None:
            self.kept += len(rejects)

    counted = Counted()
    tracemalloc.start()
    report = run(pipeline(), SOURCE, Content(Stream(endless(300))).blocks(), counted, Limits(10))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (report.rejected, counted.kept) == (301, 301)
    assert most < 100_000_000


def test_rejects_that_cannot_be_kept_hand_the_work_back(standin: Standin, pipeline: MakePipeline) -> None:
    class Broken:
        def store(self, rejects: Sequence[Reject]) -> None:
            raise RejectSinkError("no room")

    with pytest.raises(HandedBack, match="the rejects could not be kept: no room"):
        run(pipeline(), SOURCE, Content(Held(event(1) + b"\nnull")).blocks(), Broken(), Limits(10))


class Saved:
    """Checkpoints in a list, each with the ids that the stand-in held by then."""

    def __init__(self, standin: Standin) -> None:
        self._standin = standin
        self.all: list[tuple[Checkpoint, set[str]]] = []

    def save(self, checkpoint: Checkpoint) -> None:
        self.all.append((checkpoint, set(self._standin.ids())))

    def forget(self) -> None:
        self.all.clear()


@pytest.mark.parametrize("seed", range(3))
def test_a_checkpoint_is_true_and_reading_on_from_it_completes_the_import(
    standin: Standin, pipeline: MakePipeline, seed: int
) -> None:
    events = Events(3_000, "small", seed=seed, bad_share=0.05)
    content = b"\n".join(events.records())
    standin.faults(jitter=0.02, **{"500": 0.1}, seed=seed)
    saved, made = Saved(standin), Content(Held(content))
    through = pipeline(batch_events=25)  # more batches than may wait for one that is slow
    run(through, SOURCE, made.blocks(), Kept(), Limits(10), progress=Progress(saved, made.mark, every=0))
    assert len(saved.all) > 3
    bad = {number for number, _ in events.bad()}
    good = dict(zip((n for n in range(1, 3_001) if n not in bad), events.ids(), strict=True))
    for checkpoint, held in saved.all:
        before = range(1, checkpoint.mark.line)
        assert {good[n] for n in before if n in good} <= held
        assert checkpoint.counts.imported == sum(n in good for n in before)
        assert checkpoint.counts.rejected == sum(n in bad for n in before)
    checkpoint, _ = saved.all[len(saved.all) // 2]
    rest = Content(Held(content), checkpoint.mark).blocks()
    report = run(through, SOURCE, rest, Kept(), Limits(10), report=checkpoint.counts.report())
    assert (report.read, report.imported, report.rejected) == (3_000, len(good), len(bad))


def test_nothing_to_import_is_a_report_of_nothing(standin: Standin, pipeline: MakePipeline) -> None:
    report = imported(pipeline(), b"\n \n\r\n")
    assert (report.read, report.requests, standin.summary()["requests"]) == (0, 0, 0)
