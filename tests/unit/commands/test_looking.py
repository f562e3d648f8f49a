"""The commands that look and send nothing, in this process: what they show, line by line."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from importer import log
from importer.commands import preview, profile_view
from importer.profile.advice import Advice
from importer.profile.findings import Finding
from importer.profile.profiler import How, Profile, Profiler
from importer.profile.report import Event, Example, Property
from sandbox.clients import Bucket, Standin
from tests.faults.trouble import objects
from tests.unit.commands.files import Run, event, write

MAPPING = """
event = "event"
time = "properties.time"
distinct_id = "properties.distinct_id"
"""
Seen = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """A profile sets how often garbage is looked for, a check what is logged."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    log.configure("ERROR")


def test_a_preview_shows_what_would_be_sent_and_what_did_what(run: Run, standin: Standin) -> None:
    first = event("a", plan="pro", debug=1, note="x" * 120)
    write("f.toml", content=b"[filters.properties]\ndeny = ['debug']\n")
    write("a.jsonl", content=b"\n".join([first, b"", b"{no", event("b", plan="x")]))
    ended = run("preview", "a.jsonl", "--mapping", "f.toml", "--limit", "2")
    assert ended.code == 1
    assert ended.out.split("\n") == [
        "a.jsonl, line 1",
        f"  {first.decode()}",
        "  → imported",
        '      event: "e"',
        "        time: 1700000000",
        '        distinct_id: "u"',
        '        $insert_id: "a"',
        '        plan: "pro"',
        f'        note: "{"x" * 98}…',
        "    +   ip: 0  (set by the importer)",
        "    -   debug  (removed by filter properties.deny)",
        "",
        "a.jsonl, line 3",
        "  {no",
        ended.out.split("\n")[14],
        "",
        "",
    ]
    assert ended.out.split("\n")[14].startswith("  → rejected by importer: is not JSON")
    assert ended.err == "Of 2 events 1 would be imported, 1 would be rejected; nothing was sent.\n"
    assert standin.summary()["requests"] == 0


def test_a_preview_recognises_a_shape_and_says_what_its_mapping_made(run: Run) -> None:
    track: dict[str, Any] = {
        "type": "track", "event": "Signed Up", "messageId": "m-1", "userId": "u", "timestamp": "2025-06-01T00:00:00Z",
        "context": {}, "properties": {"plan": "pro"},
    }  # fmt: skip
    write("a.jsonl", content=b"\n".join([json.dumps(track).encode(), event("b")]))
    ended = run("preview", "a.jsonl")
    lines = ended.out.split("\n")
    assert lines[0] == "a.jsonl, line 1, recognised as segment"
    assert lines[2:4] == ["  → imported, made by mapping auto: segment", '      event: "Signed Up"']
    assert lines[4:10] == [
        '        plan: "pro"',
        "    +   time: 1748736000000",
        '    +   $user_id: "u"',
        '    +   distinct_id: "u"',
        '    +   $insert_id: "m-1"',
        "    +   ip: 0  (set by the importer)",
    ]
    assert ended.err.split("\n") == [
        "Of 2 events 2 would be imported; nothing was sent.",
        "Without IMPORT_MAPPING an import takes Mixpanel's own events alone; here each shape is recognised (auto).",
        "",
    ]
    assert ended.code == 0


def test_a_preview_for_machines_and_of_nothing(run: Run) -> None:
    write("a.jsonl", content=b"\n".join([event("a"), b"no", *(event(str(nth)) for nth in range(9))]))
    found = run("preview", "a.jsonl", "--json")
    assert (found.code, found.json["total"]) == (1, {"imported": 3, "rejected": 2, "dropped": 0})
    one, other, *_ = found.json["records"]
    assert (one["source"], one["line"], one["recognised"], one["record"]) == ("a.jsonl", 1, None, event("a").decode())
    assert one["outcomes"][0]["event"]["properties"]["$insert_id"] == "a"
    assert (other["outcomes"][0]["fate"], other["outcomes"][0]["event"]) == ("rejected", None)
    write("empty.jsonl", content=b"\n\n")
    nothing = run("preview", "empty.jsonl")
    assert (nothing.code, nothing.err) == (0, "There is no record.\n")


@pytest.mark.parametrize(("content", "code"), [(b"\x89PNG\r\n\x1a\n", 2), (None, 1)])
def test_a_preview_of_what_cannot_be_read(content: bytes | None, code: int, run: Run) -> None:
    write("a.png", content=b"\x89PNG\r\n\x1a\n")
    write("b.jsonl", content=content)
    ended = run("preview", "b.jsonl", "a.png")
    assert (ended.code, "a.png is unreadable: " in ended.err) == (code, True)


@pytest.mark.parametrize(("length", "shown"), [(10, "x" * 10), (11, "x" * 9 + "…")])
def test_what_is_long_is_cut(length: int, shown: str) -> None:
    assert preview._short("x" * length, 10) == shown
    assert preview._short("a \n\t b", 10) == "a b"


def ticks(out: str) -> list[tuple[str, str]]:
    return [(line[0], line[2:].partition(": ")[0]) for line in out.splitlines()]


def test_a_check_ticks_what_is_right_and_leaves_nothing_behind(
    run: Run, standin: Standin, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("a.jsonl", "b.jsonl")
    ended = run("check", "a.jsonl", ".", "--mapping", "segment", "--transform", "json:loads")
    assert ended.code == 0
    assert ticks(ended.out) == [
        ("✓", "settings"), ("✓", "credentials"), ("✓", "mapping"), ("✓", "transform"), ("✓", "checkpoints"),
        ("!", "rejects"), ("✓", "a.jsonl"), ("✓", "."),
    ]  # fmt: skip
    lines = ended.out.splitlines()
    assert lines[0] == f"✓ settings: project token, at {standin.url}."
    assert lines[1:4] == [
        "✓ credentials: Mixpanel takes them.", "✓ mapping: segment is ready.", "✓ transform: json:loads is there.",
    ]  # fmt: skip
    assert lines[4].endswith(" can be written, read, listed and deleted.")
    assert lines[6].startswith("✓ a.jsonl: 1 object, ")
    assert lines[7].startswith("✓ .: 2 objects, ")
    assert lines[7].endswith("; the first is ndjson.")
    assert not [*(tmp_path / "state").rglob("check-*")]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
    placed = run("check", "--rejects", f"gs://{bucket.name}/rejects", "--json")
    assert placed.json["right"]
    assert [one["what"] for one in placed.json["checks"] if one["state"] != "right"] == []
    assert placed.json["checks"][2]["sentence"] == "none: records are Mixpanel's own events."
    assert not [*objects(bucket, "")]


def test_a_check_says_what_is_wrong_and_checks_the_rest(
    run: Run, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.faults(unauthorized=True)
    write("a.png", content=b"\x89PNG\r\n\x1a\n")
    monkeypatch.setenv("IMPORT_REJECT", "x")
    ended = run("check", "a.png", "none", "--transform", "json:no")
    assert ended.code == 1
    assert [what for sign, what in ticks(ended.out) if sign == "✗"] == ["credentials", "transform", "a.png", "none"]
    assert ticks(ended.out)[1] == ("!", "settings")
    assert all(line.endswith(".") for line in ended.out.splitlines())
    assert ended.err == ""
    assert not run("check", "--transform", "json:no", "--json").json["right"]
    wrong = run("check", "--backoff", "0")
    assert (wrong.code, ticks(wrong.out)) == (1, [("✗", "settings")])
    monkeypatch.setenv("MIXPANEL_API_URL", "http://127.0.0.1:9")
    assert "whether Mixpanel takes them cannot be told" in run("check", "--timeout", "0.5").out
    leaves = run("check", "a.png", "--include", "*.csv").out
    assert "IMPORT_INCLUDE and IMPORT_EXCLUDE leave nothing of a.png." in leaves


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (MAPPING, "m.toml has a mapping."),
        ("[filters.properties]\ndeny = ['x']\n", "m.toml has filters."),
        (MAPPING + "[filters.properties]\ndeny = ['x']\n", "m.toml has a mapping and filters."),
    ],
)
def test_a_check_says_what_a_mapping_file_has(content: str, said: str, run: Run) -> None:
    write("m.toml", content=content.encode())
    assert f"✓ mapping: {said}" in run("check", "--mapping", "m.toml").out.splitlines()


def test_a_profile_writes_a_page_and_a_file_and_ends_with_what_it_found(run: Run, standin: Standin) -> None:
    write("a.jsonl", content=b"\n".join(event(f"i{nth}", plan="pro") for nth in range(30)))
    ended = run("profile", "a.jsonl", "--html", "p.html", "--write-filters", "f.toml")
    assert "The page is p.html\n" in ended.err
    assert "The mapping file is f.toml: look at its lines, then set IMPORT_MAPPING=f.toml\n" in ended.err
    assert Path("p.html").read_text().startswith("<!doctype html>")
    assert Path("f.toml").exists()
    assert ended.out.startswith("30 events of 1 name and 1 user, from 2023-11-14 to 2023-11-14.\n")
    found = run("profile", "a.jsonl", "--json", "--limit", "7").json
    assert (found["read"], found["sources"]) == (7, {"a.jsonl": None})
    assert gc.get_threshold() == (100_000, 50, 100)
    half = run("profile", "a.jsonl", "--json", "--sample", "0.5").json
    assert (half["read"], half["sample"]) == (15, 0.5)
    assert standin.summary()["requests"] == 0


def test_a_profile_says_first_where_it_cannot_be_written(run: Run) -> None:
    write("a.jsonl")
    for words, said in (
        (("--write-filters", "f.txt"), "--write-filters is f.txt, and a mapping file's name ends in .toml."),
        (("--html", "none/p.html"), "none/p.html cannot be written: there is no folder none."),
        (("--html", "."), ". cannot be written: it is a folder."),
    ):
        ended = run("profile", "a.jsonl", *words)
        assert (ended.code, ended.err) == (2, f"The profile stopped: {said}\n")
    nothing = run("profile", "a.jsonl", "--include", "*.csv")
    assert (nothing.code, nothing.err) == (0, "IMPORT_INCLUDE and IMPORT_EXCLUDE leave nothing to look at.\n")


def test_a_profile_of_what_cannot_be_read(run: Run) -> None:
    write("a.png", content=b"\x89PNG\r\n\x1a\n")
    alone = run("profile", "a.png")
    assert (alone.code, alone.out) == (2, "There is no record.\n")
    write("b.jsonl")
    both = run("profile", "b.jsonl", "a.png", "--json")
    assert both.code == 1
    assert both.json["sources"]["b.jsonl"] is None
    assert "PNG" in both.json["sources"]["a.png"]


@pytest.fixture(scope="module")
def empty() -> Profile:
    return Profiler(How(None, None, {})).profile()


def made(empty: Profile, **changes: Any) -> Profile:
    return msgspec.structs.replace(empty, **changes)


SUMMARY: list[tuple[dict[str, Any], str]] = [
    ({}, "There is no record."),
    (
        {"read": 5, "count": 1_200, "names": 1, "users": 2, "first": 0.0, "last": 86_400.0},
        "1,200 events of 1 name and 2 users, from 1970-01-01 to 1970-01-02.",
    ),
    (
        {"read": 5, "count": 1, "names": 2, "users": 1, "dropped": {"x": 1, "y": 2}, "rejected": {"z": 1_000}},
        "1 event of 2 names and 1 user; 3 dropped; 1,000 rejected.",
    ),
    (
        {"read": 5, "count": 1, "names": 1, "users": 0, "first": 5.0, "sample": 0.25},
        "1 event of 1 name and 0 users (of a sample of 25%: all counts are the sample's).",
    ),
]


@pytest.mark.parametrize(("changes", "said"), SUMMARY, ids=["nothing", "times", "losses", "sample"])
def test_a_profile_in_a_line(changes: dict[str, Any], said: str, empty: Profile) -> None:
    assert profile_view.summary(made(empty, **changes)) == said


def prop(name: str = "plan", **more: Any) -> Property:
    known: dict[str, Any] = {
        "name": name, "filled": 4, "share": 0.055, "kinds": {"text": 3, "number": 1}, "distinct": 1_200,
        "is_exact": False, "longest": 7, "smallest": None, "largest": None, "median": None, "histogram": [],
        "examples": [Example("a" * 25), Example("b"), Example("c"), Example("d")],
    }  # fmt: skip
    return Property(**(known | more))


def finding(**more: Any) -> Finding:
    known: dict[str, Any] = {
        "kind": "k",
        "level": "note",
        "about": None,
        "count": 1,
        "share": 1.0,
        "sentence": "It is.",
    }
    return Finding(**(known | more))


def test_a_profile_is_shown_with_what_is_odd_first(empty: Profile, capsys: Seen) -> None:
    findings = [
        finding(level="problem", examples=["x", "y"], advice=Advice(deny_events=("noise",))),
        finding(level="warning"),
        finding(),
    ]
    one = Event("e" * 41, 1_000, 0.5, 20, 0.0, None, {}, 3, [prop()])
    profile_view.show(
        made(empty, read=3, count=3, names=1, users=1, findings=findings, events=[one], properties=[prop()])
    )
    out = capsys.readouterr().out.split("\n")
    assert out[:4] == ["3 events of 1 name and 1 user.", "✗ k: It is.", "    e.g. x | y", "    [filters.events]"]
    assert out[4:8] == ['    deny = ["noise"]', "! k: It is.", "· k: It is.", ""]
    assert [line.split() for line in out[8:13]] == [
        ["event", "count", "share", "users", "first", "last", "properties"],
        ["e" * 39 + "…", "1,000", "50%", "20", "1970-01-01", "1"],
        [],
        ["property", "filled", "types", "distinct", "longest", "examples"],
        ["plan", "5.5%", "text", "75%,", "number", "25%", "~1,200", "7", "a" * 23 + "…,", "b,", "c"],
    ]


MORE = [
    (0, ""),
    (1, "1 more finding, 1 more event name, 1 more property"),
    (2, "2 more findings, 2 more event names, 2 more properties"),
]


@pytest.mark.parametrize(("more", "said"), MORE)
def test_of_very_much_the_first_is_shown(more: int, said: str, empty: Profile, capsys: Seen) -> None:
    events = [Event(f"e{nth}", 1, 0.0, 1, None, None, {}, 1, []) for nth in range(30 + more)]
    properties = [prop(f"p{nth}", is_exact=True, longest=0, kinds={"text": 1}) for nth in range(60 + more)]
    whole = made(empty, read=1, count=1, findings=[finding()] * (40 + more), events=events, properties=properties)
    profile_view.show(whole)
    out, err = capsys.readouterr()
    assert [out.count(sign) for sign in ("· k", "\ne", "\np")] == [40, 31, 61]
    assert err == (f"There are {said}: --html and --json have all of them.\n" if said else "")


def test_where_nothing_is_odd_that_is_said(empty: Profile, capsys: Seen) -> None:
    profile_view.show(made(empty, read=1, count=1, findings=[]))
    assert "Nothing is odd about them.\n" in capsys.readouterr().out
    profile_view.show(made(empty, read=1, count=0, findings=[]))
    assert "Nothing is odd" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "0%"), (0.0004, "0.0%"), (0.099, "9.9%"), (0.1, "10%"), (1.0, "100%")]
)
def test_a_small_share_has_a_digit_more(share: float, shown: str) -> None:
    assert profile_view._percent(share) == shown
