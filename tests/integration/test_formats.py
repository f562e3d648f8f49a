"""Tables, as in production: whoever wrote a file, Mixpanel gets what is in it, value by value."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests

from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.pushes import wrapped
from tests.integration.written import WRITERS, rows

COUNT = 1_500


@pytest.fixture(scope="module")
def function(standin_process: processes.Service, bucket_process: processes.Service) -> Iterator[processes.Function]:
    settings = {
        "MIXPANEL_PROJECT_TOKEN": "any",
        "MIXPANEL_API_URL": standin_process.url,
        "STORAGE_EMULATOR_HOST": bucket_process.url,
    }
    with processes.function("gcs_import", environment=settings) as running:
        yield running


_is_moment = re.compile(r"(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d+Z?").fullmatch


def in_standin(standin: Standin) -> dict[str, Any]:
    """All that came, by its id; a number with a fraction as the decimal that was sent."""
    events = requests.get(f"{standin.url}/sandbox/events", params={"limit": 10_000}, timeout=60).text
    found = [one["event"] for one in json.loads(events, parse_float=Decimal)]
    assert all(event["properties"].pop("ip") == 0 for event in found)
    return {event["properties"]["$insert_id"]: event for event in found}


def difference(found: Any, wanted: Any) -> str:
    """Where two values differ in anything at all; empty if they do not."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        if found.keys() != wanted.keys():
            return f"members {sorted(found.keys() ^ wanted.keys())}"
        return next((f"{key}: {text}" for key in wanted if (text := difference(found[key], wanted[key]))), "")
    if isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        return next((text for pair in zip(found, wanted, strict=True) if (text := difference(*pair))), "")
    if isinstance(wanted, float) and not isinstance(found, str | bool):
        return "" if float(found) == wanted else f"{found!r}, not {wanted!r}"
    if isinstance(wanted, str) and isinstance(found, str) and _is_moment(found):
        found, wanted = found.rstrip("Z0"), wanted.rstrip("Z0")  # as many digits as there are, or as the unit has
    same_kind = type(found) is type(wanted) or (isinstance(wanted, Decimal) and type(found) is int)
    return "" if same_kind and found == wanted else f"{found!r}, not {wanted!r}"


@pytest.mark.parametrize("name", WRITERS)
def test_what_was_written_is_what_mixpanel_gets(
    name: str, function: processes.Function, standin: Standin, bucket: Bucket
) -> None:
    assert round_trip(name, rows(COUNT, seed=7), function, standin, bucket) == COUNT


def round_trip(
    name: str, table: list[dict[str, Any]], function: processes.Function, standin: Standin, bucket: Bucket
) -> int:
    """Imports a table, and gives how many of its rows are in the stand-in, each as it is to be."""
    write, in_mixpanel = WRITERS[name]
    bucket.send_events_to(function.url)
    bucket.put(name, write(table))
    bucket.wait_until_delivered(events=len(bucket.deliveries()))
    found = in_standin(standin)
    wanted = in_mixpanel(table)
    assert len(found) == len(wanted)
    for event in wanted:
        assert difference(found[event["properties"]["$insert_id"]], event) == ""
    return len(found)


@pytest.fixture(scope="module")
def pubsub_import(standin_process: processes.Service) -> Iterator[processes.Function]:
    settings = {"MIXPANEL_PROJECT_TOKEN": "any", "MIXPANEL_API_URL": standin_process.url}
    with processes.function("pubsub_import", environment=settings) as running:
        yield running


def push(pubsub_import: processes.Function, data: bytes) -> int:
    headers = {"Content-Type": "application/json"}
    return requests.post(pubsub_import.url, data=wrapped(data), headers=headers, timeout=60).status_code


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("packed", [False, True], ids=["", "gzipped"])
def test_a_message_can_be_a_whole_table(
    name: str, packed: bool, pubsub_import: processes.Function, standin: Standin
) -> None:
    write, in_mixpanel = WRITERS[name]
    table = rows(300, seed=9)
    data = write(table)
    assert push(pubsub_import, gzip.compress(data) if packed else data) == 204
    if packed and name.endswith(".parquet"):  # which is read from its end
        pubsub_import.process.wait_until(
            lambda: any("Parquet within gzip" in line for line in pubsub_import.lines) or None
        )
        return
    found = in_standin(standin)
    for event in in_mixpanel(table):
        assert difference(found.pop(event["properties"]["$insert_id"]), event) == ""
    assert not found


@pytest.mark.parametrize(
    ("name", "least", "told"),
    [
        ("by-pyarrow.parquet", 0, "the Parquet file cannot be read"),
        ("by-fastavro.avro", 500, "the Avro file breaks off"),
    ],
)
def test_a_table_that_breaks_off_is_one_reject_beside_what_can_be_read(
    name: str, least: int, told: str, pubsub_import: processes.Function, standin: Standin
) -> None:
    data = WRITERS[name][0](rows(2_000, seed=3))
    assert push(pubsub_import, data[: len(data) * 2 // 3]) == 204
    pubsub_import.process.wait_until(lambda: any(told in line for line in pubsub_import.lines) or None)
    assert least <= len(standin.ids()) < 2_000
