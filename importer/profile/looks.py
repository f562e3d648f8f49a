"""What a text looks like: a person's address, an id, a number, a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable

from importer.mappings.filters.patterns import MASKS

_COVER = "\0"
_uuid = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}").fullmatch
_hex = re.compile(r"(?=[a-fA-F]*\d)[0-9a-fA-F]{12,128}").fullmatch
_number = re.compile(r"[+-]?\d+(?:\.\d+)?").fullmatch
_date = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?").fullmatch
_url = re.compile(r"[a-z][a-z0-9+.-]*://\S+").match
_id = re.compile(r"(?=\S*\d\S*\d)[A-Za-z0-9_:.|#=-]{8,128}").fullmatch
_inner = re.compile(r"(?<=\w)\w")
_SENTENCE_WORDS = 5

RANDOM = frozenset(("uuid", "hex", "id"))
"""Looks of what programs make up to tell things apart."""
PERSONAL = {"email": "e-mail addresses", "phone": "phone numbers", "card": "card numbers", "ip": "IP addresses"}
"""Looks of personal data, which are `patterns.MASKS` as well, and what to call them."""


def look_of(text: str) -> str:
    """What a text is, taken as a whole: `uuid`, `hex`, `id`, `number`, `date`, `url`, `sentence`, `text`, or one of
    `PERSONAL` where that is in it."""
    for name, is_whole in _WHOLE:
        if is_whole(text):
            return name
    found = personal(text)
    if found:
        return found
    if _url(text):
        return "url"
    if text.count(" ") >= _SENTENCE_WORDS - 1 and len(text.split()) >= _SENTENCE_WORDS:
        return "sentence"
    return "id" if _id(text) else "text"


def personal(text: str) -> str | None:
    """Which personal data is in a text: a key of `PERSONAL`."""
    if "@" not in text and sum(map(text.count, "0123456789")) < 4 and ":" not in text:
        return None
    return next((name for name, mask in MASKS.items() if mask(text, _COVER) != text), None)


def covered(text: str) -> str:
    """A text of which only the shape is told, where it is personal: a profile is passed around."""
    return _inner.sub("·", text) if personal(text) else text


def has_email(text: str) -> bool:
    """Whether an e-mail address is in a text."""
    return "@" in text and MASKS["email"](text, _COVER) != text


def _is_card(text: str) -> bool:
    return len(text) >= 15 and MASKS["card"](text, _COVER) == _COVER


_WHOLE: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("uuid", _uuid),
    ("card", _is_card),
    ("number", _number),
    ("date", _date),
    ("hex", _hex),
)
