"""Browser and system out of a user agent, in the names that Mixpanel's own JavaScript library gives them.

https://github.com/mixpanel/mixpanel-js, src/utils.js (`_.info`). It looks for words, as that library does: what is none
of these has no name, rather than a wrong one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_MAX_LENGTH = 512
"""Longer is no user agent; and so what is kept of them is bounded."""
_KEPT = 2048

_BROWSERS = (
    (r" OPR/|Opera", "Opera", r"(?:OPR|Opera)/"),
    (r"BlackBerry|PlayBook|BB10", "BlackBerry", r"BlackBerry "),
    (r"IEMobile|WPDesktop", "Internet Explorer Mobile", r"rv:"),
    (r"SamsungBrowser/", "Samsung Internet", r"SamsungBrowser/"),
    (r"Edge|Edg/|EdgA/|EdgiOS/", "Microsoft Edge", r"Edg(?:e|A|iOS)?/"),
    (r"FBIOS", "Facebook Mobile", None),
    (r"Whale/", "Whale Browser", r"Whale/"),
    (r"Chrome", "Chrome", r"Chrome/"),
    (r"CriOS", "Chrome iOS", r"CriOS/"),
    (r"UCWEB|UCBrowser", "UC Browser", r"(?:UCBrowser|UCWEB)/"),
    (r"FxiOS", "Firefox iOS", r"FxiOS/"),
    (r"(?:iPhone|iPad|iPod).* Safari/", "Mobile Safari", r"Version/"),
    (r"Macintosh.* Safari/", "Safari", r"Version/"),
    (r"Android.* AppleWebKit/", "Android Mobile", r"[Aa]ndroid\s"),
    (r"Konqueror", "Konqueror", r"Konqueror/"),
    (r"Firefox", "Firefox", r"Firefox/"),
    (r"MSIE|Trident/", "Internet Explorer", r"(?:rv:|MSIE )"),
)
_SYSTEMS = (
    (r"Windows Phone|WPDesktop", "Windows Phone", "Windows Phone"),
    (r"Windows", "Windows", None),
    (r"iPad", "iOS", "iPad"),
    (r"iPod", "iOS", "iPod Touch"),
    (r"iPhone", "iOS", "iPhone"),
    (r"Android", "Android", "Android"),
    (r"BlackBerry|PlayBook|BB10", "BlackBerry", "BlackBerry"),
    (r"Macintosh|Mac OS X", "Mac OS X", None),
    (r"Linux", "Linux", None),
    (r"CrOS", "Chrome OS", None),
)
_NUMBER = r"(\d+(?:\.\d+)?)"


def client(user_agent: object) -> dict[str, Any]:
    """`$browser`, `$browser_version` (a number), `$os` and `$device`, as far as they can be told; not to be changed."""
    if user_agent.__class__ is not str or len(user_agent) > _MAX_LENGTH:
        return {}
    return _client(user_agent)


@lru_cache(_KEPT)
def _client(user_agent: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word, browser, before_version in _BROWSERS:
        if re.search(word, user_agent):
            found["$browser"] = browser
            if before_version and (version := re.search(before_version + _NUMBER, user_agent)):
                number = float(version[1])
                found["$browser_version"] = int(number) if number.is_integer() else number
            break
    for word, system, device in _SYSTEMS:
        if re.search(word, user_agent):
            found["$os"] = system
            if device:
                found["$device"] = device
            break
    return found
