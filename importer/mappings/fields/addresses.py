"""The client's IP address, from which Mixpanel tells the place; nothing else may stand in `ip`."""

from __future__ import annotations

import re
from ipaddress import ip_address

_octet = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_is_v4 = re.compile(rf"{_octet}(?:\.{_octet}){{3}}", re.ASCII).fullmatch
_port = re.compile(r"\[(.+)\](?::\d+)?|([\d.]+):\d+", re.ASCII).fullmatch


def client_ip(value: object) -> str | None:
    """The address without a port (`[::1]:53708` is `::1`); None for what is no address, such as `1.2.x.x`."""
    if value.__class__ is not str:
        return None
    text: str = value
    if _is_v4(text):
        return text
    if len(text) > 60:
        return None
    if found := _port(text):
        text = found[1] or found[2]
    try:
        ip_address(text)
    except ValueError:
        return None
    return text
