"""The live view, in a real browser, over the real importer and a real bucket."""

from __future__ import annotations

import json
import re
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
from tests.sandbox.browser import PICTURES, drop

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
    picture(page, "live-view-reject")


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
    picture(page, "live-view-preview")
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
    picture(page, "live-view-sources")
    page.emulate_media(color_scheme="dark")
    page.get_by_role("tab", name="Events").click()
    page.locator("#event-rows summary").nth(2).click()
    picture(page, "live-view-dark")
    page.set_viewport_size({"width": 390, "height": 844})
    picture(page, "live-view-phone")
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


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
