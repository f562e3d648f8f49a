"""The live view, in a real browser, over the real importer and a real bucket."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from isal import igzip
from playwright.sync_api import BrowserContext, Page, expect

from sandbox import processes
from sandbox.clients import Bucket, Standin
from sandbox.events import Events
from sandbox.log_forwarder import Teller
from tests.sandbox.browser import PICTURES, drop, serious_findings

SAMPLE = processes.ROOT / "sandbox" / "data" / "sample-events.jsonl"


@dataclass(frozen=True)
class World:
    """All that the page shows: the stand-in, the bucket, and the function between them."""

    standin: Standin
    bucket: Bucket
    process: processes.Process


@pytest.fixture(scope="module")
def everything() -> Iterator[tuple[World, str]]:
    with ExitStack() as running:
        start = running.enter_context
        bucket = start(processes.service("sandbox.bucket", "--port", "0", "--bucket", "events"))
        transform = ("--transform", "tests.sandbox.mapping:to_mixpanel")
        options = ("--port", "0", "--bucket-url", bucket.url, "--bucket", "events", *transform)
        standin = start(processes.service("sandbox.mixpanel", *options))
        settings = {
            "MIXPANEL_API_URL": standin.url,
            "MIXPANEL_PROJECT_TOKEN": "demo",
            "STORAGE_EMULATOR_HOST": bucket.url,
            "IMPORT_SOURCE_HEADER": "X-Import-Source",
            "IMPORT_BACKOFF": "0.5",
        }
        tell = start(Teller(standin.url))
        function = start(processes.function("gcs_import", environment=settings, on_line=tell))
        yield World(Standin(standin.url), Bucket(bucket.url, "events"), standin.process), function.url


@pytest.fixture
def world(everything: tuple[World, str]) -> World:
    world, function_url = everything
    world.bucket.reset()
    world.standin.reset()
    world.bucket.send_events_to(function_url)
    return world


@pytest.fixture
def page(world: World, context: BrowserContext) -> Iterator[Page]:
    """The page, open and live. It may say nothing on the console of itself, and ask nobody but the stand-in."""
    said: list[str] = []
    asked: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(world.standin.url)
    expect(page.locator("#state")).to_have_text("Live")
    yield page
    assert [text for text in said if "the server responded with a status of 4" not in text] == []
    assert [url for url in asked if not url.startswith((world.standin.url, "data:"))] == []


def event(number: int, name: str = "Signup", user: str = "user-1", **properties: Any) -> dict[str, Any]:
    return {
        "event": name,
        "properties": {"time": 1_700_000_000, "distinct_id": user, "$insert_id": f"id-{number}", **properties},
    }


def lines(*events: dict[str, Any]) -> str:
    return "\n".join(json.dumps(each) for each in events)


def post(world: World, body: bytes, gzipped: bool = False) -> requests.Response:
    headers = {"Content-Type": "application/x-ndjson", **({"Content-Encoding": "gzip"} if gzipped else {})}
    url = f"{world.standin.url}/import?strict=1"
    return requests.post(url, data=body, headers=headers, auth=("a-token", ""), timeout=30)


def events_shown(page: Page) -> list[str]:
    return page.locator("#event-rows .name").all_text_contents()


def test_a_file_dropped_on_the_page_is_imported_and_seen_within_two_seconds(world: World, page: Page) -> None:
    drop(page, "body", "sample.jsonl", SAMPLE.read_bytes())
    dropped = time.monotonic()
    expect(page.locator("#imported")).to_have_text("10", timeout=2000)
    expect(page.locator("#event-rows details")).to_have_count(10)
    assert time.monotonic() - dropped < 2
    expect(page.locator("#uploads li")).to_contain_text("done: 10 imported, 0 rejected")
    page.get_by_role("tab", name="Sources").click()
    expect(page.locator("#source-rows summary")).to_contain_text("sample.jsonl")


def test_a_file_can_be_chosen_too(world: World, page: Page) -> None:
    page.set_input_files("#file", SAMPLE)
    expect(page.locator("#uploads li")).to_contain_text("done: 10 imported, 0 rejected", timeout=10_000)
    assert len(world.standin.ids()) == 10


def test_an_event_opens_to_its_json_as_it_was_written(world: World, page: Page) -> None:
    post(world, b'{"event":"Signup","properties":{"time":1700000000,"distinct_id":"","$insert_id":"id-1",'
                b'"big":12345678901234567890,"markup":"<b>not bold</b>","nested":{"tags":["a","b"]}}}')  # fmt: skip
    page.locator("#event-rows summary").click()
    shown = page.locator("#event-rows pre")
    expect(shown).to_contain_text('"big": 12345678901234567890')
    expect(shown).to_contain_text('"markup": "<b>not bold</b>"')
    expect(page.locator("#event-rows .facts")).to_contain_text("2023-11-14 22:13:20 UTC")
    expect(page.locator("#event-rows summary")).to_contain_text("no user")


def test_a_reject_opens_to_its_place_its_reason_and_its_text(world: World, page: Page, picture: Any) -> None:
    bad = [lines(event(1)), "{broken", lines(event(2, time="soon")), lines(event(3, user="anonymous")), lines(event(4))]
    drop(page, "body", "salted.jsonl", "\n".join(bad).encode())
    expect(page.locator("#rejected")).to_have_text("3", timeout=10_000)
    expect(page.locator("#imported")).to_have_text("2")
    page.get_by_role("tab", name="Rejects").click()
    rejects = page.locator("#reject-rows details")
    expect(rejects).to_have_count(3)
    refused = rejects.filter(has_text="line 4")
    refused.locator("summary").click()
    expect(refused.locator(".facts").first).to_contain_text(re.compile(r"object gs://events/salted\.jsonl#\d+ ?line 4"))
    expect(refused.locator(".facts").first).to_contain_text("field properties.distinct_id")
    expect(refused.locator(".body .reason")).to_contain_text("'anonymous' is not allowed")
    expect(refused.locator("pre")).to_contain_text('"distinct_id": "anonymous"')
    expect(rejects.filter(has_text="line 2").locator("summary")).to_contain_text("is not JSON")
    picture(page, "seen-reject")


def test_the_import_finishes_whatever_trouble_is_made(world: World, page: Page, picture: Any) -> None:
    slider = page.get_by_role("slider", name="429 too many requests")
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    expect(page.locator("#trouble")).to_contain_text("429 for 50 %")
    content = "\n".join(lines(event(n)) for n in range(6000))
    drop(page, "body", "many.jsonl", content.encode())
    expect(page.locator("#uploads li")).to_contain_text("done: 6,000 imported, 0 rejected", timeout=90_000)
    expect(page.locator("#imported")).to_have_text("6,000")
    page.get_by_role("tab", name="Batches").click()
    expect(page.locator("#request-rows details").filter(has_text="429")).not_to_have_count(0)
    page.get_by_role("button", name="No more trouble").click()
    expect(page.locator("#trouble")).to_be_hidden()
    assert requests.get(f"{world.standin.url}/sandbox/faults", timeout=10).json()["429"] == 0
    assert len(world.standin.ids()) == 6000


def test_switches_turn_and_follow_what_others_turn(world: World, page: Page) -> None:
    page.get_by_role("switch", name="Refuse credentials").click()
    page.get_by_role("switch", name="Enforce the real rate limit").click()
    expect(page.locator("#trouble")).to_have_text("Trouble: rate limited, credentials refused")
    assert post(world, lines(event(1)).encode()).status_code == 401
    world.standin.faults(unauthorized=False, latency=1.5, **{"503": 0.2})
    expect(page.locator("#trouble")).to_have_text("Trouble: 503 for 20 %, 1.5 s late, rate limited")
    expect(page.get_by_role("switch", name="Refuse credentials")).not_to_be_checked()
    expect(page.get_by_role("slider", name="Latency")).to_have_value("1.5")


def test_shares_that_come_to_more_than_one_are_refused_in_a_sentence(world: World, page: Page) -> None:
    world.standin.faults(**{"503": 0.9})
    slider = page.get_by_role("slider", name="429 too many requests")
    slider.press("End")
    expect(page.get_by_role("alert")).to_have_text("The shares of requests that fail come to more than 1.")
    expect(slider).to_have_value("0")


def test_events_are_filtered_by_name_and_user(world: World, page: Page) -> None:
    events = [
        event(n, name, user) for n, (name, user) in enumerate([("Signup", "ann"), ("Login", "ann"), ("Login", "bo")])
    ]
    post(world, lines(*events).encode())
    expect(page.locator("#event-rows details")).to_have_count(3)
    page.get_by_label("Event", exact=True).fill("log")
    expect(page.locator("#event-rows details")).to_have_count(2)
    page.get_by_label("User", exact=True).fill("BO")
    expect(page.locator("#event-rows details")).to_have_count(1)
    post(world, lines(event(11, "Logout", "bob"), event(12, "Logout", "ann")).encode())
    expect(page.locator("#event-rows details")).to_have_count(2)
    assert events_shown(page) == ["Logout", "Login"]


def test_sources_and_rejects_are_filtered_by_source(world: World, page: Page) -> None:
    for name in ("first", "second"):
        world.bucket.put(f"{name}.jsonl", b"{broken")
    page.get_by_role("tab", name="Rejects").click()
    expect(page.locator("#reject-rows details")).to_have_count(2, timeout=10_000)
    page.get_by_label("Source", exact=True).fill("second")
    expect(page.locator("#reject-rows details")).to_have_count(1)
    page.get_by_role("tab", name="Sources").click()
    expect(page.locator("#source-rows details")).to_have_count(1)


def test_what_is_being_read_stays_until_it_is_let_go(world: World, page: Page) -> None:
    post(world, lines(event(1, "First")).encode())
    page.locator("#event-rows summary").click()
    post(world, lines(event(2, "Second")).encode())
    expect(page.locator("#held")).to_have_text("Held while you read: 1 more event came in. Show them.")
    assert events_shown(page) == ["First"]
    page.locator("#held").click()
    expect(page.locator("#event-rows .name")).to_have_text(["Second", "First"])
    page.get_by_role("button", name="Pause", exact=True).click()
    post(world, lines(event(3, "Third")).encode())
    expect(page.locator("#held")).to_contain_text("while you pause: 1 more event")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#event-rows .name")).to_have_text(["Third", "Second", "First"])


def test_all_of_it_works_from_the_keyboard(world: World, page: Page) -> None:
    post(world, lines(event(1, "First"), event(2, "Second")).encode())
    expect(page.locator("#event-rows details")).to_have_count(2)
    page.get_by_role("tab", name="Events").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Sources")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Sources")).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_role("tabpanel", name="Preview")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Events")).to_be_focused()
    page.locator("#event-rows summary").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#event-rows details").nth(1)).to_have_attribute("open", "")
    expect(page.locator("#event-rows pre")).to_contain_text('"First"')


def test_a_preview_shows_what_the_transform_makes_and_imports_nothing(world: World, page: Page, picture: Any) -> None:
    page.get_by_role("tab", name="Preview").click()
    records = [
        {"type": "Signup", "when": 1_700_000_000, "who": "user-1", "plan": "pro"},
        {"type": "heartbeat"},
        {"type": "Login", "when": 0, "who": "user-1"},
        {"when": 1_700_000_000},
    ]
    page.locator("#preview-text").fill("\n".join(json.dumps(record) for record in records))
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview-result")).to_have_text(
        "4 records: 1 event would be imported, 2 rejected, 1 dropped.", timeout=15_000
    )
    expect(page.locator("#preview-rows .badge")).to_have_text(["imported", "dropped", "rejected", "rejected"])
    expect(page.locator("#preview-rows summary").nth(2)).to_contain_text("properties.time")
    expect(page.locator("#preview-rows summary").nth(3)).to_contain_text("the transform raised KeyError: 'type'")
    expect(page.locator("#preview-rows pre").nth(1)).to_contain_text('"plan": "pro"')
    picture(page, "seen-transform")
    assert world.standin.summary()["requests"] == 0
    world.standin.preview_by(None)
    expect(page.locator("#transform")).to_have_text("There is no transform: events are taken as they are.")
    world.standin.preview_by("tests.sandbox.mapping:to_mixpanel")
    expect(page.locator("#transform")).to_have_text("The transform is tests.sandbox.mapping:to_mixpanel.")


def test_a_file_dropped_on_the_preview_is_previewed_and_not_uploaded(world: World, page: Page) -> None:
    page.get_by_role("tab", name="Preview").click()
    content = lines({"type": "Signup", "when": 1_700_000_000, "who": "user-1"}).encode()
    drop(page, "#preview-text", "log.jsonl.gz", igzip.compress(content))
    expect(page.locator("#preview-result")).to_contain_text("1 record: 1 event would be imported", timeout=15_000)
    assert world.bucket.deliveries() == []


def test_forgetting_empties_the_page(world: World, page: Page) -> None:
    post(world, lines(event(1), event(2, time=0)).encode())
    expect(page.locator("#event-rows details")).to_have_count(1)
    page.get_by_role("button", name="Forget everything").click()
    expect(page.locator("#event-rows details")).to_have_count(0)
    expect(page.locator("#imported")).to_have_text("0")
    expect(page.locator("#count-rejects")).to_have_text("")
    post(world, lines(event(1)).encode())
    expect(page.locator("#imported")).to_have_text("1")


def test_it_fits_a_phone_in_light_and_in_dark(world: World, page: Page, picture: Any) -> None:
    for n in range(24 if PICTURES else 2):
        made = Events(400 + 170 * (n * n % 7), bad_share=0.01, seed=n or 1)
        world.bucket.put(f"web/2025-06-{n + 1:02}.jsonl", b"\n".join(made.records()))
        world.bucket.wait_until_delivered(n + 1)
        time.sleep(n * n % 3)
    expect(page.locator("#duplicates")).to_have_text("and 396 duplicates")
    time.sleep(1)
    picture(page, "live-view")
    page.get_by_role("tab", name="Sources").click()
    picture(page, "seen-sources")
    page.emulate_media(color_scheme="dark")
    page.get_by_role("tab", name="Events").click()
    page.locator("#event-rows summary").nth(2).click()
    picture(page, "seen-dark")
    page.set_viewport_size({"width": 390, "height": 844})
    picture(page, "seen-phone")
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# From a thing to what belongs to it


def test_from_a_source_it_is_one_click_to_its_events_rejects_and_batches(world: World, page: Page) -> None:
    for name in ("first", "second"):
        good = lines(event(ord(name[0]), f"From {name}"), event(ord(name[1]), f"From {name}"))
        world.bucket.put(f"{name}.jsonl", f"{good}\n{{broken {name}".encode())
    expect(page.locator("#imported")).to_have_text("4", timeout=10_000)
    expect(page.locator("#rejected")).to_have_text("2")
    page.get_by_role("tab", name="Sources").click()
    source = page.locator(".source", has_text="second.jsonl")
    source.get_by_role("button", name="Events").click()
    expect(page.locator("#event-rows .name")).to_have_text(["From second"] * 2)
    assert re.search(r"\?source=gs%3A%2F%2Fevents%2Fsecond\.jsonl%23\d+$", page.url)
    page.go_back()
    source.get_by_role("button", name="1 rejects").click()
    expect(page.locator("#reject-rows details")).to_have_count(1)
    expect(page.locator("#reject-rows summary")).to_contain_text("line 3")
    page.go_back()
    source.get_by_role("button", name="Batches").click()
    expect(page.locator("#request-rows details")).to_have_count(1)
    page.locator("#request-rows summary").click()
    page.get_by_role("button", name="Its events").click()
    expect(page.locator("#only-request")).to_be_visible()
    expect(page.locator("#event-rows .name")).to_have_text(["From second"] * 2)
    page.reload()
    expect(page.locator("#event-rows .name")).to_have_text(["From second"] * 2)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator("#event-rows details")).to_have_count(4)


def test_what_is_looked_at_stands_in_the_address_and_slash_searches(world: World, page: Page) -> None:
    post(world, lines(event(1, "Signup", "ann"), event(2, "Login", "bo")).encode())
    page.keyboard.press("/")
    expect(page.get_by_label("Event", exact=True)).to_be_focused()
    page.keyboard.type("log")
    expect(page.locator("#event-rows .name")).to_have_text(["Login"])
    page.get_by_role("tab", name="Batches").click()
    page.get_by_label("Range").select_option("10")
    assert page.url.removeprefix(world.standin.url) == "/?tab=batches&range=10&event=log"
    page.reload()
    expect(page.get_by_role("tab", name="Batches")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_label("Range")).to_have_value("10")
    page.get_by_role("tab", name="Events").click()
    expect(page.get_by_label("Event", exact=True)).to_have_value("log")
    page.go_back()
    expect(page.get_by_role("tabpanel", name="Batches")).to_be_visible()


def test_what_is_empty_says_whether_nothing_came_or_nothing_matches(world: World, page: Page) -> None:
    expect(page.get_by_role("tabpanel", name="Events")).to_contain_text("No events yet.")
    expect(page.locator("#do-events code").first).to_have_text(f"curl -T my-events.jsonl {world.bucket.url}/events/")
    sending = page.locator("#do-events code").nth(1).inner_text()
    subprocess.run(sending, shell=True, check=True, capture_output=True)  # noqa: S602
    expect(page.locator("#imported")).to_have_text("1")
    post(world, lines(event(2, time=0)).encode())
    for tab, field in (("Events", "Event"), ("Rejects", "Reason"), ("Batches", "Answer"), ("Sources", "Source")):
        page.get_by_role("tab", name=tab).click()
        page.get_by_label(field, exact=True).fill("nothing is called so")
        panel = page.get_by_role("tabpanel", name=tab)
        expect(panel.locator(".empty:visible")).to_contain_text("Nothing matches.")
        panel.get_by_role("button", name="Clear the filters").click()
        expect(page.get_by_label(field, exact=True)).to_have_value("")
    page.get_by_role("tab", name="Rejects").click()
    expect(page.locator("#reject-rows details")).to_have_count(1)


# Work that goes on


def test_an_import_that_mixpanel_holds_up_is_shown_at_work_with_what_it_waits_for(
    world: World, page: Page, picture: Any
) -> None:
    world.standin.faults(**{"429": 1.0})
    drop(page, "body", "held-up.jsonl", "\n".join(lines(event(n)) for n in range(3000)).encode())
    page.get_by_role("tab", name="Sources").click()
    row = page.locator(".source", has_text="held-up.jsonl")
    expect(row.locator(".badge")).to_have_text("at work", timeout=10_000)
    expect(row.locator(".working")).to_contain_text(
        re.compile(r"\d+ \u00d7 429; waits .*Mixpanel answered 429"), timeout=10_000
    )
    expect(page.locator("#uploads li")).to_contain_text("at work: 0 imported so far; it waits: Mixpanel answered 429")
    expect(row.locator(".working")).to_contain_text("100 % of it is read", timeout=10_000)
    expect(page.get_by_role("tab", name="Sources")).to_contain_text("1 at work")
    expect(page.locator("#refusals-plot")).to_be_visible()
    expect(page.locator("#refusals")).to_have_attribute(
        "aria-label", re.compile("[1-9]\\d* answered 429, 0 answered 5xx")
    )
    picture(page, "seen-at-work")
    page.get_by_role("button", name="No more trouble").click()
    expect(page.locator("#aftermath")).to_contain_text("It speeds up again by and by")
    expect(row.locator(".badge")).to_have_text("done", timeout=60_000)
    expect(page.locator("#aftermath")).to_be_hidden()
    assert len(world.standin.ids()) == 3000


def test_the_series_of_refused_requests_tells_429_from_5xx(world: World, page: Page) -> None:
    for status in (429, 503, 503):
        world.standin.faults(fail_first={"status": status, "requests": 1})
        assert post(world, lines(event(1)).encode()).status_code == status
    expect(page.locator("#refusals")).to_have_attribute("aria-label", re.compile("1 answered 429, 2 answered 5xx"))
    for range_ in ("10", "60"):
        page.get_by_label("Range").select_option(range_)
        expect(page.locator("#refusals")).to_have_attribute("aria-label", re.compile("1 answered 429, 2 answered 5xx"))


# What was brought, exactly


def test_a_batch_opens_to_its_number_its_sender_and_the_reason(world: World, page: Page) -> None:
    body = lines(event(1), event(2)).encode()
    post(world, body)
    post(world, body, gzipped=False)
    post(world, igzip.compress(lines(event(3), event(4, user="anonymous")).encode()), gzipped=True)
    page.get_by_role("tab", name="Batches").click()
    rows = page.locator("#request-rows details")
    expect(rows).to_have_count(3)
    again = rows.nth(1).locator("[data-name]")
    expect(again).to_have_text(["2", "0", "2", "0", re.compile(r"\d+ B"), re.compile(r"\d+ ms")])
    rows.nth(1).locator("summary").click()
    expect(rows.nth(1)).to_contain_text(
        re.compile(r"request 2.*by python-requests.*signed by token.*\d+ B, not compressed")
    )
    rows.first.locator("summary").click()
    expect(rows.first).to_contain_text("'properties.distinct_id' is invalid: 'anonymous' is not allowed")
    expect(rows.first).to_contain_text(", gzip")
    world.standin.faults(fail_first={"status": "cut_after", "requests": 1})
    with pytest.raises(requests.ConnectionError):
        post(world, lines(event(5)).encode())
    expect(rows.first.locator(".badge")).to_have_text("no answer cut after")
    rows.first.locator("summary").click()
    expect(rows.first).to_contain_text("the events were taken, and then the connection was reset without an answer")
    expect(page.locator("#refused")).to_have_text("1 by Mixpanel\u2019s rules")
    expect(page.locator("#peak")).to_contain_text("in one second")


def test_of_a_small_file_all_events_are_shown(world: World, page: Page) -> None:
    for first in (0, 20, 40):
        post(world, lines(*(event(n, f"E{n}") for n in range(first, first + 21))).encode())
    expect(page.locator("#imported")).to_have_text("61")
    expect(page.locator("#event-rows details")).to_have_count(63)
    expect(page.locator("#sampled")).to_have_text("")


def test_json_shows_dates_and_is_copied_as_it_is_or_as_a_command(world: World, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    post(world, lines(event(1, "It's", big=12345678901234567890)).encode())
    page.locator("#event-rows summary").click()
    expect(page.locator("#event-rows .when")).to_have_attribute("data-date", "2023-11-14 22:13:20 UTC")
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied == event(1, "It's", big=12345678901234567890)
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_have_count(2)
    command = page.evaluate("navigator.clipboard.readText()")
    answer = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)  # noqa: S602
    assert json.loads(answer.stdout)["num_records_imported"] == 1
    expect(page.locator("#duplicates")).to_have_text("and 1 duplicate")


# On any screen, for everyone


CUT = """
[...document.querySelectorAll(".badge, .chip")].filter((each) => each.offsetParent
  && [each, each.parentElement].some((box) => box.scrollWidth > box.clientWidth + 1)).map((each) => each.textContent)
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_it_is_accessible_and_nothing_is_cut(world: World, page: Page, picture: Any, width: int, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    world.standin.faults(fail_first={"status": "cut_after", "requests": 1})
    with pytest.raises(requests.ConnectionError):
        post(world, lines(event(5)).encode())
    content = f"{lines(event(1), event(2, user='anonymous'), event(3))}\n{{broken\n"
    world.bucket.put("a/rather/long/name/of/an/object-2025-06-01T00.jsonl", content.encode())
    expect(page.locator("#rejected")).to_have_text("2", timeout=10_000)
    world.standin.faults(**{"503": 0.2})
    for tab in ("Events", "Sources", "Rejects", "Batches", "Preview"):
        page.get_by_role("tab", name=tab).click()
        if tab == "Preview":
            page.locator("#preview-text").fill(lines({"type": "Signup", "when": 1_700_000_000, "who": "u"}, {"a": 1}))
            page.get_by_role("button", name="Preview").click()
            expect(page.locator("#preview-rows details")).to_have_count(2, timeout=15_000)
        else:
            page.get_by_role("tabpanel", name=tab).locator("summary").first.click()
        assert serious_findings(page) == [], tab
        assert page.evaluate(CUT) == [], tab
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        picture(page, f"seen-{tab.lower()}-{width}-{scheme}", full_page=True)


def test_on_a_phone_sending_and_the_switches_are_one_touch_away(world: World, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for name, place in (("Send", "#file"), ("Mapping", "#mapping-name"), ("Make trouble", "#fault-429")):
        link = page.get_by_role("link", name=name, exact=True)
        link.scroll_into_view_if_needed()
        link.click()
        expect(page.locator(place)).to_be_in_viewport()


def test_the_counts_stay_exact_at_full_speed_and_the_page_still_answers(world: World, page: Page) -> None:
    records = Events(200_000).records()
    bodies = []
    for _ in range(100):
        body = b"\n".join(next(records) for _ in range(2000))
        bodies.append(igzip.compress(body, 1))
    before = memory(world.process)
    with requests.Session() as session:
        session.auth = ("a-token", "")
        session.headers.update({"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"})
        for n, body in enumerate(bodies):
            assert session.post(f"{world.standin.url}/import?strict=1", data=body, timeout=30).status_code == 200
            if n == 50:
                page.get_by_role("tab", name="Batches").click()
                expect(page.locator("#request-rows details").first).to_be_visible(timeout=2000)
                page.get_by_role("tab", name="Events").click()
    expect(page.locator("#imported")).to_have_text("200,000", timeout=2000)
    expect(page.locator("#requests")).to_have_text("100")
    assert 20 <= page.locator("#event-rows details").count() <= 200
    assert memory(world.process) - before < 120_000_000
    assert len(world.standin.ids()) == 200_000


def test_it_says_when_the_stand_in_is_gone_and_comes_back_with_it(context: BrowserContext) -> None:
    port = str(processes.free_port())
    page = context.new_page()
    with processes.service("sandbox.mixpanel", "--port", port) as service:
        page.goto(service.url)
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#bucket")).to_contain_text("There is no bucket here")
    expect(page.locator("#state")).to_contain_text("Not connected")
    with processes.service("sandbox.mixpanel", "--port", port):
        expect(page.locator("#state")).to_have_text("Live", timeout=15_000)


def memory(process: processes.Process) -> int:
    """The bytes of memory that a process holds."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024
