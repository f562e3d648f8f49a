"""A real browser: Debian's Chromium, driven by Playwright.

The tests of the page make the README's pictures, too: `SCREENSHOTS=docs/images python -m pytest tests/sandbox`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from sandbox import processes
from tests.sandbox.browser import ARGUMENTS, CHROMIUM, PICTURES

SEEN = processes.ROOT / ".sandbox" / "screenshots"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        missing = "There is no Chromium: install Debian's (apt-get install chromium), or name one with CHROMIUM=path."
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1360, "height": 960}, reduced_motion="reduce")
    yield context
    context.close()


@pytest.fixture
def picture(tmp_path: Path) -> Any:
    """Takes a picture of a page, by name; one that is only to be looked at (`seen-…`) goes where git does not look."""
    place = processes.ROOT / PICTURES if PICTURES else tmp_path

    def take(page: Page, name: str, **options: Any) -> None:
        page.mouse.move(0, 0)
        if name.startswith("seen-"):
            SEEN.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=SEEN / f"{name}.png", **options)
            return
        page.screenshot(path=place / f"{name}.png", **options)

    return take
