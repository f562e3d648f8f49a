"""The alerts' queries and filters, evaluated: on made-up series by promtool, on made-up entries by `log_filter`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox import processes
from tests.deploy.cloud import PROJECT, ROOT
from tests.deploy.log_filter import matches

MONITORING = ROOT / "monitoring"
NAMES = {
    "NAME": "mixpanel",
    "METRIC": "mixpanel",
    "PROJECT": PROJECT,
    "STATE_BUCKET": "state",
    "REGION": "europe-west1",
    "LOCATION": "eu",
    "TOPIC": "my-topic",
    "SILENCE": "6",
    "FILES_INSTANCES": "12",
    "MESSAGES_INSTANCES": "10",
    "STAMP": "s",
    "ETAG": "e",
}


def rendered(file: Path, **names: str) -> Any:
    return json.loads(re.sub(r"{{(\w+)}}", lambda found: (NAMES | names)[found[1]], file.read_text()))


ALERTS = {file.stem: rendered(file) for file in sorted((MONITORING / "alerts").glob("*.json"))}
QUERIES = {
    name: condition["conditionPrometheusQueryLanguage"]
    for name, alert in ALERTS.items()
    for condition in alert["conditions"]
    if "conditionPrometheusQueryLanguage" in condition
}


def need_promtool() -> None:
    """Without promtool the test is skipped, except on CI, where `make tools` has brought it."""
    if not shutil.which("promtool") and os.environ.get("CI") != "true":
        pytest.skip("promtool is not installed: install Debian's package prometheus to evaluate the alerts' queries")


def fires(folder: Path, name: str, hours: float, **series: str) -> bool:
    """Whether an alert fires after so many hours of these series (`user_read_sum{…}`: `0+100x60`, a value a minute)."""
    need_promtool()
    query = QUERIES[name]
    rule = {"alert": "it", "expr": query["query"], "for": query["duration"]}
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "interval": "1m", "rules": [rule]}]}))
    at = f"{round(hours * 60)}m"
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": SERIES[key], "values": values} for key, values in series.items()],
                "alert_rule_test": [{"eval_time": at, "alertname": "it", "exp_alerts": []}],
            }
        ],
    }
    (folder / "test.yml").write_text(json.dumps(test))
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert "FAILED" in done.stdout + done.stderr or "SUCCESS" in done.stdout, done.stdout + done.stderr
    assert "error" not in (done.stdout + done.stderr).lower(), done.stdout + done.stderr
    return done.returncode != 0


def _ours(metric: str, service: str, name: str = "mixpanel") -> str:
    labels = f'monitored_resource="cloud_run_revision",service_name="{name}-{service}",outcome="done"'
    return f"logging_googleapis_com:user_{name.replace('-', '_')}_{metric}{{{labels}}}"


def _run(metric: str, service: str, more: str, name: str = "mixpanel") -> str:
    return (
        f'run_googleapis_com:{metric}{{monitored_resource="cloud_run_revision",service_name="{name}-{service}",{more}}}'
    )


def _pushes(subscription: str) -> str:
    return f'pubsub_googleapis_com:subscription_push_request_count{{subscription_id="{subscription}"}}'


SERIES = {
    "read": _ours("read_sum", "files"),
    "rejected": _ours("rejected_sum", "files"),
    "imported": _ours("imported_sum", "files"),
    "dropped": _ours("dropped_sum", "files"),
    "nothing": _ours("nothing_to_import", "files"),
    "imported_messages": _ours("imported_sum", "messages"),
    "dropped_messages": _ours("dropped_sum", "messages"),
    "pushed": _pushes("eventarc-eu-mixpanel-files-123456-sub-789"),
    "notified": _pushes("mixpanel-files"),
    "pushed_messages": _pushes("mixpanel-messages"),
    "pushed_of_another": _pushes("eventarc-eu-staging-mixpanel-files-123456-sub-789"),
    "failed": _run("request_count", "files", 'response_code_class="5xx"'),
    "answered": _run("request_count", "files", 'response_code_class="2xx"'),
    "failed_of_another": _run("request_count", "files", 'response_code_class="5xx"', "staging-mixpanel"),
    "instances": _run("container_instance_count", "files", 'state="active"'),
    "idle": _run("container_instance_count", "files", 'state="idle"'),
    "instances_messages": _run("container_instance_count", "messages", 'state="active"'),
    "rejected_of_another": _ours("rejected_sum", "files", "staging-mixpanel"),
    "read_of_another": _ours("read_sum", "files", "staging-mixpanel"),
}

CASES = {
    "2 % of many rejected": ("rejects", True, {"read": "0+1000x60", "rejected": "0+20x60"}),
    "half a percent rejected": ("rejects", False, {"read": "0+1000x60", "rejected": "0+5x60"}),
    "half of very few rejected": ("rejects", False, {"read": "0+2x60", "rejected": "0+1x60"}),
    "another importer's rejects": (
        "rejects",
        False,
        {"read_of_another": "0+1000x60", "rejected_of_another": "0+900x60", "read": "0+1000x60", "rejected": "0+0x60"},
    ),
    "objects delivered, none imported": ("no-imports-files", True, {"pushed": "0+5x120"}),
    "announced, none imported": ("no-imports-files", True, {"notified": "0+5x120", "imported": "7+0x120"}),
    "objects delivered and imported": ("no-imports-files", False, {"pushed": "0+5x120", "imported": "0+900x120"}),
    "empty and skipped objects alone": ("no-imports-files", False, {"pushed": "0+5x120", "nothing": "0+5x120"}),
    "empty objects, and one that fails": ("no-imports-files", True, {"pushed": "0+6x120", "nothing": "0+5x120"}),
    "all of it dropped on purpose": ("no-imports-files", False, {"pushed": "0+5x120", "dropped": "0+900x120"}),
    "messages imported, objects not": ("no-imports-files", True, {"pushed": "0+5x120", "imported_messages": "0+9x120"}),
    "objects of another importer": ("no-imports-files", False, {"pushed_of_another": "0+5x120"}),
    "nothing at all": ("no-imports-files", False, {"imported": "5+0x120"}),
    "messages delivered, none imported": (
        "no-imports-messages",
        True,
        {"pushed_messages": "0+500x120", "imported": "0+9x120"},
    ),
    "messages delivered and imported": (
        "no-imports-messages",
        False,
        {"pushed_messages": "0+500x120", "imported_messages": "0+500x120"},
    ),
    "messages dropped on purpose": (
        "no-imports-messages",
        False,
        {"pushed_messages": "0+5x120", "dropped_messages": "0+5x120"},
    ),
    "silence": ("silence", True, {"imported": "900+0x600", "imported_messages": "0+0x600"}),
    "no silence": ("silence", False, {"imported": "900+0x600", "imported_messages": "0+1x600"}),
    "most requests fail": ("errors", True, {"failed": "0+9x60", "answered": "0+1x60"}),
    "few requests fail": ("errors", False, {"failed": "0+1x60", "answered": "0+9x60"}),
    "one request in an hour fails": ("errors", False, {"failed": "0+0x30 1+0x30", "answered": "0+0x60"}),
    "another importer's requests fail": ("errors", False, {"failed_of_another": "0+9x60", "answered": "0+9x60"}),
    "all instances busy": ("instances-at-limit", True, {"instances": "12+0x120"}),
    "all of the other's instances busy": (
        "instances-at-limit",
        True,
        {"instances": "1+0x120", "instances_messages": "10+0x120"},
    ),
    "instances idle": ("instances-at-limit", False, {"instances": "5+0x120", "idle": "12+0x120"}),
    "all busy for a moment": ("instances-at-limit", False, {"instances": "12+0x30 3+0x90"}),
}
HOURS = {"silence": 9.0, "no-imports-files": 1.9, "no-imports-messages": 1.9, "instances-at-limit": 1.5}


@pytest.mark.parametrize(("name", "expected", "series"), CASES.values(), ids=CASES)
def test_an_alert_fires_when_it_should_and_only_then(
    tmp_path: Path, name: str, expected: bool, series: dict[str, str]
) -> None:
    assert fires(tmp_path, name, HOURS.get(name, 0.9), **series) is expected


def test_every_query_of_an_alert_is_tried_both_ways() -> None:
    tried = {(name, expected) for name, expected, _ in CASES.values()}

    assert tried == {(name, expected) for name in QUERIES for expected in (True, False)}


def test_an_alert_with_a_query_has_no_other_condition() -> None:
    """Google allows one: https://cloud.google.com/monitoring/promql/promql-in-alerting."""
    assert {len(ALERTS[name]["conditions"]) for name in QUERIES} == {1}


def test_the_dashboards_queries_are_understood_and_find_what_is_there(tmp_path: Path) -> None:
    need_promtool()
    dashboard = rendered(MONITORING / "dashboard.json")
    queries = re.findall(r'"prometheusQuery": (".*?[^\\]")', json.dumps(dashboard))
    rules = [{"record": f"q{number}", "expr": json.loads(query)} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))

    done = subprocess.run(
        ["promtool", "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert len(rules) > 15
    assert done.returncode == 0, done.stdout + done.stderr


# ── Filters ───────────────────────────────────────────────────────────────────────────────────────────────────────


def subscriptions_of(alert: str) -> list[str]:
    filters = [condition["conditionThreshold"]["filter"] for condition in ALERTS[alert]["conditions"]]
    return [found for text in filters for found in re.findall(r'full_match\("(.*?)"\)', text)]


@pytest.mark.parametrize(
    ("alert", "ours"),
    [
        ("old-messages", {"mixpanel-messages", "mixpanel-files", "eventarc-eu-mixpanel-files-123456-sub-789"}),
        ("dead-letters", {"mixpanel-messages-dead-letters", "mixpanel-files-dead-letters"}),
    ],
)
def test_names_that_contain_one_another_do_not_raise_each_others_alarms(alert: str, ours: set[str]) -> None:
    parts = ["messages", "files", "messages-dead-letters", "files-dead-letters"]
    names = {
        f"{name}-{part}"
        for name in ("mixpanel", "staging-mixpanel", "mixpanel-staging", "mixpanel-files")
        for part in parts
    }
    names |= {
        f"eventarc-eu-{name}-files-123456-sub-789" for name in ("mixpanel", "staging-mixpanel", "mixpanel-staging")
    }

    assert {name for name in names for pattern in subscriptions_of(alert) if re.fullmatch(pattern, name)} == ours


def entry(service: str = "mixpanel-files", **content: Any) -> dict[str, Any]:
    return {
        "resource": {"type": "cloud_run_revision", "labels": {"service_name": service}},
        "severity": "DEFAULT",
        **content,
    }


def alarm(name: str) -> str:
    (condition,) = ALERTS[name]["conditions"]
    text: str = condition["conditionMatchedLog"]["filter"]
    return text


def test_what_a_function_says_that_cannot_start_raises_an_alarm(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with (
        pytest.raises(processes.ProcessError) as failure,
        processes.function(
            "gcs_import", environment={"MIXPANEL_PROJECT_TOKEN": "t", "IMPORT_CONCURRENCY": "many"}, log=said
        ),
    ):
        pass
    (line,) = [line for line in str(failure.value).splitlines() if "IMPORT_CONCURRENCY" in line]

    assert matches(alarm("cannot-start"), entry(textPayload=line))
    assert not matches(alarm("cannot-start"), entry("staging-mixpanel-files", textPayload=line))
    assert not matches(alarm("cannot-start"), entry(textPayload="all is well"))
    assert matches(alarm("cannot-start"), entry(protoPayload={"status": {"message": "The container failed to start."}}))


def audit(method: str, resource: str, **request: Any) -> dict[str, Any]:
    return {
        "logName": f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2Factivity",
        "protoPayload": {"methodName": method, "resourceName": resource, "request": request},
    }


SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/eventarc-eu-mixpanel-files-123456-sub-789"
UPDATE = "google.pubsub.v1.Subscriber.UpdateSubscription"
AUDIT = {
    "its trigger was made anew": (True, audit("google.pubsub.v1.Subscriber.CreateSubscription", SUBSCRIPTION)),
    "its subscription was deleted": (
        True,
        audit("google.pubsub.v1.Subscriber.DeleteSubscription", f"projects/{PROJECT}/subscriptions/mixpanel-messages"),
    ),
    "its dead letters were taken away": (
        True,
        audit(UPDATE, SUBSCRIPTION, updateMask="deadLetterPolicy,ackDeadlineSeconds", subscription={"name": "s"}),
    ),
    "its dead letters were set": (
        False,
        audit(
            UPDATE,
            SUBSCRIPTION,
            updateMask="deadLetterPolicy",
            subscription={"deadLetterPolicy": {"deadLetterTopic": "t"}},
        ),
    ),
    "its deadline was changed": (False, audit(UPDATE, SUBSCRIPTION, updateMask="ackDeadlineSeconds", subscription={})),
    "the topic was deleted": (
        True,
        audit("google.pubsub.v1.Publisher.DeleteTopic", f"projects/{PROJECT}/topics/my-topic"),
    ),
    "another topic was deleted": (
        False,
        audit("google.pubsub.v1.Publisher.DeleteTopic", f"projects/{PROJECT}/topics/other-my-topic"),
    ),
    "another importer's was deleted": (
        False,
        audit("google.pubsub.v1.Subscriber.DeleteSubscription", SUBSCRIPTION.replace("-mixpanel", "-staging-mixpanel")),
    ),
}


@pytest.mark.parametrize(("expected", "logged"), AUDIT.values(), ids=AUDIT)
def test_a_trigger_that_lost_something_raises_an_alarm(expected: bool, logged: dict[str, Any]) -> None:
    assert matches(alarm("trigger-changed"), logged) is expected


SUMMARY = {"kind": "import", "outcome": "done", "read": 5, "imported": 4, "rejected": 1, "dropped": 0}
NOTHING = {
    "skipped": (True, {"kind": "import", "outcome": "skipped"}),
    "gone": (True, SUMMARY | {"outcome": "gone", "read": 0, "imported": 0, "rejected": 0}),
    "empty": (True, SUMMARY | {"read": 0, "imported": 0, "rejected": 0}),
    "some": (False, SUMMARY),
    "all rejected": (False, SUMMARY | {"imported": 0, "rejected": 5}),
    "handed back": (False, SUMMARY | {"outcome": "handed back", "imported": 0, "rejected": 0}),
}


@pytest.mark.parametrize(("expected", "summary"), NOTHING.values(), ids=NOTHING)
def test_an_object_with_nothing_in_it_is_told_from_one_that_failed(expected: bool, summary: dict[str, Any]) -> None:
    counted = rendered(MONITORING / "metrics/nothing_to_import.json")["filter"]

    assert matches(counted, entry(jsonPayload=summary)) is expected


def test_rejects_are_grouped_by_what_their_reasons_have_in_common() -> None:
    extractors = rendered(MONITORING / "metrics/logged_rejects.json")["labelExtractors"]
    pattern = re.search(r'"(.*)"', extractors["reason"])
    assert pattern

    def label(reason: str) -> str:
        found = re.search(pattern[1], reason)
        return found[1].strip() if found else ""

    assert label("must be 1 to 36 of A-Z, a-z, 0-9 and -, not 'x y'") == label(
        "must be 1 to 36 of A-Z, a-z, 0-9, not '%'"
    )
    assert label("not JSON: at byte 12") == label("not JSON: at byte 99") == "not JSON"


def test_ages_are_told_apart_finely_enough_for_a_percentile() -> None:
    buckets = rendered(MONITORING / "metrics/oldest_event_age_seconds.json")["bucketOptions"]["exponentialBuckets"]
    bounds = [buckets["scale"] * buckets["growthFactor"] ** n for n in range(buckets["numFiniteBuckets"] + 1)]

    assert bounds[0] < 0.11
    assert bounds[-1] > 31 * 86_400  # as long as a dead letter is kept
    assert buckets["growthFactor"] < 1.5
    assert len(bounds) < 200
