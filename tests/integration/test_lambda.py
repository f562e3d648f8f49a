"""S3 to Mixpanel as on AWS: a bucket tells a queue, Amazon's own runtime client runs the handler and answers."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from importer.core.rejects.reject import Reject
from importer.storage.store import store
from sandbox import vendors
from sandbox.aws.clients import Cloud
from sandbox.aws.function import CallError, Function
from sandbox.aws.poller import Poller
from sandbox.clients import Standin
from sandbox.events import Events
from sandbox.processes import ROOT, Service, without_settings

OWN = {"IMPORT_REJECTS": "s3://events-state/rejects", "IMPORT_CHECKPOINTS": "s3://events-state/checkpoints"}
QUICK = {"IMPORT_BACKOFF": "0.05", "IMPORT_RETRY_SECONDS": "0.3"}


@pytest.fixture(scope="module")
def environment(standin_process: Service, cloud_process: Service) -> dict[str, str]:
    places = {"MIXPANEL_API_URL": standin_process.url, "MIXPANEL_PROJECT_TOKEN": "demo"}
    return {**Cloud(cloud_process.url).environment, **places, **OWN, **QUICK}


@pytest.fixture(scope="module")
def shared(environment: dict[str, str]) -> Iterator[Function]:
    """A function that several tests use: it finds out by itself what a record is."""
    with Function({**environment, "IMPORT_MAPPING": "auto"}) as function:
        yield function


@pytest.fixture
def function(shared: Function, cloud: Cloud) -> Iterator[Function]:
    """The same, called with what the queue holds."""
    shared.lines.clear()
    with Poller(cloud, shared, batch=10):
        yield shared


def announces(key: str, etag: str | None = None) -> dict[str, Any]:
    """A notification of S3's."""
    told = {"bucket": {"name": "events"}, "object": {"key": key, "eTag": etag}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": told}]}


def rejects(cloud: Cloud) -> list[Reject]:
    """The rejects that are kept, in the order they were written."""
    lines = [row for key in cloud.keys(prefix="rejects/") for row in gzip.decompress(cloud.get(key)).splitlines()]
    return [msgspec.json.decode(line, type=Reject) for line in lines]


def mended(reject: Reject) -> bytes:
    """What keeps a reject, with a good event in its place."""
    good = msgspec.structs.replace(reject, event=LINES[0].replace("i-0", "mended"))
    return gzip.compress(msgspec.json.encode(good))


def outcomes(function: Function, cloud: Cloud, count: int) -> dict[str, dict[str, Any]]:
    """The line of the log about each object, by its key, once there are as many."""
    deadline = time.monotonic() + 60
    while len(lines := function.log("import")) < count:
        assert time.monotonic() < deadline, function.lines
        time.sleep(0.02)
    cloud.wait_until_empty()
    return {line["source"].removeprefix(f"s3://{cloud.bucket}/").rpartition("#")[0]: line for line in lines}


def test_an_object_that_is_written_is_imported_whatever_its_key(
    function: Function, cloud: Cloud, standin: Standin
) -> None:
    events = Events(500, "small", seed=3, bad_share=0.01)
    content = b"\n".join(events.records())
    key = "a b/ü+%41 (1).jsonl"
    etag = cloud.put(key, content)
    [line] = outcomes(function, cloud, 1).values()
    bad = len([*events.bad()])
    assert (line["source"], line["outcome"]) == (f"s3://events/{key}#{etag}", "done")
    assert (line["read"], line["imported"], line["rejected"], line["handed_back"]) == (500, 500 - bad, bad, 0)
    assert standin.ids().keys() == {*events.ids()}
    assert [reject.line for reject in rejects(cloud)] == [number for number, _ in events.bad()]
    assert cloud.waiting(cloud.dead_letters) == 0


def test_a_second_delivery_of_a_finished_object_ends_at_once(
    function: Function, cloud: Cloud, standin: Standin
) -> None:
    content = b"\n".join(Events(500, "small", seed=4).records())
    etag = cloud.put("file", content)
    outcomes(function, cloud, 1)
    read, sent = cloud.read()["file"], standin.summary()["requests"]
    cloud.send(json.dumps(announces("file", etag)))
    outcomes(function, cloud, 2)
    assert [line["outcome"] for line in function.log("import")] == ["done", "skipped"]
    assert (cloud.read()["file"], standin.summary()["requests"]) == (read, sent)


ROWS = [
    {
        "event": f"E{number}",
        "time": 1_748_736_000_000 + number,
        "distinct_id": f"u{number}",
        "$insert_id": f"i-{number}",
    }
    for number in range(300)
]
LINES = [
    json.dumps({"event": row["event"], "properties": {k: v for k, v in row.items() if k != "event"}}) for row in ROWS
]


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file, row_group_size=100)
    return file.getvalue()


def avro() -> bytes:
    file = io.BytesIO()
    fields = [{"name": name.replace("$", ""), "type": "long" if name == "time" else "string"} for name in ROWS[0]]
    rows = [{name.replace("$", ""): value for name, value in row.items()} for row in ROWS]
    fastavro.writer(file, {"type": "record", "name": "row", "fields": fields}, rows)
    return file.getvalue()


def csv() -> bytes:
    file = io.BytesIO()
    pc.write_csv(pa.Table.from_pylist(ROWS), file)
    return file.getvalue()


FORMATS: dict[str, Callable[[], bytes]] = {
    "lines": lambda: "\n".join(LINES).encode(),
    "lines, gzipped": lambda: gzip.compress("\n".join(LINES).encode()),
    "an array": f"[{','.join(LINES)}]".encode,
    "CSV": csv,
    "Parquet": parquet,
    "Avro": avro,
}


def test_every_format_is_read_out_of_s3(function: Function, cloud: Cloud, standin: Standin) -> None:
    for name, content in FORMATS.items():
        cloud.put(f"{name}", content())
    lines = outcomes(function, cloud, len(FORMATS))
    assert {name: (line["outcome"], line["imported"]) for name, line in lines.items()} == dict.fromkeys(
        FORMATS, ("done", len(ROWS))
    )
    assert set(standin.ids().values()) == {len(FORMATS)}


def test_every_mapping_is_at_home_there(
    function: Function, environment: dict[str, str], cloud: Cloud, standin: Standin
) -> None:
    for vendor in vendors.VENDORS:
        cloud.put(vendor, b"\n".join(vendors.records(vendor, 200)))
    lines = outcomes(function, cloud, len(vendors.VENDORS))
    # Rows of Heap's have no name in them, so only a setting says what they are.
    assert [name for name, line in lines.items() if line["rejected"] or not line["imported"]] == ["heap"]
    assert standin.summary()["received"] == sum(line["imported"] for line in lines.values())
    with Function({**environment, "IMPORT_MAPPING": "heap", "IMPORT_CHECKPOINTS": ""}) as set_to_heap:
        assert set_to_heap.call(announces("heap")) is None
        [line] = outcomes(set_to_heap, cloud, 1).values()
    assert (line["imported"], line["rejected"]) == (200, 0)


def test_messages_are_imported_like_those_of_pub_sub(function: Function, cloud: Cloud, standin: Standin) -> None:
    for start in range(0, 300, 30):
        cloud.send("\n".join(LINES[start : start + 30]))
    cloud.send('{"event": "no time"}')
    cloud.wait_until_empty()
    assert len(standin.ids()) == 300
    lines = function.log("import")
    assert {line["source"] for line in lines} == {cloud.queue_arn}
    assert (sum(line["read"] for line in lines), sum(line["rejected"] for line in lines)) == (301, 1)
    assert [key.split("/")[2] for key in cloud.keys(prefix="rejects/")] == ["messages"]


def test_what_never_can_be_settled_becomes_a_dead_letter_and_holds_nothing_up(
    function: Function, cloud: Cloud, standin: Standin
) -> None:
    redrive = {"deadLetterTargetArn": f"{cloud.queue_arn}-dead-letters", "maxReceiveCount": 2}
    policy = {"RedrivePolicy": json.dumps(redrive)}
    cloud.sqs.set_queue_attributes(QueueUrl=cloud.queue, Attributes=policy)
    poisoned = json.dumps({"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {}, "object": {}}}]})
    cloud.send(poisoned)
    cloud.put("file", "\n".join(LINES).encode())
    cloud.wait_until_empty()
    assert len(standin.ids()) == 300
    [dead] = cloud.sqs.receive_message(QueueUrl=cloud.dead_letters)["Messages"]
    assert dead["Body"] == poisoned
    assert {line["message"].rpartition(": ")[2] for line in function.log("bad trigger")} == {
        "it names no bucket and key"
    }


def test_a_big_object_goes_on_through_the_queue_until_it_is_done(
    environment: dict[str, str], cloud: Cloud, standin: Standin
) -> None:
    """More deliveries than make a dead letter of a message: each that gets on begins to count anew."""
    redrive = {"deadLetterTargetArn": f"{cloud.queue_arn}-dead-letters", "maxReceiveCount": 2}
    cloud.sqs.set_queue_attributes(QueueUrl=cloud.queue, Attributes={"RedrivePolicy": json.dumps(redrive)})
    standin.faults(latency=0.25)
    events = Events(4_000, "small", seed=5)
    cloud.put("big", b"\n".join(events.records()))
    slow = {**environment, "IMPORT_BATCH_EVENTS": "100", "IMPORT_CONCURRENCY": "2"}
    with Function(slow, seconds=3) as function, Poller(cloud, function) as poller:
        outcomes(function, cloud, 3)
        deadline = time.monotonic() + 60
        while function.log("import")[-1]["outcome"] != "done":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        cloud.wait_until_empty()
    assert standin.ids().keys() == {*events.ids()}
    assert sum(count - 1 for count in standin.ids().values()) < 1_000
    assert len(function.log("import")) > 2
    assert all(answer == {"batchItemFailures": []} for answer in poller.answers)
    assert cloud.waiting(cloud.dead_letters) == 0


def test_a_wrong_setting_stops_the_start_with_its_sentence(environment: dict[str, str], cloud: Cloud) -> None:
    sentence = "The importer cannot start: IMPORT_CONCURRENCY is 'no number'"
    wrong = {**environment, "IMPORT_CONCURRENCY": "no number"}
    with Function(wrong) as function, pytest.raises(CallError, match=sentence):
        function.call({"Records": []})


def test_credentials_come_from_the_secret_and_a_new_one_is_taken_after_a_failure(
    environment: dict[str, str], cloud: Cloud, standin: Standin
) -> None:
    secrets = cloud.client("secretsmanager")
    account = {
        "MIXPANEL_PROJECT_ID": "7",
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME": "u",
        "MIXPANEL_SERVICE_ACCOUNT_SECRET": "old",
    }
    arn = secrets.create_secret(Name="mixpanel", SecretString=json.dumps(account))["ARN"]
    given = {name: value for name, value in environment.items() if name != "MIXPANEL_PROJECT_TOKEN"}
    called = announces("file")
    cloud.put("file", "\n".join(LINES).encode())
    standin.faults(credentials="u:new")
    with Function({**given, "MIXPANEL_SECRET_ARN": arn}) as function:
        with pytest.raises(CallError, match=r"HandedBack: Mixpanel rejected the service account"):
            function.call(called)
        secrets.put_secret_value(
            SecretId=arn, SecretString=json.dumps(account | {"MIXPANEL_SERVICE_ACCOUNT_SECRET": "new"})
        )
        assert function.call(called) is None
        assert function.starts == 1
    assert len(standin.ids()) == 300
    with (
        Function({**given, "MIXPANEL_SECRET_ARN": f"{arn}-nothing"}) as function,
        pytest.raises(CallError, match=r"The importer cannot start: MIXPANEL_SECRET_ARN names a secret that cannot be"),
    ):
        function.call(called)


def test_commands_take_addresses_of_s3(environment: dict[str, str], cloud: Cloud, standin: Standin) -> None:
    """Check, import, reconcile, backfill and replay: places, receipts, leases and rejects all lie there."""

    def run(*words: str, code: int = 0, is_json: bool = True) -> dict[str, Any]:
        everything = {**without_settings(os.environ), **environment}
        command = [sys.executable, "-m", "importer", *words, *["--json"] * is_json]
        done = subprocess.run(
            command, cwd=ROOT, env=everything, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == code, done.stderr
        found: dict[str, Any] = json.loads(done.stdout) if is_json else {}
        return found

    for day in ("01", "02", "03"):
        lines = LINES if day == "01" else [line.replace("i-", f"{day}-") for line in LINES]
        cloud.put(f"in/2025/06/{day}/x", "\n".join(lines + ["{bad"] * (day == "03")).encode())
    run("check", "s3://events/in/", is_json=False)
    assert run("import", "s3://events/in/2025/06/01/")["total"]["imported"] == 300
    assert run("reconcile", "s3://events/in/", "--min-age", "0", code=1)["missing"] == [
        entry.source
        for entry in store("s3://events/").entries("s3://events/in/2025/06/0")
        if "/01/" not in entry.address
    ]
    assert run("backfill", "s3://events/in/", "--yes", code=1)["total"]["imported"] == 600  # 1: one is rejected
    assert run("import", "s3://events/in/2025/**")["total"]["read"] == 0
    assert [reject.line for reject in rejects(cloud)] == [301]
    cloud.s3.put_object(Bucket=cloud.state, Key=cloud.keys(prefix="rejects/")[0], Body=mended(rejects(cloud)[0]))
    run("replay", "s3://events-state/rejects/", is_json=False)
    assert len(standin.ids()) == 901
