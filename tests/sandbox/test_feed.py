"""What the live view is told: exact counts, bounded rows, and everything anew after a reset."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from importer.mixpanel import judge
from sandbox.mixpanel.dedupe import Known
from sandbox.mixpanel.feed import FIRST_ROWS, MAX_ROWS, Feed
from sandbox.mixpanel.import_log import MAX_RUNS, MAX_SOURCES, Reports, grouped
from sandbox.mixpanel.reject_groups import event_and_user
from sandbox.mixpanel.state import Sandbox
from sandbox.mixpanel.store import RECENT_EVENTS, Batch, Request, Store
from sandbox.mixpanel.wanted import Wanted

NOW = 1_750_000_000.0


def event(number: int, name: str = "Signup", user: str = "user-1") -> bytes:
    properties = {"time": 1_700_000_000, "distinct_id": user, "$insert_id": f"id-{number}"}
    return json.dumps({"event": name, "properties": properties}).encode()


def bring(store: Store, *lines: bytes, source: str = "") -> None:
    """A request with these events comes in."""
    n = store.begin()
    good = judge.examine(b"\n".join(lines), list(lines), NOW).good
    duplicates = store.take(Batch(n, NOW, source, lines), good)
    size = sum(map(len, lines))
    store.finish(
        Request(
            n=n,
            at=NOW,
            events=len(lines),
            bytes=size,
            wire_bytes=size,
            seconds=0.01,
            status=200,
            imported=len(lines),
            duplicates=duplicates,
            rejected=0,
            user_agent="a test",
            auth="token or API secret",
            source=source,
            fault=None,
        )
    )


def request(**fields: Any) -> Request:
    """A request as it is booked."""
    told = {"n": 1, "at": NOW, "events": 1, "bytes": 1, "wire_bytes": 1, "seconds": 0.0, "duplicates": 0, "rejected": 0}
    return Request(**{**told, "user_agent": "", "auth": "", "fault": None, **fields})


def run(source: str, **fields: Any) -> dict[str, Any]:
    return {"severity": "INFO", "message": "done", "kind": "import", "source": source, "outcome": "done", **fields}


def refusal(source: str, line: int = 1) -> dict[str, Any]:
    kind = {"severity": "WARNING", "message": "refused", "kind": "reject", "source": source}
    return {**kind, "line": line, "offset": 0, "reason": "is not JSON", "field": None, "event": "{"}


def log(*lines: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(line) for line in lines).encode()


class TestReports:
    def test_rejects_count_as_they_come_and_the_report_makes_them_exact(self) -> None:
        reports = Reports()
        reports.take(log(refusal("a"), refusal("a"), refusal("b")))
        assert reports.rejected == 3
        reports.take(log(run("a", rejected=250)))
        assert reports.rejected == 251
        reports.take(log(refusal("a"), run("a", rejected=1)))
        assert reports.rejected == 252

    def test_what_is_no_line_of_ours_is_passed_over(self) -> None:
        noise = b'not JSON\n\n[1]\n{"kind": "retry"}\n{"kind": "import"}\n{"kind": "import", "source": 5}\n'
        noise += b'{"kind": "import", "source": "a", "outcome": "done", "read": "many"}\n\xff\n'
        reports = Reports()
        assert reports.take(noise) == 0
        assert not reports.heard
        assert reports.rejected == 0

    def test_a_source_keeps_its_last_runs_the_newest_first(self) -> None:
        reports = Reports()
        reports.take(log(*(run("a", read=n) for n in range(MAX_RUNS + 5))))
        (source,) = reports.newest_sources()
        assert [each.read for each in source.runs][:2] == [MAX_RUNS + 4, MAX_RUNS + 3]
        assert (len(source.runs), source.count) == (MAX_RUNS, MAX_RUNS + 5)

    def test_sources_are_bounded_and_the_count_of_rejects_stays(self) -> None:
        reports = Reports()
        reports.take(log(*(refusal(f"source {n}") for n in range(MAX_SOURCES + 50))))
        assert len(reports.newest_sources()) == MAX_SOURCES
        assert reports.rejected == MAX_SOURCES + 50

    def test_only_what_changed_is_news(self) -> None:
        reports = Reports()
        reports.take(log(run("a"), run("b"), run("c")))
        since = reports.changes
        reports.take(log(run("b")))
        assert [source.name for source in reports.newest_sources(since)] == ["b"]
        assert [source.name for source in reports.newest_sources()] == ["b", "c", "a"]

    def test_a_run_that_goes_on_is_at_work_until_it_reports(self) -> None:
        reports = Reports()
        for status, imported in ((429, 0), (200, 5), (None, 0)):
            reports.note(request(status=status, imported=imported, source="gs://b/a#1"))
        (source,) = reports.newest_sources()
        assert source.work is not None
        assert (source.work.requests, source.work.imported, source.work.answers) == (
            3,
            5,
            {"429": 1, "200": 1, "none": 1},
        )
        reports.take(
            log({"kind": "retry", "source": "gs://b/a#1", "wait_seconds": 3, "reason": "Mixpanel answered 429"})
        )
        assert source.work.waits_for == "Mixpanel answered 429"
        assert source.work.waits_until > time.time()
        reports.note(request(status=200, imported=1, source="gs://b/a#1"))
        assert (source.work.waits_until, source.work.waits_for) == (0, "")
        assert reports.at_work == 1
        reports.take(log(run("gs://b/a#1", read=6, imported=6)))
        assert (reports.at_work, reports.newest_sources()[0].work) == (0, None)

    def test_messages_belong_to_their_subscription(self) -> None:
        reports = Reports()
        reports.note(request(status=200, imported=1, source="projects/p/subscriptions/s#1"))
        reports.take(log(refusal("projects/p/subscriptions/s#2"), run("projects/p/subscriptions/s", rejected=1)))
        assert reports.names() == ["projects/p/subscriptions/s"]
        assert reports.rejects[0].source == "projects/p/subscriptions/s#2"

    def test_rejects_are_grouped_by_what_their_reasons_have_in_common(self) -> None:
        reports = Reports()
        for source, reason in (
            ("gs://b/a#1", "is not JSON: Expecting value at character 12"),
            ("gs://b/a#1", "is not JSON: Expecting value at character 7"),
            ("gs://b/c#1", "is not JSON: Expecting value at character 7"),
            ("gs://b/c#1", "'properties.distinct_id' is invalid: 'anon' is not allowed"),
        ):
            reports.take(log({**refusal(source), "reason": reason}))
        assert [(one["count"], one["sources"], one["reason"]) for one in grouped(reports.rejects)] == [
            (3, 2, "is not JSON: Expecting value at character …"),
            (1, 1, "'properties.distinct_id' is invalid: 'anon' is not allowed"),
        ]

    def test_what_was_sent_again_is_no_reject_any_more(self) -> None:
        reports = Reports()
        reports.take(log(refusal("gs://b/a#1", 1), refusal("gs://b/a#1", 2), run("gs://b/a#1", rejected=2)))
        reports.note(request(status=200, imported=1, source="gs://b/a#1"))
        reports.sent_again([{**refusal("gs://b/a#1", 2), "at": NOW}], 1, since=0)
        assert (reports.rejected, [each.line for each in reports.rejects]) == (1, [2])
        assert [each.outcome for each in reports.newest_sources()[0].runs] == ["sent again", "done"]


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ('{"event": "A", "properties": {"distinct_id": "u"}}', ("A", "u")),
        ('{"type": "track", "event": "A", "userId": 7, "anonymousId": "a"}', ("A", "7")),
        ('{"event_name": "A", "user_pseudo_id": "1.2"}', ("A", "1.2")),
        ('{"event": "A", "properties": {"distinct_id": "u", "cut', ("A", "u")),
        ("[1]", ("", "")),
        ("\ud83d", ("", "")),
        ("[" * 9_000, ("", "")),
    ],
)
def test_the_event_and_the_user_of_a_reject_are_found_whoever_wrote_it(record: str, found: tuple[str, str]) -> None:
    assert event_and_user(record) == found


class TestKnown:
    @pytest.fixture
    def events(self) -> list[judge.Event]:
        lines = [event(n) for n in range(30)]
        return judge.examine(b"\n".join(lines), lines, NOW).good

    def test_it_counts_how_often_an_event_came_in(self, events: list[judge.Event]) -> None:
        known = Known()
        assert known.add(events[:3]) == 0
        assert known.add([*events[1:4], events[3]]) == 3
        assert "".join(known.lines()) == "id-0\t1\nid-1\t2\nid-2\t2\nid-3\t2\n"

    def test_it_forgets_the_older_half_when_the_newer_is_full(self, events: list[judge.Event]) -> None:
        known = Known(most=20)
        for start in (0, 10, 20):
            known.add(events[start : start + 10])
        assert "".join(known.lines()).count("\n") == 20
        assert known.add(events[20:]) == 10
        assert known.add(events[:10]) == 0


class TestStore:
    def test_it_keeps_the_last_events_and_counts_all(self) -> None:
        store = Store()
        for start in range(0, RECENT_EVENTS + 4000, 2000):
            bring(store, *(event(n) for n in range(start, start + 2000)))
        kept = [line for _, line in store.newest()]
        assert kept[0] == event(RECENT_EVENTS + 3999)
        assert len(kept) == RECENT_EVENTS
        assert store.summary()["imported"] == RECENT_EVENTS + 4000


class TestFeed:
    @pytest.fixture
    def sandbox(self) -> Sandbox:
        return Sandbox()

    def test_it_starts_with_all_there_is_and_goes_on_with_what_is_new(self, sandbox: Sandbox) -> None:
        bring(sandbox.store, event(1), event(2))
        feed = Feed(sandbox, Wanted())
        first = feed.news()
        assert "start" in first
        assert [each.insert_id for each in first["events"]] == ["id-2", "id-1"]
        assert feed.news() == {}
        bring(sandbox.store, event(2), event(3))
        news = feed.news()
        assert [each.insert_id for each in news["events"]] == ["id-3", "id-2"]
        assert (news["counts"]["imported"], news["counts"]["duplicates"]) == (3, 1)
        assert news["history"] == [[int(NOW), 3, 1, 0, 0, 0]]
        assert "faults" not in news

    def test_a_fast_import_is_sampled_and_counted_exactly(self, sandbox: Sandbox) -> None:
        feed = Feed(sandbox, Wanted())
        feed.news()
        for start in range(0, 20_000, 2000):
            bring(sandbox.store, *(event(n) for n in range(start, start + 2000)))
        news = feed.news()
        assert len(news["events"]) == MAX_ROWS
        assert len(news["requests"]) == 10
        assert news["counts"]["imported"] == 20_000
        assert len(Feed(sandbox, Wanted()).news()["events"]) == FIRST_ROWS

    def test_a_filter_finds_by_part_and_whatever_case(self, sandbox: Sandbox) -> None:
        bring(
            sandbox.store,
            event(1, "Sign Up", "Ann"),
            event(2, "Log in", "ann"),
            source="gs://events/one.jsonl",
        )
        bring(sandbox.store, event(3, "Sign up", "bo"), source="gs://events/two.jsonl")
        for wanted, ids in (
            (Wanted(event="sign"), ["id-3", "id-1"]),
            (Wanted(user="ann"), ["id-2", "id-1"]),
            (Wanted(event="sign", user="bo"), ["id-3"]),
            (Wanted(source="one"), ["id-2", "id-1"]),
        ):
            assert [each.insert_id for each in Feed(sandbox, wanted).news()["events"]] == ids

    def test_it_starts_again_after_a_reset_and_when_the_importer_is_first_heard(self, sandbox: Sandbox) -> None:
        feed = Feed(sandbox, Wanted())
        feed.news()
        sandbox.hear(log(refusal("a"), run("a", read=5, imported=4, rejected=1)))
        news = feed.news()
        assert "start" in news
        assert (news["counts"]["rejected"], news["rejects"][0].reason) == (1, "is not JSON")
        assert [source.name for source in news["sources"]] == ["a"]
        sandbox.reset()
        news = feed.news()
        assert "start" in news
        assert (news["counts"]["rejected"], news["sources"]) == (0, [])

    def test_a_large_event_is_cut(self, sandbox: Sandbox) -> None:
        bring(sandbox.store, event(1, "x" * 900_000))
        (shown,) = Feed(sandbox, Wanted()).news()["events"]
        assert len(shown.text) < 40_000
        assert shown.bytes > 900_000
