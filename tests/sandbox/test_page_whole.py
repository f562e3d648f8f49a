"""The live view over the whole sandbox, as `make sandbox` runs it: mappings, rejects, messages, all from the page."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sandbox import processes
from tests.sandbox.browser import drop, serious_findings
from tests.sandbox.test_sandbox import ANY_PORTS, Running, running

SHOP = """\
event = "what"
time = { path = "at", unit = "s" }
distinct_id = "who"

[filters]
properties.deny = ["secret"]
mask.patterns = ["email"]
"""


@dataclass(frozen=True)
class Desk:
    """A running sandbox, and the mapping file of its user."""

    sandbox: Running
    mapping: Path

    def events(self) -> list[dict[str, Any]]:
        """All that came in, the oldest first."""
        return [each["event"] for each in self.sandbox.ask("events?limit=1000")][::-1]


@pytest.fixture(scope="module")
def everything() -> Iterator[Desk]:
    with TemporaryDirectory(prefix="shop-") as place, running(*ANY_PORTS, "--no-emulator") as sandbox:
        mapping = Path(place) / "shop.toml"
        mapping.write_text(SHOP)
        sandbox.wait_for("Ctrl-C stops it all")
        yield Desk(sandbox, mapping)


@pytest.fixture
def desk(everything: Desk) -> Desk:
    if everything.mapping.read_text() != SHOP:
        everything.mapping.write_text(SHOP)
    everything.sandbox.view.reset()
    return everything


@pytest.fixture
def page(desk: Desk, context: BrowserContext) -> Iterator[Page]:
    said: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(desk.sandbox.view.url)
    expect(page.locator("#state")).to_have_text("Live", timeout=20_000)
    yield page
    assert [text for text in said if "the server responded with a status of 4" not in text] == []


def pick(page: Page, name: str) -> None:
    """Picks a mapping on the page, and waits until the functions use it."""
    select = page.get_by_label("Whose records come in")
    if page.locator("#preview-by").inner_text() == f"Mapping: {name or 'none'}.":
        return
    if name.endswith(".toml"):
        select.select_option("*.toml")
        page.get_by_label("Path of the mapping file").fill(name)
        page.get_by_label("Path of the mapping file").press("Enter")
    elif select.input_value() != name:
        select.select_option(name)
    expect(page.locator("#preview-by")).to_have_text(f"Mapping: {name or 'none'}.", timeout=20_000)
    expect(page.locator("#mapping-state")).to_contain_text("The functions use it", timeout=20_000)


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def imported(page: Page, count: int) -> None:
    expect(page.locator("#imported")).to_have_text(f"{count:,}", timeout=20_000)


# A tool's records, as one has them: no code is written

SEGMENT: list[dict[str, Any]] = [
    {
        "type": "track",
        "event": "Order Completed",
        "messageId": "ajs-next-1",
        "anonymousId": "a-1",
        "userId": "u-1",
        "timestamp": "2025-06-01T12:00:00.123Z",
        "properties": {"total": 9.5, "currency": "EUR"},
        "context": {"ip": "203.0.113.7", "page": {"url": "https://shop.example/done"}},
    },
    {
        "type": "page",
        "name": "Home",
        "messageId": "ajs-next-2",
        "anonymousId": "a-2",
        "timestamp": "2025-06-01T12:00:01.000Z",
    },
]
GA4: list[dict[str, Any]] = [
    {
        "event_date": "20250601",
        "event_timestamp": "1748779200123456",
        "event_name": "purchase",
        "event_params": [
            {"key": "page_location", "value": {"string_value": "https://shop.example/cart"}},
            {"key": "value", "value": {"double_value": 12.5}},
            {"key": "ga_session_id", "value": {"int_value": "1748779000"}},
        ],
        "user_id": None,
        "user_pseudo_id": "123.456",
        "device": {"category": "mobile", "operating_system": "Android"},
        "geo": {"country": "Germany", "city": "Berlin"},
    }
]


def snowplow_line() -> str:
    """One line of the loader's files: 131 fields, of which a page view sets these (their places in the canonical event
    model: https://docs.snowplow.io/docs/fundamentals/canonical-event/)."""
    fields = [""] * 131
    for place, value in {
        0: "shop",
        1: "web",
        3: "2025-06-01 12:00:02.500",
        4: "2025-06-01 12:00:02.000",
        5: "page_view",
        6: "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
        12: "u-9",
        15: "5d4dc6e2-8ba4-470e-aed7-cc6ab8a62a14",
        29: "https://shop.example/sofa",
        30: "Sofa",
    }.items():
        fields[place] = value
    return "\t".join(fields)


def lines(*records: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def test_files_of_three_tools_dropped_on_the_page_give_the_right_events(desk: Desk, page: Page) -> None:
    pick(page, "auto")
    drop(page, "body", "segment/1748736000000.gz", gzip.compress(lines(*SEGMENT)))
    drop(page, "body", "ga4-000000000000.json", lines(*GA4))
    drop(page, "body", "enriched-2025-06-01.tsv", snowplow_line().encode())
    imported(page, 4)
    expect(page.locator("#rejected")).to_have_text("0")
    found = {one["event"]: one["properties"] for one in desk.events()}
    order, purchase = found["Order Completed"], found["purchase"]
    assert (order["time"], order["$user_id"], order["$device_id"]) == (1748779200123, "u-1", "a-1")
    assert (order["total"], order["ip"], order["$current_url"]) == (9.5, "203.0.113.7", "https://shop.example/done")
    assert (purchase["time"], purchase["$device_id"], purchase["value"]) == (1748779200123, "123.456", 12.5)
    assert {one["properties"]["time"] for one in desk.events()} >= {1748779201000}
    assert any(one.get("$user_id") == "u-9" for one in found.values())
    expect(page.locator("#event-rows .name")).to_have_count(4)


# Messages


def test_a_message_is_published_from_the_page(desk: Desk, page: Page) -> None:
    pick(page, "auto")
    page.get_by_label("Or publish a message").fill(lines(SEGMENT[0]).decode())
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#published")).to_contain_text("Published as message")
    imported(page, 1)
    tab(page, "Sources")
    source = page.locator(".source", has_text="subscriptions/events")
    source.get_by_role("button", name="Events").click()
    expect(page.locator("#event-rows .name")).to_have_text(["Order Completed"])
    page.get_by_label("Or publish a message").fill("{broken")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#rejected")).to_have_text("1", timeout=20_000)
    tab(page, "Sources")
    expect(page.locator(".source")).to_have_count(1)
    page.get_by_role("button", name="1 rejects").click()
    expect(page.locator("#reject-rows details")).to_have_count(1)


# The preview


def test_files_of_every_kind_are_previewed(desk: Desk, page: Page, tmp_path: Path) -> None:
    table = tmp_path / "rows.parquet"
    duckdb.sql(
        "copy (select 'Signup' as event, timestamp '2025-06-01 12:00:00' as time, 'u-1' as distinct_id, 'pro' as plan)"
        f" to '{table}' (format parquet)"
    )
    text = io.StringIO()
    csv.writer(text).writerows([["event", "time", "distinct_id"], ["Signup", "2025-06-01T12:00:00Z", "u-1"]])
    files = {
        "rows.parquet": (table.read_bytes(), "parquet"),
        "rows.csv": (text.getvalue().encode(), "csv"),
        "rows.csv.gz": (gzip.compress(text.getvalue().encode()), "csv"),
        "segment.json.gz": (gzip.compress(lines(*SEGMENT[:1])), "ndjson"),
        "enriched.tsv": (snowplow_line().encode(), "ndjson"),
    }
    pick(page, "auto")
    tab(page, "Preview")
    for name, (content, kind) in files.items():
        drop(page, "#preview-text", name, content)
        expect(page.locator("#preview-vendor")).to_contain_text(f"Format: {kind}.", timeout=15_000)
        expect(page.locator("#preview-result")).to_contain_text("1 record: 1 event would be imported", timeout=15_000)
        page.locator("#preview-rows").evaluate("rows => rows.replaceChildren()")
        page.locator("#preview-vendor").evaluate("element => (element.textContent = '')")
    assert desk.sandbox.ask("summary")["requests"] == 0


def test_a_preview_shows_each_record_before_and_after_with_the_rule_that_touched_each_property(
    desk: Desk, page: Page, picture: Any
) -> None:
    pick(page, str(desk.mapping))
    tab(page, "Preview")
    record = {"what": "Signup", "at": 1748779200, "who": "u-1", "secret": "x", "note": "ask ada@example.com"}
    page.locator("#preview-text").fill(lines(record, {"what": "No time", "who": "u-2"}, *SEGMENT[:1]).decode())
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview-result")).to_have_text(
        "3 records: 1 event would be imported, 2 rejected, 0 dropped.", timeout=15_000
    )
    expect(page.locator("#preview-vendor")).to_have_text("Format: ndjson. Recognised: Segment (1).")
    sides = page.locator("#preview-rows details").first.locator(".side")
    expect(sides.first.locator("pre")).to_contain_text('"secret": "x"')
    after = sides.nth(1)
    expect(after.locator(".line", has_text='"note"')).to_contain_text("ask ***")
    expect(after.locator(".line", has_text='"note"').locator(".tag")).to_have_text(["shop.toml", "mask.email"])
    expect(after.locator(".line", has_text='"ip"').locator(".tag")).to_have_text(["completed"])
    expect(after.get_by_text("left out:")).to_contain_text("secret properties.deny")
    left, right = sides.first.bounding_box(), after.bounding_box()
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]
    picture(page, "live-view-preview")
    assert desk.sandbox.ask("summary")["requests"] == 0


def test_a_preview_says_what_is_odd_and_which_lines_mend_it(desk: Desk, page: Page) -> None:
    pick(page, str(desk.mapping))
    tab(page, "Preview")
    made = [{"what": "Viewed", "at": 1748779200 + n, "who": "u", "session": f"s-{n * 7919}"} for n in range(3000)]
    drop(page, "#preview-text", "views.jsonl", lines(*made))
    page.get_by_role("button", name="What is odd about it?").click()
    expect(page.locator("#found")).to_contain_text("3,000 events looked at", timeout=20_000)
    expect(page.locator("#finding-rows")).to_contain_text(
        re.compile(r"session has [23],\d{3} different values in 3,000 events: an id, by which nothing can be grouped")
    )
    expect(page.locator("#mending pre")).to_contain_text('"session"')
    assert serious_findings(page) == []


# Mappings, picked on the page


def test_a_mapping_that_is_picked_takes_effect_and_a_broken_one_says_what_the_terminal_says(
    desk: Desk, page: Page
) -> None:
    pick(page, str(desk.mapping))
    drop(page, "body", "first.jsonl", lines({"what": "First", "at": 1748779200, "who": "u"}))
    imported(page, 1)
    tab(page, "Preview")
    page.locator("#preview-text").fill(lines({"what": "First", "at": 1748779200, "who": "u"}).decode())
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview-rows pre").nth(1)).to_contain_text('"event": "First"', timeout=15_000)

    assert "shop.toml changed" not in desk.sandbox.shown  # it was picked, and is as it was
    desk.mapping.write_text(SHOP.replace('event = "what"', 'evnet = "what"'))
    expect(page.locator("#banner")).to_be_visible(timeout=20_000)
    sentence = re.search(r"\d\d:\d\d:\d\d  (.*shop\.toml, line 1: .*)", desk.sandbox.shown)
    assert sentence
    expect(page.locator("#banner .why")).to_have_text(sentence[1])
    expect(page.locator("#state")).to_have_text("The functions are down")
    assert serious_findings(page) == []
    tab(page, "Events")
    drop(page, "body", "second.jsonl", lines({"what": "Second", "at": 1748779200, "who": "u"}))
    expect(page.locator("#uploads li").first).to_contain_text("it waits: the functions do not run")
    tab(page, "Preview")
    expect(page.locator("#preview-result")).to_contain_text("shop.toml, line 1: evnet is not known", timeout=15_000)

    desk.mapping.write_text(SHOP.replace('event = "what"', 'event = { path = "what", do = ["lower"] }'))
    expect(page.locator("#banner")).to_be_hidden(timeout=20_000)
    imported(page, 2)
    assert [one["event"] for one in desk.events()] == ["First", "second"]
    expect(page.locator("#preview-rows pre").nth(1)).to_contain_text('"event": "first"', timeout=15_000)


# Rejects: the reason found, the mapping mended, sent again

README = processes.ROOT / "README.md"
LOG = processes.ROOT / "sandbox" / "data" / "shop-log.jsonl"
MENDED = {
    'event = "what"': 'event = ["what", "action"]',
    'time = { path = "at", unit = "s" }': 'time = { first = ["at", "ts"], unit = "s" }',
    'device_id = "cookie"': 'device_id = ["cookie", "visitor"]',
}


def test_a_file_with_three_kinds_of_bad_lines_is_brought_in_from_the_page_alone(
    desk: Desk, page: Page, picture: Any
) -> None:
    """The walk that the README shows, with its mapping, its file and its pictures."""
    walk = README.read_text().partition("### From a file to its events")[2].partition("\n## ")[0]
    (mapping,) = re.findall(r"```toml\n(.*?)```", walk, re.DOTALL)
    assert all(f"`{after}`" in walk for after in MENDED.values())
    pick(page, str(desk.mapping))
    so_far = len(desk.sandbox.shown)
    desk.mapping.write_text(mapping)
    desk.sandbox.wait_for("The functions run again", so_far)
    expect(page.locator("#state")).to_have_text("Live")
    drop(page, "body", LOG.name, LOG.read_bytes())
    expect(page.locator("#uploads li")).to_contain_text("done: 5 imported, 5 rejected", timeout=20_000)
    page.locator("#uploads li").get_by_role("button", name="Rejects").click()
    groups = page.locator("#groups .group")
    expect(groups).to_have_count(3)
    expect(groups.filter(has_text="has no event name: what must be a text and is missing")).to_contain_text("2")
    expect(groups.filter(has_text="has no usable time: at must be")).to_contain_text("2")
    expect(groups.filter(has_text="has no user")).to_contain_text("1")
    groups.filter(has_text="has no event name").click()
    expect(page.locator("#reject-rows details")).to_have_count(2)
    page.locator("#reject-rows summary").first.click()
    expect(page.locator("#reject-rows pre")).to_contain_text('"action": "Cart Filled"')
    picture(page, "walk-1-reasons")

    page.get_by_text("Edit the file").click()
    text = page.get_by_label("The mapping file", exact=True)
    expect(text).to_have_value(mapping)
    for before, after in MENDED.items():
        assert before in mapping
        mapping = mapping.replace(before, after)
    text.fill(mapping)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#mapping-saved")).to_have_text("Saved.")
    expect(page.locator("#state")).to_have_text("The functions start\u2026", timeout=20_000)
    expect(page.locator("#state")).to_have_text("Live", timeout=20_000)
    picture(page, "walk-2-mapping")
    assert serious_findings(page) == []

    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download").click()
    stored = [json.loads(line) for line in Path(downloading.value.path()).read_text().splitlines()]
    assert [reject["line"] for reject in stored] == [3, 5, 6, 7, 8]
    assert json.loads(stored[0]["event"])["action"] == "Cart Filled"

    page.get_by_role("button", name="Send all again").click()
    expect(page.locator("#sent-again")).to_have_text(
        "Sent again: 5 imported, 0 dropped, 0 rejected again.", timeout=30_000
    )
    expect(page.locator("#rejected")).to_have_text("0")
    expect(page.locator("#imported")).to_have_text("10")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator("#reject-rows details")).to_have_count(0)
    expect(page.locator("#uploads li")).to_contain_text("sent again: 5 imported, 0 rejected")
    page.evaluate("scrollTo(0, 0)")
    picture(page, "walk-3-sent-again")
    tab(page, "Sources")
    expect(page.locator("#source-rows .badge")).to_have_text("sent again")
    page.locator("#source-rows").get_by_role("button", name="Events").click()
    expect(page.locator("#event-rows details")).to_have_count(10)
    assert {one["properties"]["total"] for one in desk.events() if one["event"] == "Order Completed"} == {
        849.0,
        420.5,
        129.9,
    }


def test_what_is_rejected_again_stays_with_its_new_reason(desk: Desk, page: Page) -> None:
    pick(page, "")
    drop(page, "body", "mixed.jsonl", lines(SEGMENT[0], {"a": 1}))
    expect(page.locator("#rejected")).to_have_text("2", timeout=20_000)
    assert "No mapping is picked: starting the functions again" in desk.sandbox.shown
    tab(page, "Rejects")
    expect(page.locator("#groups")).to_contain_text("looks like Segment: set IMPORT_MAPPING=segment (or auto)")
    pick(page, "segment")
    page.get_by_role("button", name="Send all again").click()
    expect(page.locator("#sent-again")).to_have_text(
        "Sent again: 1 imported, 0 dropped, 1 rejected again.", timeout=30_000
    )
    expect(page.locator("#rejected")).to_have_text("1")
    expect(page.locator("#reject-rows details")).to_have_count(1)
    expect(page.locator("#groups .group")).to_have_count(1)
    expect(page.locator("#reject-rows summary")).to_contain_text("line 2")
