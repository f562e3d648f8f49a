"""What monitoring/ counts, draws and watches is held against what the functions really log."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.clients import Bucket, Standin
from tests.conftest import StartFunction

MONITORING = Path(__file__).parents[2] / "monitoring"
FIELDS: dict[str, list[str]] = json.loads((MONITORING / "fields.json").read_text())
"""The kinds of log lines that monitoring/ relies on, and the fields they have."""

METRICS = {file.stem: json.loads(file.read_text()) for file in sorted((MONITORING / "metrics").glob("*.json"))}
ALERTS = {file.stem: json.loads(file.read_text()) for file in sorted((MONITORING / "alerts").glob("*.json"))}
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())

Line = dict[str, Any]


def texts(content: Any) -> Iterator[str]:
    """All texts in a piece of JSON."""
    match content:
        case str():
            yield content
        case list():
            for one in content:
                yield from texts(one)
        case dict():
            for one in content.values():
                yield from texts(one)


# ── The real lines ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lines(standin: Standin, bucket: Bucket, function: StartFunction) -> list[Line]:
    """What `gcs_import` logs of a good object, a bad one, one that is not for it, a retry and refused credentials."""
    good = b'{"event":"Seen","properties":{"time":1735689600,"distinct_id":"u1","$insert_id":"a"}}\n'
    importing = function("gcs_import", IMPORT_EXCLUDE="not-this/*", IMPORT_BACKOFF="0.05")
    bucket.send_events_to(importing.url)
    standin.faults(fail_first={"requests": 1, "status": 429})
    bucket.put("good.jsonl", good)
    bucket.put("bad.jsonl", good + b"no json\n")
    bucket.put("not-this/good.jsonl", good)
    bucket.wait_until_delivered(3)
    standin.faults(unauthorized=True)
    bucket.put("refused.jsonl", good)
    importing.process.wait_until(lambda: importing.log("credentials") or None)
    importing.process.wait_until(lambda: [one for one in importing.log("import") if "refused" in one["source"]] or None)
    bucket.send_events_to(None)
    return [line for line in importing.log() if "kind" in line]


def test_the_functions_log_the_fields_that_monitoring_relies_on(lines: list[Line]) -> None:
    for kind, fields in FIELDS.items():
        found = [line for line in lines if line["kind"] == kind]
        assert found, f"no line of the kind {kind} was logged"
        assert set().union(*found) == set(fields), kind
        for line in found:
            assert {"severity", "message", "kind"} <= set(line) <= set(fields)
    outcomes = {
        line["source"].split("#")[0].split("/", 3)[3]: line["outcome"] for line in lines if line["kind"] == "import"
    }
    assert outcomes == {
        "good.jsonl": "done",
        "bad.jsonl": "done",
        "not-this/good.jsonl": "skipped",
        "refused.jsonl": "handed back",
    }


def test_the_summary_of_messages_has_the_same_fields(standin: Standin, function: StartFunction) -> None:
    importing = function("pubsub_import")
    event = b'{"event":"Seen","properties":{"time":1735689600,"distinct_id":"u1","$insert_id":"a"}}'
    push = {
        "message": {"data": base64.b64encode(event).decode(), "messageId": "1", "publishTime": "2025-01-01T00:00:00Z"},
        "subscription": "projects/my-project/subscriptions/mixpanel-messages",
    }
    assert requests.post(importing.url, json=push, timeout=10).status_code == 204

    importing.process.stop()

    (summary,) = importing.log("import")
    assert set(summary) == set(FIELDS["import"]) - {"reason"}
    assert (summary["outcome"], summary["imported"]) == ("done", 1)


def test_what_metrics_take_out_of_a_line_is_a_number(lines: list[Line]) -> None:
    summaries = [line for line in lines if line["kind"] == "import" and line["outcome"] == "done"]

    for metric in METRICS.values():
        if "valueExtractor" in metric:
            field = metric["valueExtractor"].removeprefix("EXTRACT(jsonPayload.").removesuffix(")")
            assert all(isinstance(line[field], int | float) for line in summaries), field


def test_refused_credentials_are_an_error(lines: list[Line]) -> None:
    assert {line["severity"] for line in lines if line["kind"] == "credentials"} == {"ERROR"}


# ── The files ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_counts_fields_that_there_are(name: str) -> None:
    metric = METRICS[name]
    kinds = re.findall(r'jsonPayload\.kind="(\w+)"', metric["filter"])
    fields = re.findall(r"jsonPayload\.(\w+)", " ".join(texts(metric)))

    assert len(kinds) == 1
    assert set(fields) <= set(FIELDS[kinds[0]])
    labels = {label["key"] for label in metric["metricDescriptor"].get("labels", [])}
    assert labels == set(metric.get("labelExtractors", {}))
    assert metric["metricDescriptor"]["valueType"] == ("DISTRIBUTION" if "valueExtractor" in metric else "INT64")


@pytest.mark.parametrize("content", [DASHBOARD, *ALERTS.values()], ids=["dashboard", *ALERTS])
def test_dashboard_and_alerts_ask_for_metrics_and_kinds_that_there_are(content: Any) -> None:
    for text in texts(content):
        for name, suffix in re.findall(r"logging_googleapis_com:user_{{METRIC}}_(\w+?)(_sum|_count|_bucket)?{", text):
            distribution = METRICS[name]["metricDescriptor"]["valueType"] == "DISTRIBUTION"
            assert bool(suffix) == distribution, name
        for kinds in re.findall(r"jsonPayload\.kind=\(?([^)]+)", text):
            assert set(re.findall(r'"(\w+)"', kinds)) <= set(FIELDS)


def test_every_metric_is_looked_at() -> None:
    looked_at = " ".join([*texts(DASHBOARD), *texts(ALERTS)])

    assert [name for name in METRICS if f"user_{{{{METRIC}}}}_{name}" not in looked_at] == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_to_do(name: str) -> None:
    documentation = ALERTS[name]["documentation"]["content"]

    assert re.search(r"^1\. .+\n2\. .+\n3\. ", documentation, flags=re.MULTILINE)
    assert "docs/operations.md" in documentation or "alert" in documentation


def test_the_alerts_are_those_that_somebody_must_hear_of() -> None:
    assert set(ALERTS) == {
        "rejects", "no-imports-files", "no-imports-messages", "silence", "old-messages", "credentials-refused",
        "dead-letters", "errors", "cannot-start", "instances-at-limit", "trigger-changed",
    }  # fmt: skip


def test_nothing_is_left_unfilled_that_deploy_does_not_fill_in() -> None:
    script = (MONITORING.parent / "deploy/texts.sh").read_text()
    filled = set(re.findall(r"s\|{{(\w+)}}\|", script))

    placeholders = {name for file in MONITORING.rglob("*.json") for name in re.findall(r"{{(\w+)}}", file.read_text())}

    assert placeholders <= filled
