"""What tools write, side by side in one bucket, through the function as it is deployed, with `auto` alone set."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.processes import Function
from tests.integration.test_gcs import QUICK, Way

SEGMENT = {
    "type": "track",
    "event": "Order Completed 🛒",
    "messageId": "m-1",
    "anonymousId": "a-1",
    "userId": 17,
    "timestamp": "2025-06-01T05:30:00.123+05:30",
    "properties": {"total": 12345678901234567890, "token": "secret", "tags": []},
    "integrations": {"All": True},
    "context": {"ip": "8.8.8.8", "page": {"url": "https://shop.example/pay"}},
}
GA4 = {
    "event_name": "page_view",
    "event_timestamp": 1748736000123456,
    "event_params": [{"key": "page_location", "value": {"string_value": "https://shop.example/"}}],
    "user_pseudo_id": "1234567.89",
    "user_id": None,
    "event_bundle_sequence_id": 17,
}
SNOWPLOW = {
    0: "shop",
    1: "web",
    3: "2025-06-01 00:00:01.5",
    5: "page_view",
    6: "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
    12: "u-1",
    15: "d-1",
}


SENT_OF_SEGMENT = {
    "event": "Order Completed 🛒",
    "properties": {
        "time": 1_748_736_000_123,
        "distinct_id": "17",
        "$user_id": "17",
        "$device_id": "a-1",
        "$insert_id": "m-1",
        "total": 12345678901234567890,
        "tags": [],
        "ip": "8.8.8.8",
        "$current_url": "https://shop.example/pay",
    },
}


@pytest.fixture(scope="module")
def auto(
    standin_process: processes.Service, bucket_process: processes.Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Function]:
    environment = {
        "MIXPANEL_API_URL": standin_process.url,
        "STORAGE_EMULATOR_HOST": bucket_process.url,
        "MIXPANEL_PROJECT_TOKEN": "any",
        "IMPORT_MAPPING": "auto",
        "IMPORT_REJECTS": "gs://events/kept/rejects",
    }
    said: Path = tmp_path_factory.mktemp("said") / "auto.txt"
    with processes.function("gcs_import", environment={**QUICK, **environment}, log=said) as function:
        yield function


def line_of_snowplow(end: bytes = b"\n") -> bytes:
    return "\t".join(SNOWPLOW.get(n, "") for n in range(131)).encode() + end


def parquet(*rows: dict[str, Any]) -> bytes:
    file = BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def taken(standin: Standin, identifier: str) -> dict[str, Any]:
    """The event of that `$insert_id` that the stand-in holds."""
    found = requests.get(f"{standin.url}/sandbox/events", timeout=10).json()
    event: dict[str, Any] = next(
        one["event"] for one in found if one["event"]["properties"]["$insert_id"] == identifier
    )
    return event


def counts(summary: dict[str, Any]) -> tuple[int, ...]:
    return tuple(summary[name] for name in ("read", "imported", "rejected", "dropped"))


def test_what_several_tools_write_is_told_apart_in_one_bucket(standin: Standin, bucket: Bucket, auto: Function) -> None:
    way = Way(bucket, auto)
    identify = {"type": "identify", "messageId": "m-2", "anonymousId": "a-1", "userId": "17"}
    archive = gzip.compress(b"\n".join(json.dumps(one).encode() for one in (SEGMENT, identify)))
    assert counts(way.put("segment-logs/a.gz", archive)) == (2, 1, 0, 1)
    extract = GA4 | {"event_timestamp": str(GA4["event_timestamp"]), "event_bundle_sequence_id": "17"}
    assert counts(way.put("ga4/000.json", json.dumps(extract).encode())) == (1, 1, 0, 0)
    before = standin.ids()
    assert counts(way.put("ga4/000.parquet", parquet(GA4))) == (1, 1, 0, 0)
    assert {name: count for name, count in standin.ids().items() if before.get(name) != count} == dict.fromkeys(
        before.keys() - {"m-1"}, 2
    )
    loaded = line_of_snowplow() + line_of_snowplow(b"\r\n") + line_of_snowplow(b"\t\n")
    assert counts(way.put("snowplow/output-0-of-1.txt", loaded)) == (3, 2, 1, 0)
    assert standin.ids()[SNOWPLOW[6]] == 2
    batch = {"mpid": 1, "batch_id": 1, "message_type": "events", "events": []}
    mixed = [extract, SEGMENT | {"messageId": "m-3"}, {"a": 1}, batch]
    assert counts(way.put("mixed.json", json.dumps(mixed).encode())) == (4, 2, 1, 1)
    assert taken(standin, "m-1") == SENT_OF_SEGMENT
    found = taken(standin, SNOWPLOW[6])
    assert (found["event"], found["properties"]["time"]) == ("page_view", 1_748_736_001_500)
    assert (found["properties"]["$user_id"], found["properties"]["$device_id"]) == ("u-1", "d-1")
    (identifier,) = before.keys() - {"m-1"}
    found = taken(standin, identifier)
    assert (found["event"], found["properties"]["time"]) == ("page_view", 1_748_736_000_123)
    assert found["properties"]["distinct_id"] == "$device:1234567.89"
    assert found["properties"]["$current_url"] == "https://shop.example/"
