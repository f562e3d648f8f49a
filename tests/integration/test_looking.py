"""The commands that look and send nothing: profile, preview, check."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google.cloud.pubsub_v1 import PublisherClient

from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.topic.emulator import Emulator
from tests.faults.trouble import objects
from tests.integration.running import Run, event, write


def test_a_profile_says_what_is_odd_and_writes_the_file_that_mends_it(run: Run, standin: Standin, here: Path) -> None:
    write(here / "a.jsonl", Events(3_000, "dense", seed=7))
    found = run(
        "profile", "a.jsonl", "--write-filters", "mend.toml", "--html", "page.html", MIXPANEL_PROJECT_TOKEN=None
    )
    assert found.code == 1, found.err
    assert "3,000 events of 7 names" in found.out
    assert "! ids as properties: trace_id" in found.out
    assert '    deny = ["trace_id"]' in found.out
    assert "The mapping file is mend.toml" in found.err
    assert (here / "page.html").read_text().startswith("<!doctype html>")
    again = run("profile", "a.jsonl", "--write-filters", "mend.toml", "--html", "page.html")
    assert again.code == 1
    mended = run("profile", "a.jsonl", "--mapping", "mend.toml", "--json")
    assert (mended.code, mended.json["findings"], mended.json["count"]) == (0, [], 3_000)
    assert standin.summary()["requests"] == 0


def test_a_profile_takes_what_an_import_takes(run: Run, bucket: Bucket, here: Path) -> None:
    bucket.put("in/a.jsonl", event("a") + b"\n" + event("b"))
    (here / "b.csv").write_text("event,time,distinct_id,plan\nsignup,1700000000,u,pro\n")
    (here / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    found = run("profile", "gs://events/in/", "b.csv", "c.png", "-", "--json", input=event("c"))
    assert (found.code, found.json["count"]) == (1, 4)
    assert {one["name"] for one in found.json["events"]} == {"e", "signup"}
    assert found.json["sources"]["c.png"].startswith("this is no event data but ")
    assert run("profile", "gs://events/in/", "--limit", "1", "--json").json["count"] == 1
    assert run("profile", "gs://events/in/", "--sample", "0.5", "--json").json["count"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--write-filters", "mend.txt"], "a mapping file's name ends in .toml"),
        (["--write-filters", "no/such/mend.toml"], "there is no folder no/such"),
        (["--html", "."], "it is a folder"),
        (["--write-filters", "mine.toml"], "mine.toml is there already, and no profile wrote it"),
        (["--html", "a.jsonl"], "a.jsonl is there already, and no profile wrote it"),
    ],
)
def test_where_a_profile_cannot_be_written_is_said_before_it_begins(
    run: Run, here: Path, words: list[str], said: str
) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    (here / "mine.toml").write_text('use = "segment"\n')
    ended = run("profile", "a.jsonl", *words)
    assert ended.code == 2
    assert (here / "mine.toml").read_text() == 'use = "segment"\n'
    assert said in ended.err


MAPPING = """
use = "auto"
leave_out = ["debug"]

[filters.properties]
deny = ["secret*"]

[filters.mask]
patterns = ["email"]

[filters.events]
deny = ["noise"]
"""


def test_a_preview_shows_each_event_before_and_after_and_the_rule_that_touched_it(
    run: Run, standin: Standin, here: Path
) -> None:
    (here / "m.toml").write_text(MAPPING)
    first = event("a", debug=1, secret_key="x", who="write to jo@example.com", plan="pro")
    noise = event("b").replace(b'"e"', b'"noise"')
    (here / "a.jsonl").write_bytes(b"\n".join([first, noise, b"{no", event("c")]))
    found = run("preview", "a.jsonl", "--mapping", "m.toml", "--limit", "3", MIXPANEL_PROJECT_TOKEN=None)
    assert found.code == 1
    lines = [line.strip() for line in found.out.splitlines()]
    assert lines[0] == "a.jsonl, line 1"
    assert first.decode() in lines
    assert 'plan: "pro"' in lines
    assert '~   who: "write to ***"  (changed by filter mask.email)' in lines
    assert "-   secret_key  (removed by filter properties.deny)" in lines
    assert "-   debug  (removed by mapping m.toml)" in lines
    assert "+   ip: 0  (set by the importer)" in lines
    assert "→ dropped by filter: filter: events.deny noise" in lines
    assert any(line.startswith("→ rejected by mapping: is not JSON") for line in lines)
    assert found.err.startswith(
        "Of 3 events 1 would be imported, 1 would be rejected, 1 would be dropped; nothing was sent."
    )
    assert standin.summary()["requests"] == 0


def test_a_preview_is_json_for_machines_and_takes_any_source(run: Run, bucket: Bucket, here: Path) -> None:
    bucket.put("in/a.jsonl", event("a"))
    (here / "b.csv").write_text("event,time,distinct_id,plan\nsignup,1700000000,u,pro\n")
    found = run("preview", "gs://events/in/", "b.csv", "-", "--json", input=b'{"messageId":"m","type":"track"}')
    records = found.json["records"]
    assert [one["source"] for one in records] == ["gs://events/in/a.jsonl", "b.csv", "-"]
    assert records[0]["outcomes"][0]["event"]["properties"]["$insert_id"] == "a"
    assert records[1]["outcomes"][0]["event"]["event"] == "signup"
    assert records[2]["outcomes"][0]["fate"] == "rejected"
    assert found.json["total"] == {"imported": 2, "rejected": 1, "dropped": 0}


def ticks(out: str) -> dict[str, str]:
    """The sign of each thing that was checked, by its name."""
    return {line[2:].partition(": ")[0]: line[0] for line in out.splitlines()}


def test_a_check_ticks_all_that_an_import_needs_and_leaves_nothing_behind(
    run: Run, standin: Standin, bucket: Bucket, here: Path, tmp_path: Path
) -> None:
    bucket.put("in/a.jsonl", event("a"))
    places: dict[str, Any] = {"IMPORT_REJECTS": "gs://events/rejects", "IMPORT_CHECKPOINTS": "gs://events/checkpoints"}
    found = run("check", "gs://events/in/", IMPORT_MAPPING="segment", IMPORT_TRANSFORM="json:loads", **places)
    assert found.code == 0, found.out
    names = ["settings", "credentials", "mapping", "transform", "checkpoints", "rejects", "gs://events/in/"]
    assert ticks(found.out) == dict.fromkeys(names, "✓")
    assert "1 object, " in found.out
    assert "the first is ndjson." in found.out
    assert standin.summary()["received"] == 0
    assert standin.summary()["requests"] == 1
    assert [*objects(bucket, "rejects/"), *objects(bucket, "checkpoints/")] == []
    here_alone = run("check", "--json")
    assert here_alone.json["right"]
    assert not [*(tmp_path / "state").rglob("check-*")]


WRONG: dict[str, tuple[dict[str, str | None], list[str], str, str]] = {
    "no credentials": ({"MIXPANEL_PROJECT_TOKEN": None}, [], "settings", "No Mixpanel credentials are set"),
    "a wrong setting": ({"IMPORT_BACKOFF": "no"}, [], "settings", "IMPORT_BACKOFF is 'no'"),
    "nobody answers": ({"MIXPANEL_API_URL": "http://127.0.0.1:9"}, [], "credentials", "the connection failed"),
    "another address": ({"MIXPANEL_API_URL": "{bucket}"}, [], "credentials", "cannot be told: Mixpanel answered 501"),
    "no such mapping": ({"IMPORT_MAPPING": "acme"}, [], "mapping", "there is no such mapping"),
    "a broken mapping file": ({"IMPORT_MAPPING": "m.toml"}, [], "mapping", "m.toml, line 1: "),
    "no such transform": ({"IMPORT_TRANSFORM": "json:no"}, [], "transform", "json has no function no"),
    "no bucket for rejects": ({"IMPORT_REJECTS": "gs://no-such/x"}, [], "rejects", "there is no bucket no-such"),
    "no bucket for state": ({"IMPORT_CHECKPOINTS": "gs://no-such/x"}, [], "checkpoints", "there is no bucket no-such"),
    "no such object": ({}, ["gs://events/none"], "gs://events/none", "no object's name begins so"),
    "no such file": ({}, ["none.jsonl"], "none.jsonl", "there is no file or folder none.jsonl"),
    "no event data": ({}, ["a.png"], "a.png", "this is no event data but "),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_has_a_cross_and_a_sentence_and_the_rest_is_checked_all_the_same(
    name: str, run: Run, bucket: Bucket, here: Path
) -> None:
    settings, words, what, said = WRONG[name]
    (here / "m.toml").write_text("[[event\n")
    (here / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    given: dict[str, Any] = {key: value and value.replace("{bucket}", bucket.url) for key, value in settings.items()}
    found = run("check", *words, **{"IMPORT_TIMEOUT": "2", **given})
    assert found.code == 1
    crosses = [line for line in found.out.splitlines() if line.startswith("✗")]
    assert len(crosses) == 1, found.out
    assert crosses[0].startswith(f"✗ {what}: ")
    assert said in crosses[0]
    if what != "settings":
        assert len(ticks(found.out)) >= 5


def test_rejected_credentials_are_told_from_trouble_on_the_way(run: Run, standin: Standin) -> None:
    standin.faults(unauthorized=True)
    found = run("check")
    assert "✗ credentials: Mixpanel rejected the project token (401): check MIXPANEL_PROJECT_TOKEN" in found.out
    assert found.err == ""


def test_a_topic_is_checked(run: Run, emulator: Emulator, publisher: PublisherClient) -> None:
    topic = publisher.topic_path(emulator.project, "checked")
    publisher.create_topic(name=topic)
    host: dict[str, Any] = {"PUBSUB_EMULATOR_HOST": emulator.host, "IMPORT_REJECTS": topic}
    found = run("check", topic.replace("checked", "none"), **host)
    assert f"✓ rejects: {topic} can be published to." in found.out
    assert f"✗ {topic.replace('checked', 'none')}: " in found.out


@pytest.mark.timeout(60)
def test_ctrl_c_stops_a_profile_and_shows_what_was_seen(environment: Mapping[str, str], here: Path) -> None:
    lines = b"\n".join(event(str(nth)) for nth in range(3_000))
    words = [sys.executable, "-m", "importer", "profile", "-"]
    with (
        (here / "out").open("wb") as out,
        subprocess.Popen(
            words, cwd=here, env=environment, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE
        ) as running,
    ):
        assert running.stdin
        assert running.stderr
        running.stdin.write(lines)
        running.stdin.flush()
        time.sleep(3)
        running.send_signal(signal.SIGINT)
        said = running.stderr.readline()
        with suppress(BrokenPipeError):
            for _ in range(5):
                running.stdin.write(lines)
            running.stdin.close()
        said += running.stderr.read()
    assert running.returncode == 130
    assert said == b"Stopping: what was read so far is shown. Ctrl-C once more ends it at once.\n"
    assert " events of 1 name and 1 user, " in (here / "out").read_text()
