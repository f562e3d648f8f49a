"""Files, as in production: an object is written, an event comes, the function under gunicorn imports, the log tells."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import json
import lzma
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from backports import zstd

from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import BAD_KINDS, Events
from sandbox.processes import ROOT, Function
from tests.faults.trouble import objects, stored

FINALIZED = "google.cloud.storage.object.v1.finalized"
SAMPLE = ROOT / "sandbox" / "data" / "sample-events.jsonl"
USER, SECRET = "importer.1a2b3c.mp-service-account", "hush-hush-it-is-a-secret"
MARK = b"\xef\xbb\xbf"

MAPPING = """
def to_mixpanel(record):
    if record.get("fail"):
        raise ValueError("it is said to fail: " + record["fail"])
    if "order" not in record:
        return None
    return [
        {"event": name, "properties": {"time": record["at"], "distinct_id": "", "order": record["order"]}}
        for name in ("Ordered", *["Paid"] * record["paid"])
    ]
"""

QUICK = {"IMPORT_BACKOFF": "0.05", "IMPORT_RETRY_SECONDS": "0.3"}


class Start:
    """Starts `gcs_import` with the settings given, once for the module, and writes all that it says to a file."""

    def __init__(self, standin: str, bucket: str, folder: Path, running: ExitStack) -> None:
        self._places = {"MIXPANEL_API_URL": standin, "STORAGE_EMULATOR_HOST": bucket}
        self._folder, self._running = folder, running

    def __call__(self, name: str, **settings: str) -> tuple[Function, Path]:
        said = self._folder / f"{name}.txt"
        function = processes.function("gcs_import", environment={**self._places, **QUICK, **settings}, log=said)
        return self._running.enter_context(function), said


@pytest.fixture(scope="module")
def start(
    standin_process: processes.Service, bucket_process: processes.Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    with ExitStack() as running:
        yield Start(standin_process.url, bucket_process.url, tmp_path_factory.mktemp("said"), running)


@pytest.fixture(scope="module")
def plain(start: Start) -> Function:
    """The function with no settings but its credentials."""
    return start("plain", MIXPANEL_PROJECT_TOKEN="any")[0]


@pytest.fixture(scope="module")
def choosy(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Function:
    """The function with every setting that says which objects are for it, and a transform."""
    folder = tmp_path_factory.mktemp("mapping")
    (folder / "mapping.py").write_text(MAPPING)
    return start(
        "choosy",
        MIXPANEL_PROJECT_TOKEN="any",
        IMPORT_INCLUDE="*.jsonl,data/*,mine/*",
        IMPORT_EXCLUDE="*/tmp/*,secret*",
        IMPORT_REJECTS="gs://events/mine/rejects",
        IMPORT_CHECKPOINTS="gs://events/mine/checkpoints",
        IMPORT_TRANSFORM="mapping:to_mixpanel",
        PYTHONPATH=str(folder),
    )[0]


@dataclass
class Way:
    """From the bucket to one function's log."""

    bucket: Bucket
    function: Function

    def open(self) -> None:
        """Lets events through to the function."""
        self.bucket.send_events_to(self.function.url)

    def put(self, name: str, content: bytes, **how: str) -> dict[str, Any]:
        """Writes an object, and gives back the last line that the log has of it once its event is settled."""
        self.open()
        generation = self.bucket.put(name, content, **how)
        self.bucket.wait_until_delivered(events=len(self.bucket.deliveries()))
        return self.summary(name, generation)

    def summaries(self, name: str, generation: str) -> list[dict[str, Any]]:
        sources = {f"gs://events/{name}", f"gs://events/{name}#{generation}"}
        return [line for line in self.function.log("import") if line["source"] in sources]

    def summary(self, name: str, generation: str, outcome: str | None = None) -> dict[str, Any]:
        def last() -> dict[str, Any] | None:
            found = [line for line in self.summaries(name, generation) if outcome in {None, line["outcome"]}]
            return found[-1] if found else None

        return self.function.process.wait_until(last)

    def rejects(self, summary: dict[str, Any]) -> list[dict[str, Any]]:
        return [line for line in self.function.log("reject") if line["source"] == summary["source"]]


@pytest.fixture
def way(standin: Standin, bucket: Bucket, plain: Function) -> Way:
    return Way(bucket, plain)


@pytest.fixture
def choosy_way(standin: Standin, bucket: Bucket, choosy: Function) -> Way:
    return Way(bucket, choosy)


def event(number: int, **properties: Any) -> bytes:
    known = {"time": 1_700_000_000, "distinct_id": "Zoë", "$insert_id": f"id-{number}"}
    return json.dumps({"event": "Signup", "properties": {**known, **properties}}, ensure_ascii=False).encode()


def counts(summary: Mapping[str, Any]) -> tuple[str, int, int, int, int]:
    return (summary["outcome"], *(summary[name] for name in ("read", "imported", "rejected", "dropped")))


def test_the_sample_events_arrive_all_ten(standin: Standin, way: Way) -> None:
    summary = way.put("sample-events.jsonl", SAMPLE.read_bytes())
    assert counts(summary) == ("done", 10, 10, 0, 0)
    assert summary["severity"] == "INFO"
    sent = [json.loads(line)["properties"]["$insert_id"] for line in SAMPLE.read_bytes().splitlines()]
    assert standin.ids() == dict.fromkeys(sent, 1)


TEN = [event(n) for n in range(10)]
JSON = [json.loads(each) for each in TEN]
LAID_OUT: dict[str, bytes] = {
    "lines": b"\n".join(TEN) + b"\n",
    "lines, no last line break": b"\n".join(TEN),
    "lines, Windows' ends": b"\r\n".join(TEN) + b"\r\n",
    "lines, blank ones between": b"\n \n\r\n".join([b"", *TEN, b""]),
    "lines, a byte order mark": MARK + b"\n".join(TEN),
    "an array, compact": json.dumps(JSON, separators=(",", ":")).encode(),
    "an array, pretty": json.dumps(JSON, indent=2, ensure_ascii=False).encode(),
    "an array, pretty, Windows' ends": json.dumps(JSON, indent=4).replace("\n", "\r\n").encode(),
    "an array, an element a line": b"[\n" + b",\n".join(TEN) + b"\n]\n",
    "an array, a byte order mark": MARK + json.dumps(JSON).encode(),
    "an array, pretty, returns alone": json.dumps(JSON, indent=2).replace("\n", "\r").encode(),
    "arrays, one a line": b"".join(b"[%b,%b]\n" % pair for pair in zip(TEN[::2], TEN[1::2], strict=True)),
    "lines that end with returns": b"\r".join(TEN) + b"\r",
    "objects, pretty": "\n".join(json.dumps(each, indent=2) for each in JSON).encode(),
    "objects, pretty, Windows' ends": "\n".join(json.dumps(each, indent=2) for each in JSON)
    .replace("\n", "\r\n")
    .encode(),
    "objects, pretty, returns alone": "\n".join(json.dumps(each, indent=2) for each in JSON)
    .replace("\n", "\r")
    .encode(),
    "objects, nothing between": b"".join(TEN),
    "wrapped as events": json.dumps({"events": JSON}).encode(),
    "wrapped as data, pretty": json.dumps({"page": {"next": None}, "data": JSON}, indent=2).encode(),
    "wrapped as a batch": json.dumps({"batch": JSON, "sentAt": "2025-06-01T00:00:00Z"}).encode(),
    "one event": TEN[0],
    "one event, pretty": json.dumps(JSON[0], indent=2).encode(),
    "an array of one event": b"[" + TEN[0] + b"]",
}


def members(content: bytes) -> bytes:
    return b"".join(gzip.compress(content[n : n + 333]) for n in range(0, len(content), 333))


def frames(content: bytes) -> bytes:
    return b"".join(zstd.compress(content[n : n + 333]) for n in range(0, len(content), 333))


STORED: dict[str, Callable[[bytes], tuple[str, bytes, dict[str, str]]]] = {
    "plain": lambda content: ("events.jsonl", content, {}),
    "gzip": lambda content: ("events.jsonl.gz", gzip.compress(content), {}),
    "gzip by another name": lambda content: ("events.txt", gzip.compress(content), {"content_type": "text/plain"}),
    "gzip of many members": lambda content: ("events.gz", members(content), {}),
    "zstd": lambda content: ("events.jsonl.zst", zstd.compress(content), {}),
    "zstd of many frames, by another name": lambda content: ("events", frames(content), {}),
    "Content-Encoding": lambda content: ("events.jsonl", gzip.compress(content), {"content_encoding": "gzip"}),
    "both": lambda content: ("events.gz", gzip.compress(gzip.compress(content)), {"content_encoding": "gzip"}),
}


@pytest.mark.parametrize("laid_out", LAID_OUT)
def test_events_arrive_however_they_are_laid_out_and_stored(standin: Standin, way: Way, laid_out: str) -> None:
    content = LAID_OUT[laid_out]
    expected = 1 if "one event" in laid_out else 10
    for how, store in STORED.items():
        standin.reset()
        name, stored, details = store(content)
        assert counts(way.put(name, stored, **details)) == ("done", expected, expected, 0, 0), how
        assert standin.ids() == {f"id-{n}": 1 for n in range(expected)}, how


@pytest.mark.parametrize("content", [b"", b"\n\n", MARK, b"[]", gzip.compress(b"", mtime=0)], ids=repr)
def test_an_object_with_no_events_is_done_at_once(standin: Standin, way: Way, content: bytes) -> None:
    assert counts(way.put("nothing.jsonl", content)) == ("done", 0, 0, 0, 0)
    assert standin.summary()["requests"] == 0


def test_small_objects_on_lines_of_their_own_do_not_make_lines_of_an_array(standin: Standin, way: Way) -> None:
    events = [json.loads(event(n, items=[{"sku": "a"}], note=[{}])) for n in range(300)]
    pretty = json.dumps(events, indent=2)
    content = re.sub(r'\{\s+"sku": "a"\s+\}', '{ "sku": "a" }', pretty)
    assert '[\n        { "sku": "a" }\n      ]' in content
    assert counts(way.put("pretty.json", content.encode())) == ("done", 300, 300, 0, 0)
    assert standin.ids() == {f"id-{n}": 1 for n in range(300)}


@pytest.mark.parametrize("first", [b"garbage", b"# exported\tfrom somewhere", b"<html>"])
def test_what_cannot_be_told_by_its_beginning_is_read(standin: Standin, way: Way, first: bytes) -> None:
    good = [event(n) for n in range(63)]
    rows = [first, event(99, text="x" * 1_100_000), *good]
    summary = way.put("export.jsonl", b"\n".join(rows))
    assert counts(summary) == ("done", 65, 63, 2, 0)
    assert standin.ids() == {f"id-{n}": 1 for n in range(63)}
    assert [one["line"] for one in way.rejects(summary)] == [1, 2]


@pytest.mark.parametrize("cut", [1, 30, 60, 90])
@pytest.mark.parametrize("nth", [0, 4, 9], ids=["first", "middle", "last"])
def test_an_event_cut_short_costs_itself_alone_in_an_array_on_one_line(
    standin: Standin, way: Way, nth: int, cut: int
) -> None:
    rows = [*TEN[:nth], TEN[nth][:cut], *TEN[nth + 1 :]]
    summary = way.put("minified.json", b"[" + b",".join(rows) + b"]")
    assert (summary["imported"], summary["rejected"]) == (9, 1)
    assert standin.ids() == {f"id-{n}": 1 for n in range(10) if n != nth}


# Every kind of bad line

LONG = b'"' + b"x" * 1_000_000 + b'"'
BAD: dict[str, bytes] = {
    **{kind: spoil(next(Events(1, seed=6).records())) for kind, spoil in BAD_KINDS.items()},
    "the start of an object": b"{",
    "the start of an array": b"[",
    "the start of a text": b'"',
    "the end of an object": b"}",
    "nothing but a comma": b",",
    "an empty array": b"[]",
    "false": b"false",
    "-0.0": b"-0.0",
    "Infinity": b"Infinity",
    "words": b"and so on",
    "a log line": b"2025-06-01T00:00:00Z INFO 200 /index.html",
    "CSV": b"Signup,1700000000,user-1",
    "a binary line": bytes(set(range(256)) - {10, 13}),
    "nothing but NULs": bytes(100),
    "Latin-1": event(90).decode().encode("latin-1"),
    "UTF-16": event(90).decode().replace("\n", "").encode("utf-16-be"),
    "overlong UTF-8": event(90)[:-2] + b',"a":"\xc0\xaf"}}',
    "a lone continuation byte": event(90)[:-2] + b',"a":"\x80"}}',
    "a 1 MB line": event(90)[:-2] + b',"a":' + LONG + b"}}",
    "a 1 MB line of words": LONG[1:-1],
    "objects 5,000 deep": event(90)[:-2] + b',"a":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_002,
    "objects 4 deep": event(90, a={"b": {"c": {"d": {}}}}),
    "1e400": event(90)[:-2] + b',"a":1e400}}',
    "-1e400": event(90)[:-2] + b',"a":-1e400}}',
    "-Infinity": event(90)[:-2] + b',"a":-Infinity}}',
    "a leading zero": event(90)[:-2] + b',"a":01}}',
    "a comment": event(90) + b" // so good",
    "a key with no value": b'{"event"}',
    "a comma too many": event(90)[:-2] + b",}}",
    "an escape that is none": event(90)[:-2] + rb',"a":"\x41"}}',
    "a tab in a text": event(90)[:-2] + b',"a":"\t"}}',
    "a JSON text of an event": json.dumps(event(90).decode()).encode(),
    "an event of white space": event(90).replace(b"Signup", b"  "),
    "a null event": event(90).replace(b'"Signup"', b"null"),
    "null properties": b'{"event":"Signup","properties":null}',
    "a fraction as $insert_id": event(90).replace(b'"id-90"', b"90.5"),
    "a long $insert_id": event(90).replace(b"id-90", b"x" * 37),
    "an $insert_id of umlauts": event(90).replace(b"id-90", "ü".encode()),
    "true as time": event(90, time=True),
    "a negative time": event(90, time=-1),
    "microseconds": event(90, time=1_700_000_000_000_000),
    "a day ahead": event(90, time=int(time.time()) + 86_400),
    "a text as time": event(90, time="1700000000 or so"),
    "an object as distinct_id": event(90, distinct_id={"id": 1}),
    "a number as distinct_id": event(90, distinct_id=17),
    "255 properties": event(90, **{f"p{n}": n for n in range(252)}),
    "an array of 255": event(90, a=[0] * 255),
    "an object of 255": event(90, a={f"k{n}": n for n in range(255)}),
    **{
        f"{name} is {value!r}": event(90, **{name: value})
        for name in ("distinct_id", "$insert_id")
        for value in ("00000000-0000-0000-0000-000000000000", "anon", "null", "-1", "0", "[]", "<nil>", "true")
    },
}
NOT_IN_ARRAYS = {"trailing comma", "nothing but a comma", "CSV"}
"""Commas between elements: in an array these are no record, or several."""


def salted(kinds: list[str]) -> tuple[list[bytes], list[int], list[int]]:
    """Rows with a bad one after every third good one; which of them are good, and which are bad."""
    rows: list[bytes] = []
    good: list[int] = []
    bad: list[int] = []
    for kind in kinds:
        for _ in range(3):
            good.append(len(rows))
            rows.append(event(len(rows)))
        bad.append(len(rows))
        rows.append(BAD[kind])
    return [*rows, event(len(rows))], [*good, len(rows)], bad


def assert_each_once(standin: Standin, good: list[int]) -> None:
    """Each is in; one may have come twice, to prove to the client that Mixpanel still takes what is good."""
    ids = standin.ids()
    assert ids.keys() == {f"id-{n}" for n in good}
    assert sum(ids.values()) - len(ids) <= 1


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_every_kind_of_bad_line_costs_itself_alone_and_is_named(
    standin: Standin, way: Way, compress: Callable[[bytes], bytes]
) -> None:
    rows, good, bad = salted(list(BAD))
    content = b"\n".join(rows)
    summary = way.put("salted.jsonl", compress(content))
    assert_each_once(standin, good)
    assert counts(summary) == ("done", len(rows), len(good), len(bad), 0)
    check_rejects(way.rejects(summary), content, rows, {n: n + 1 for n in bad})


def test_every_kind_of_bad_element_costs_itself_alone_and_is_named(standin: Standin, way: Way) -> None:
    rows, good, bad = salted([kind for kind in BAD if kind not in NOT_IN_ARRAYS])
    content = b"[\n" + b",\n".join(rows) + b"\n]\n"
    summary = way.put("salted.json", content)
    assert_each_once(standin, good)
    assert counts(summary) == ("done", len(rows), len(good), len(bad), 0)
    check_rejects(way.rejects(summary), content, rows, {n: n + 2 for n in bad})


def check_rejects(rejects: list[dict[str, Any]], content: bytes, rows: list[bytes], lines: Mapping[int, int]) -> None:
    assert [reject["line"] for reject in rejects] == list(lines.values())[:100]
    for reject, n in zip(rejects, lines, strict=False):
        assert content[reject["offset"] :].startswith(rows[n])
        assert reject["reason"]
        assert f"line {reject['line']}: " in reject["message"]
        assert len(json.dumps(reject)) < 30_000


@pytest.mark.parametrize(
    "kind", ["not JSON", "null", "the start of an array", "an empty array", "a binary line", "NUL"]
)
def test_a_bad_first_line_costs_itself_alone(standin: Standin, way: Way, kind: str) -> None:
    summary = way.put("salted.jsonl", b"\n".join([BAD[kind], *TEN]))
    assert counts(summary) == ("done", 11, 10, 1, 0)
    assert [reject["line"] for reject in way.rejects(summary)] == [1]


def test_of_many_rejects_the_first_hundred_are_logged_and_all_are_counted(standin: Standin, way: Way) -> None:
    summary = way.put("bad.jsonl", b"\n".join([TEN[0], *[b"null"] * 5_000, TEN[1]]))
    assert counts(summary) == ("done", 5_002, 2, 5_000, 0)
    assert summary["severity"] == "WARNING"
    assert [reject["line"] for reject in way.rejects(summary)] == list(range(2, 102))
    assert way.function.log("rejects capped")[-1]["source"] == summary["source"]


@pytest.mark.parametrize("most", [0, 2])
def test_of_rejects_that_are_kept_the_log_has_as_many_as_it_may(
    most: int, start: Start, standin: Standin, bucket: Bucket
) -> None:
    settings = {"IMPORT_REJECTS": f"gs://events/{most}", "IMPORT_LOG_REJECTS": str(most)}
    way = Way(bucket, start(f"logging {most}", MIXPANEL_PROJECT_TOKEN="any", **settings)[0])
    summary = way.put("five.jsonl", b"\n".join([TEN[0], *[b"null"] * 5]))
    assert counts(summary) == ("done", 6, 1, 5, 0)
    assert [reject["line"] for reject in way.rejects(summary)] == [2, 3][:most]
    (name,) = objects(bucket, f"{most}/")
    kept = [json.loads(line)["line"] for line in gzip.decompress(stored(bucket, name)).splitlines()]
    assert kept == [2, 3, 4, 5, 6]


# What is no event data

NOISE = random.Random(1)
ROWS = b"\n".join(event(n, noise=NOISE.randbytes(300).hex()) for n in range(2_000))
PACKED, ZSTD = gzip.compress(ROWS), zstd.compress(ROWS)
NO_EVENTS: dict[str, tuple[bytes, str]] = {
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE.randbytes(5_000), "no event data but a PNG image"),
    "CSV without events": (b"name,time\r\n" + b"Signup,1700000000\r\n" * 5_000, "this table has no column `event`"),
    "Parquet": (b"PAR1" + NOISE.randbytes(5_000) + b"PAR1", "the Parquet file cannot be read"),
    "bzip2": (bz2.compress(SAMPLE.read_bytes()), "no event data but bzip2: repack it, bzcat FILE.bz2 | gzip"),
    "xz": (lzma.compress(SAMPLE.read_bytes()), "no event data but xz: repack it, xzcat FILE.xz | gzip"),
    "ZIP": (b"PK\x03\x04" + NOISE.randbytes(5_000), "no event data but a ZIP archive: repack it, unzip -p FILE.zip"),
    "7z": (
        b"7z\xbc\xaf\x27\x1c" + NOISE.randbytes(5_000),
        "no event data but a 7z archive: repack it, 7z x -so FILE.7z",
    ),
    "a web page": (b"<!doctype html>\n<html>\n" + b"<p>words</p>\n" * 500, "no event data but XML or HTML"),
    "UTF-16": (SAMPLE.read_bytes().decode().encode("utf-16"), "no event data but UTF-16 text"),
    "noise": (NOISE.randbytes(300_000), "no event data but something"),
    "a PNG, gzipped": (gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(100)), "no event data but a PNG image"),
    "gzip of nothing but a header": (PACKED[:10], "the gzip data breaks off before its end"),
}


@pytest.mark.parametrize(("content", "reason"), NO_EVENTS.values(), ids=NO_EVENTS.keys())
def test_what_is_no_event_data_is_one_clear_error(standin: Standin, way: Way, content: bytes, reason: str) -> None:
    summary = way.put("mystery", content)
    assert counts(summary) == ("unreadable", 1, 0, 1, 0)
    assert summary["severity"] == "ERROR"
    assert reason in summary["reason"]
    assert len(way.rejects(summary)) == 1
    assert [each["attempts"] for each in way.bucket.deliveries()] == [1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PACKED[: len(PACKED) * 2 // 3], "breaks off"),
        (PACKED[:-1], "breaks off"),
        (PACKED[:-8] + bytes(8), "damaged"),
        (PACKED + b"and so much more", "damaged"),
        (ZSTD[: len(ZSTD) * 2 // 3], "the zstd data breaks off"),
        (frames(ROWS)[:-1], "the zstd data breaks off"),
        (ZSTD + b"and so much more", "the zstd data is damaged"),
        (b"[" + b",".join(TEN), "the array breaks off before its end"),
        (b"[" + b",".join(TEN) + b"] and more", "something follows the array's end"),
    ],
    ids=[
        "truncated gzip",
        "gzip without its last byte",
        "a wrong checksum",
        "garbage after gzip",
        "truncated zstd",
        "zstd without its last byte",
        "garbage after zstd",
        "half an array",
        "junk",
    ],
)
def test_what_breaks_off_or_is_damaged_is_imported_as_far_as_it_goes(
    standin: Standin, way: Way, content: bytes, reason: str
) -> None:
    summary = way.put("broken", content)
    assert (summary["outcome"], summary["rejected"]) == ("unreadable", 1)
    assert reason in summary["reason"]
    assert summary["imported"] == len(standin.ids()) == summary["read"] - 1 >= 10
    (reject,) = way.rejects(summary)
    assert reject["reason"] == f"from here on: {summary['reason']}"


# Objects that are no longer what they were, or not for us


def test_a_generation_that_was_overwritten_is_gone_and_the_new_one_is_imported(standin: Standin, way: Way) -> None:
    before = len(way.function.log("import"))
    way.bucket.put("twice.jsonl", event(1))
    second = way.bucket.put("twice.jsonl", event(2))
    way.open()
    way.bucket.wait_until_delivered(events=2)
    way.summary("twice.jsonl", second, "done")
    outcomes = {line["outcome"]: line["source"] for line in way.function.log("import")[before:]}
    assert outcomes == {"gone": "gs://events/twice.jsonl", "done": f"gs://events/twice.jsonl#{second}"}
    assert standin.ids() == {"id-2": 1}


def test_a_generation_that_was_deleted_is_gone(standin: Standin, way: Way) -> None:
    generation = way.bucket.put("deleted.jsonl", event(1))
    requests.delete(f"{way.bucket.url}/storage/v1/b/events/o/deleted.jsonl", timeout=10).raise_for_status()
    way.open()
    way.bucket.wait_until_delivered()
    summary = way.summary("deleted.jsonl", generation)
    assert (summary["outcome"], summary["severity"]) == ("gone", "INFO")
    assert "deleted or overwritten" in summary["message"]
    assert standin.ids() == {}


PASSED_OVER = {
    "events.csv": "IMPORT_INCLUDE does not name it",
    "data/": "it is the placeholder of a folder",
    "data/tmp/events.jsonl": "IMPORT_EXCLUDE names it",
    "secret.jsonl": "IMPORT_EXCLUDE names it",
    "mine/rejects/a.jsonl.gz": "it is one of the importer's own",
    "mine/checkpoints/a": "it is one of the importer's own",
}


@pytest.mark.parametrize(("name", "reason"), PASSED_OVER.items(), ids=PASSED_OVER.keys())
def test_an_object_that_is_not_for_us_is_passed_over_with_a_line(
    standin: Standin, choosy_way: Way, name: str, reason: str
) -> None:
    summary = choosy_way.put(name, json.dumps({"order": 1, "at": 1_700_000_000, "paid": 0}).encode())
    assert (summary["outcome"], summary["severity"]) == ("skipped", "INFO")
    assert summary["message"] == f"gs://events/{name} is skipped: {reason}."
    assert standin.summary()["requests"] == 0


@pytest.mark.parametrize("name", ["a/b/events.jsonl", "data/events", "mine/rejects-not"])
def test_an_object_that_the_settings_name_is_imported(standin: Standin, choosy_way: Way, name: str) -> None:
    summary = choosy_way.put(name, json.dumps({"order": 1, "at": 1_700_000_000, "paid": 0}).encode())
    assert counts(summary) == ("done", 1, 1, 0, 0)


NAMES = [
    "with space.jsonl",
    "ümläut/東京/🛋️.jsonl",
    "a#b?c=d&e%20f+g.jsonl",
    "a//b/./c.jsonl",
    "line\nbreak\r.jsonl",
    'quote"and\\backslash.jsonl',
    "\u2028{}.jsonl",
    "x" * 1_000 + ".jsonl",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_object_may_have_any_name_and_can_forge_no_line(standin: Standin, way: Way, name: str) -> None:
    summary = way.put(name, event(1))
    assert counts(summary) == ("done", 1, 1, 0, 0)
    assert summary["source"].startswith(f"gs://events/{name}#")
    assert standin.ids() == {"id-1": 1}


# Events by hand


def post(function: Function, data: Any, **attributes: str) -> requests.Response:
    known = {
        "type": FINALIZED,
        "specversion": "1.0",
        "id": "1",
        "source": "//storage.googleapis.com/projects/_/buckets/b",
    }
    headers = {f"ce-{name}": value for name, value in {**known, **attributes}.items()}
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return requests.post(function.url, data=body, headers={"Content-Type": "application/json", **headers}, timeout=30)


def test_a_hand_made_event_needs_a_bucket_and_a_name_only(standin: Standin, way: Way) -> None:
    generation = way.bucket.put("by hand.jsonl", event(1))
    assert post(way.function, {"bucket": "events", "name": "by hand.jsonl"}).ok
    assert counts(way.summary("by hand.jsonl", generation)) == ("done", 1, 1, 0, 0)
    assert standin.ids() == {"id-1": 1}


def test_an_event_may_come_in_one_piece(standin: Standin, way: Way) -> None:
    generation = way.bucket.put("in one.jsonl", event(1))
    whole = {
        "type": FINALIZED,
        "specversion": "1.0",
        "id": "1",
        "source": "here",
        "data": {"bucket": "events", "name": "in one.jsonl", "generation": generation},
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    assert requests.post(way.function.url, json=whole, headers=headers, timeout=30).ok
    assert standin.ids() == {"id-1": 1}


def test_the_same_event_twice_is_one_even_without_an_insert_id(standin: Standin, way: Way) -> None:
    rows = [event(n).replace(b'"$insert_id"', b'"my_id"') for n in range(50)]
    way.bucket.put("again.jsonl", b"\n".join(rows))
    for _ in range(2):
        assert post(way.function, {"bucket": "events", "name": "again.jsonl"}).ok
    assert Counter(standin.ids().values()) == {2: 50}


@pytest.fixture(scope="module")
def remembering(start: Start) -> Function:
    """The function that keeps receipts. Batches go one by one, so that not the first fails."""
    settings = {"IMPORT_CHECKPOINTS": "gs://events/own", "IMPORT_CONCURRENCY": "1"}
    return start("remembering", MIXPANEL_PROJECT_TOKEN="any", **settings)[0]


@pytest.fixture
def remembering_way(standin: Standin, bucket: Bucket, remembering: Function) -> Way:
    return Way(bucket, remembering)


def outcomes(way: Way, name: str, generation: str, count: int) -> list[str]:
    """What became of so many deliveries of an object, once the log has them all."""

    def found() -> list[str] | None:
        lines = way.summaries(name, generation)
        return [line["outcome"] for line in lines] if len(lines) >= count else None

    return way.function.process.wait_until(found)


def test_what_was_imported_is_skipped_unless_its_event_says_that_it_is_wanted_again(
    standin: Standin, remembering_way: Way
) -> None:
    way, data = remembering_way, {"bucket": "events", "name": "wanted.jsonl"}
    generation = way.bucket.put("wanted.jsonl", event(1))
    for extra, attributes in [
        ({}, {}),
        ({}, {}),
        ({"again": True}, {}),
        ({}, {"again": "true"}),
        ({"again": False}, {"again": "false"}),
        ({}, {}),
    ]:
        assert post(way.function, data | extra, **attributes).ok
    assert outcomes(way, "wanted.jsonl", generation, 6) == ["done", "skipped", "done", "done", "skipped", "skipped"]
    assert standin.ids() == {"id-1": 3}


def test_the_runbook_says_how_an_object_is_sent_again(standin: Standin, remembering_way: Way, tmp_path: Path) -> None:
    """The command as it stands there, with another gcloud and the object's own name."""
    runbook = (ROOT / "docs" / "operations.md").read_text()
    (command,) = re.findall(r"```sh\n((?:(?!```).)*?curl (?:(?!```).)*?again(?:(?!```).)*?)```", runbook, re.DOTALL)
    (tmp_path / "gcloud").write_text(
        """#!/bin/sh\ncase "$*" in *token) echo a-token ;; *) echo "$FUNCTION" ;; esac\n"""
    )
    (tmp_path / "gcloud").chmod(0o755)
    name = "runbook.jsonl"
    generation = remembering_way.put(name, event(1))["source"].rpartition("#")[2]
    subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            command.replace("2025/06/01/events.jsonl.gz", name).replace("my-events", "events"),
        ],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "FUNCTION": remembering_way.function.url,
            "NAME": "mixpanel",
            "REGION": "europe-west1",
            "PROJECT_ID": "p",
        },
        check=True,
        timeout=60,
    )
    assert outcomes(remembering_way, name, generation, 2) == ["done", "done"]
    assert standin.ids() == {"id-1": 2}


def test_a_delivery_that_is_wanted_again_goes_on_from_its_own_checkpoint(
    standin: Standin, remembering_way: Way
) -> None:
    """It is delivered until it is done, and still says `again`: it does not start at the beginning each time."""
    way, name = remembering_way, "large.jsonl"
    generation = way.bucket.put(name, b"\n".join(Events(6_000, "small", seed=3).records()))
    data = {"bucket": "events", "name": name, "again": True}
    assert post(way.function, data).ok
    standin.reset()
    standin.faults(after=2, **{"503": 1.0})
    assert post(way.function, data).status_code == 500
    standin.faults(**{"503": 0.0})
    came = len(standin.ids())
    assert 0 < came < 6_000
    assert post(way.function, data).ok
    assert counts(way.summary(name, generation, "done")) == ("done", 6_000, 6_000, 0, 0)
    assert sum(standin.ids().values()) < 6_000 + came


TIME_LIMIT = 5.0


def test_a_slow_transform_is_stopped_in_time_and_goes_on_where_it_was(
    start: Start, standin: Standin, bucket: Bucket, tmp_path: Path
) -> None:
    """What it takes six seconds to make of one block of records is settled, and saved, before the limit of five."""
    (tmp_path / "slow.py").write_text("import time\ndef slow(record):\n    time.sleep(0.01)\n    return record\n")
    settings = {"IMPORT_TRANSFORM": "slow:slow", "IMPORT_TIME_LIMIT": str(TIME_LIMIT), "PYTHONPATH": str(tmp_path)}
    function, _ = start("slow", MIXPANEL_PROJECT_TOKEN="any", IMPORT_CHECKPOINTS="gs://events/slow", **settings)
    way, name = Way(bucket, function), "slow.jsonl"
    generation = bucket.put(name, b"\n".join(event(n) for n in range(600)))
    data = {"bucket": "events", "name": name}
    began = time.monotonic()
    assert post(function, data).status_code == 500
    assert time.monotonic() - began < TIME_LIMIT
    handed_back = way.summary(name, generation, "handed back")
    assert handed_back["reason"] == "the time limit came before the end"
    assert 0 < handed_back["imported"] == handed_back["read"] == len(standin.ids()) < 600
    assert len(objects(bucket, "slow/")) == 1
    while not post(function, data).ok:
        assert len(way.summaries(name, generation)) < 10
    assert counts(way.summary(name, generation, "done")) == ("done", 600, 600, 0, 0)
    assert standin.ids() == {f"id-{n}": 1 for n in range(600)}


NOTHING_OF_USE = {"unreadable": b"\x89PNG\r\n\x1a\n" + bytes(100), "all rejected": b'{"event": "e"}\nnull\n'}


@pytest.mark.parametrize("kind", NOTHING_OF_USE)
def test_of_what_nothing_was_imported_there_is_no_receipt_and_the_next_delivery_tries_again(
    kind: str, standin: Standin, remembering_way: Way
) -> None:
    way, name = remembering_way, f"{kind}.jsonl"
    generation = way.bucket.put(name, NOTHING_OF_USE[kind])
    for _ in range(2):
        assert post(way.function, {"bucket": "events", "name": name}).ok
    assert outcomes(way, name, generation, 2) == ["unreadable" if kind == "unreadable" else "done"] * 2
    assert objects(way.bucket, "own/") == []


def test_of_what_a_part_was_imported_there_is_a_receipt(standin: Standin, remembering_way: Way) -> None:
    summary = remembering_way.put("part.jsonl", event(1) + b"\nnull\n")
    assert counts(summary) == ("done", 2, 1, 1, 0)
    assert len(objects(remembering_way.bucket, "own/")) == 1


@pytest.mark.parametrize("kind", ["deleted", "archived", "metadataUpdated"])
def test_events_of_other_types_are_skipped(standin: Standin, way: Way, kind: str) -> None:
    way.bucket.put(f"of-type-{kind}.jsonl", event(1))
    other = FINALIZED.replace("finalized", kind)
    assert post(way.function, {"bucket": "events", "name": f"of-type-{kind}.jsonl"}, type=other).ok
    summary = way.summary(f"of-type-{kind}.jsonl", "")
    assert (summary["outcome"], f"of type {other}" in summary["message"]) == ("skipped", True)
    assert standin.ids() == {}


NO_OBJECT = [
    {},
    {"bucket": "events"},
    {"name": "x"},
    {"bucket": 1, "name": 2},
    [],
    "x",
    None,
    b"not JSON",
    {"bucket": "events", "name": "x", "generation": "latest"},
    {"bucket": "events", "name": "x", "generation": -1},
    {"bucket": "events", "name": ""},
    {"bucket": "", "name": "x"},
    {"bucket": "../o", "name": "x"},
]


@pytest.mark.parametrize("data", NO_OBJECT, ids=repr)
def test_an_event_that_names_no_object_is_never_delivered_again(standin: Standin, way: Way, data: Any) -> None:
    """An answer of 4xx or 5xx would have it come for a day."""
    before = len(way.function.log())
    answer = post(way.function, data)
    assert answer.status_code in {200, 204} or data == b"not JSON"
    if answer.ok:
        lines = way.function.process.wait_until(lambda: way.function.log()[before:] or None)
        assert [(line["kind"], line["severity"]) for line in lines] == [("bad trigger", "ERROR")]


NOWHERE = [
    {"bucket": "events", "name": "nowhere"},
    {"bucket": "events", "name": "../../up.jsonl"},
    {"bucket": "events", "name": "x", "generation": "123"},
    {"bucket": "another", "name": "nowhere"},
]


@pytest.mark.parametrize("data", NOWHERE, ids=repr)
def test_an_object_that_is_nowhere_is_gone(way: Way, data: dict[str, str]) -> None:
    source = f"gs://{data['bucket']}/{data['name']}"
    assert post(way.function, data).ok
    last = way.function.process.wait_until(
        lambda: next((line for line in way.function.log("import")[::-1] if line["source"] == source), None)
    )
    assert last["outcome"] == "gone"


# A transform


def test_a_transform_maps_drops_fans_out_and_fails_each_for_its_record_alone(standin: Standin, choosy_way: Way) -> None:
    rows = [{"order": n, "at": 1_700_000_000, "paid": n % 2} for n in range(100)]
    content = "\n".join(
        map(json.dumps, [*rows, {"heartbeat": 1}, {"fail": "Zoë"}, {"order": 1, "at": "now", "paid": 1}])
    )
    summary = choosy_way.put("orders.jsonl", content.encode())
    assert counts(summary) == ("done", 154, 150, 3, 1)
    assert [(reject["line"], reject["reason"][:40]) for reject in choosy_way.rejects(summary)] == [
        (102, "the transform raised ValueError: it is s"),
        (103, "has no usable time: it must be a number "),
        (103, "has no usable time: it must be a number "),
    ]
    assert len(standin.ids()) == 150


# Mixpanel away, and credentials refused


@pytest.mark.parametrize("fault", ["503", "cut_before", "html"])
def test_what_mixpanel_does_not_take_comes_again_until_it_does(standin: Standin, way: Way, fault: str) -> None:
    standin.faults(after=2, **{fault: 1.0})
    name = f"away-{fault}.jsonl"
    way.open()
    events = Events(6_000, "small", seed=9)
    generation = way.bucket.put(name, b"\n".join(events.records()))
    handed_back = way.summary(name, generation)
    assert (handed_back["outcome"], handed_back["severity"]) == ("handed back", "ERROR")
    assert handed_back["handed_back"] == handed_back["read"] - handed_back["imported"] > 0
    assert "Mixpanel could not take the events in time" in handed_back["reason"]
    assert handed_back["imported"] == len(standin.ids())
    standin.faults(**{fault: 0.0})
    way.bucket.wait_until_delivered()
    assert counts(way.summary(name, generation, "done")) == ("done", 6_000, 6_000, 0, 0)
    assert set(standin.ids()) == set(events.ids())
    assert way.bucket.deliveries()[0]["attempts"] > 1


def test_refused_credentials_keep_the_data_where_it_is_and_no_secret_is_told(
    standin: Standin, bucket: Bucket, start: Start
) -> None:
    account = {"MIXPANEL_SERVICE_ACCOUNT_USERNAME": USER, "MIXPANEL_SERVICE_ACCOUNT_SECRET": SECRET}
    function, said = start("secretive", **account, MIXPANEL_PROJECT_ID="17", LOG_LEVEL="DEBUG")
    way = Way(bucket, function)
    way.open()
    standin.faults(credentials=f"{USER}:another")
    generation = bucket.put("events.jsonl", b"\n".join([*TEN, b"null", SECRET[:4].encode()]))
    handed_back = way.summary("events.jsonl", generation)
    assert handed_back["outcome"] == "handed back"
    assert "rejected the service account (401): check MIXPANEL_SERVICE_ACCOUNT_USERNAME" in handed_back["reason"]
    (line, *_) = function.log("credentials")
    assert (line["severity"], line["status"], line["credentials"]) == ("ERROR", 401, "service account")
    standin.faults(credentials=f"{USER}:{SECRET}", fail_first={"status": 503, "requests": 1})
    bucket.wait_until_delivered()
    assert counts(way.summary("events.jsonl", generation, "done")) == ("done", 12, 10, 2, 0)
    standin.faults(fail_first={"status": "cut_before", "requests": 100})
    bucket.put("more.jsonl", event(11))
    function.process.wait_until(lambda: function.log("retry")[3:] or None)
    everything = said.read_text()
    assert "handed back" in everything
    assert "Traceback" in everything  # the framework's, of what was handed back
    for secret in (SECRET, requests.auth._basic_auth_str(USER, SECRET).removeprefix("Basic ")):
        assert secret not in everything


# The start

WRONG = {
    "no credentials": (
        {},
        "No Mixpanel credentials are set: set MIXPANEL_PROJECT_ID, MIXPANEL_SERVICE_ACCOUNT_USERNAME",
    ),
    "two kinds": (
        {"MIXPANEL_PROJECT_TOKEN": SECRET, "MIXPANEL_API_SECRET": SECRET},
        "MIXPANEL_PROJECT_TOKEN as well as MIXPANEL_API_SECRET are set: keep one kind of credentials",
    ),
    "half an account": (
        {"MIXPANEL_SERVICE_ACCOUNT_SECRET": SECRET, "MIXPANEL_PROJECT_ID": "17"},
        "A service account needs three settings, and MIXPANEL_SERVICE_ACCOUNT_USERNAME is not set",
    ),
    "a wrong number": (
        {"MIXPANEL_PROJECT_TOKEN": SECRET, "IMPORT_BATCH_EVENTS": "5000"},
        "IMPORT_BATCH_EVENTS is '5000': it must be a whole number from 1 to 2000.",
    ),
    "a transform that is not there": (
        {"MIXPANEL_PROJECT_TOKEN": SECRET, "IMPORT_TRANSFORM": "no_such_module:f"},
        "IMPORT_TRANSFORM is 'no_such_module:f', and importing no_such_module failed: ModuleNotFoundError",
    ),
}


def test_wrong_settings_stop_the_start_with_one_sentence_that_names_them() -> None:
    command = [Path(sys.executable).with_name("functions-framework"), "--target", "gcs_import"]
    with ExitStack() as running:
        started = {}
        for name, (settings, _) in WRONG.items():
            environment = {**processes.without_settings(os.environ), **settings}
            options = ["--source", ROOT / "main.py", "--host", "127.0.0.1", "--port", str(processes.free_port())]
            process = processes.Process([*command, *options], name=name, environment=environment)  # type: ignore[list-item]
            started[name] = running.enter_context(process)
        for name, (_, sentence) in WRONG.items():
            assert started[name].wait(30) == 1
            (said,) = started[name].tail.splitlines()
            assert said.startswith(f"The importer cannot start: {sentence}")
            assert SECRET not in said


def test_a_legacy_secret_is_taken_with_a_warning(start: Start) -> None:
    function, said = start("legacy", MIXPANEL_API_SECRET=SECRET)
    (line,) = function.log("settings")
    assert (line["severity"], "2027-03-03" in line["message"]) == ("WARNING", True)
    assert SECRET not in said.read_text()


# Many events


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("format_", ["ndjson", "array"])
def test_many_events_arrive_each_exactly_once(standin: Standin, way: Way, format_: Any, compress: bool) -> None:
    events = Events(20_000, seed=7, bad_share=0.002, format=format_)
    content = io.BytesIO()
    size = events.write(content, gzip=compress)
    bad = list(events.bad())
    summary = way.put("many", content.getvalue())
    assert counts(summary) == ("done", 20_000, 20_000 - len(bad), len(bad), 0)
    assert standin.ids() == dict.fromkeys(events.ids(), 1)
    first_line = 1 if format_ == "ndjson" else 2
    assert [reject["line"] for reject in way.rejects(summary)] == [number - 1 + first_line for number, _ in bad]
    assert (summary["requests"], summary["retried"]) == (standin.summary()["requests"], 0)
    assert size * 0.99 < summary["bytes"] <= size
    assert summary["sent_bytes"] == standin.summary()["wire_bytes"] < size / 3


def test_several_objects_at_once_are_each_accounted_for(standin: Standin, way: Way) -> None:
    way.open()
    files = {f"{n}.jsonl": Events(1_000, "small", seed=n, bad_share=0.01) for n in range(8)}
    generations = {name: way.bucket.put(name, b"\n".join(events.records())) for name, events in files.items()}
    way.bucket.wait_until_delivered(events=8)
    for name, events in files.items():
        bad = len(list(events.bad()))
        assert counts(way.summary(name, generations[name])) == ("done", 1_000, 1_000 - bad, bad, 0)
    assert set(standin.ids()) == set(itertools.chain.from_iterable(events.ids() for events in files.values()))
