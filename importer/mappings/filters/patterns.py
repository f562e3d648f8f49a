"""What in a text is an e-mail address, a phone number, a payment card's number or an IP address.

Searching every text with every pattern would take longer than all else that is done to an event. So the texts are first
looked at together, by what no match can be without (an @, nine digits in a row, three dots among digits), within the
interpreter's own functions; only where that is there, they are searched one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address

_email = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])")
_phone = re.compile(
    r"(?<![\w+])(?:(?:\+|00)[1-9](?:[ ().-]{0,2}\d){8,14}"
    r"|\(0?\d{2,5}\)(?:[ -]?\d){7,9}|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5}|\d{3}[-. ]\d{3}[-. ]\d{4})(?!\w)",
    re.ASCII,
)
_card = re.compile(r"(?<![\w.])[2-6](?:[ -]?\d){12,18}(?![\w.])", re.ASCII)
_v4 = re.compile(r"(?<![\w./-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)", re.ASCII)
_v6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.])")

_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_MIN_DIGITS = b"0" * 9
"""As many digits, brackets and spaces between them aside, as the shortest phone number that is taken for one."""
_SEPARATORS = b" -.()/"
_DECIMAL = b"0123456789"
_HEXADECIMAL = b"0123456789abcdefABCDEF"


def _mask_card(text: str, cover: str) -> str:
    return _card.sub(lambda found: cover if _has_check_digit(found[0]) else found[0], text)


def _mask_ip(text: str, cover: str) -> str:
    def covered(found: re.Match[str]) -> str:
        try:
            ip_address(found[0])
        except ValueError:
            return found[0]
        return cover

    return _v6.sub(covered, _v4.sub(covered, text))


MASKS: dict[str, Callable[[str, str], str]] = {
    "email": lambda text, cover: _email.sub(cover.replace("\\", r"\\"), text),
    "phone": lambda text, cover: _phone.sub(cover.replace("\\", r"\\"), text),
    "card": _mask_card,
    "ip": _mask_ip,
}
"""For each pattern's name, what puts a cover over all that matches in a text. In this order: a card is no phone."""


MIN_LENGTHS = {"email": len("a@b.de"), "phone": len(_MIN_DIGITS), "card": 13, "ip": len("::")}
"""Characters of the shortest text that each can match in."""


def suspects(names: Sequence[str]) -> Callable[[bytes], bool]:
    """Whether one of these patterns may match in a text, or in several, such as JSON has them; never wrong in saying
    no."""
    email, ip = "email" in names, "ip" in names
    digits = "phone" in names or "card" in names

    def may_match(text: bytes) -> bool:
        if email and b"@" in text:
            return True
        if digits and _MIN_DIGITS in text.translate(_DIGITS, _SEPARATORS):
            return True
        return ip and (b"..." in text.translate(None, _DECIMAL) or b"::" in text.translate(None, _HEXADECIMAL))

    return may_match


def _has_check_digit(number: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1), which all payment cards' numbers pass and nine of ten others do not."""
    digits = [int(one) for one in number if one.isdecimal()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0
