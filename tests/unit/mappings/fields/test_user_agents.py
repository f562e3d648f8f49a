"""Browsers and systems, as Mixpanel's JavaScript library names them."""

from __future__ import annotations

from typing import Any

import pytest

from importer.mappings.fields.user_agents import client

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36"
AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "Chrome on Windows": (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME}",
        {"$browser": "Chrome", "$browser_version": 137, "$os": "Windows"},
    ),
    "Edge": (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Edg/136.5.0.0",
        {"$browser": "Microsoft Edge", "$browser_version": 136.5, "$os": "Windows"},
    ),
    "Opera": (
        f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} OPR/119.0.0.0",
        {"$browser": "Opera", "$browser_version": 119, "$os": "Linux"},
    ),
    "Chrome on Android": (
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/137.0.0.0 Mobile Safari/537.36",
        {"$browser": "Chrome", "$browser_version": 137, "$os": "Android", "$device": "Android"},
    ),
    "Samsung": (
        "Mozilla/5.0 (Linux; Android 14; SM-S911B) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
        {"$browser": "Samsung Internet", "$browser_version": 27, "$os": "Android", "$device": "Android"},
    ),
    "Safari on a Mac": (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.4 Safari/605.1.15",
        {"$browser": "Safari", "$browser_version": 18.4, "$os": "Mac OS X"},
    ),
    "Safari on an iPhone": (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) Version/18.4 Mobile/15E148 Safari/604.1",
        {"$browser": "Mobile Safari", "$browser_version": 18.4, "$os": "iOS", "$device": "iPhone"},
    ),
    "Chrome on an iPad": (
        "Mozilla/5.0 (iPad; CPU OS 18_4 like Mac OS X) CriOS/137.0.7151.51 Mobile/15E148 Safari/604.1",
        {"$browser": "Chrome iOS", "$browser_version": 137, "$os": "iOS", "$device": "iPad"},
    ),
    "Firefox": (
        "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
        {"$browser": "Firefox", "$browser_version": 139, "$os": "Linux"},
    ),
    "a Chromebook": (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME}",
        {"$browser": "Chrome", "$browser_version": 137, "$os": "Chrome OS"},
    ),
    "Internet Explorer": (
        "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
        {"$browser": "Internet Explorer", "$browser_version": 11, "$os": "Windows"},
    ),
    "a server's library": ("python-requests/2.32", {}),
    "nothing": ("", {}),
    "far too long": ("Chrome/137" * 1000, {}),
}


@pytest.mark.parametrize(("agent", "expected"), AGENTS.values(), ids=AGENTS)
def test_browser_and_system_are_told_from_the_user_agent(agent: str, expected: dict[str, Any]) -> None:
    assert client(agent) == expected


@pytest.mark.parametrize("agent", [None, 7, ["Chrome"], {"Chrome": 1}])
def test_what_is_no_text_is_no_user_agent(agent: object) -> None:
    assert client(agent) == {}
