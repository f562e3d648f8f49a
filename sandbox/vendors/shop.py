"""What happens in a made-up shop, before any tool has written it down: the same for the same arguments, everywhere."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

FIRST_TIME = 1_748_736_000_000
"""Milliseconds since the epoch: 2025-06-01T00:00:00Z. Each happening is 1 to 40 ms later than the one before."""


class Client(NamedTuple):
    """A visitor's browser, or the app."""

    user_agent: str
    browser: str
    browser_version: str
    os: str
    os_version: str
    width: int
    height: int


class Place(NamedTuple):
    """Where a visitor is."""

    city: str
    region: str
    country: str
    country_name: str
    locale: str
    zone: str


class Happening(NamedTuple):
    """One thing that a visitor does.

    Attributes:
        number: from 1.
        time: milliseconds since the epoch.
        name: `Page View`, `Product Viewed`, …
        id: a UUID of its own.
        user: the known id; "" for an anonymous visitor.
        device: the visitor's anonymous id, a UUID.
        session: when the session began, in milliseconds.
        ip: the visitor's address.
        client: the visitor's browser.
        place: where the visitor is.
        path: of the page.
        title: of the page.
        url: of the page, with the campaign.
        referrer: "" on direct visits.
        campaign: `source`, `medium` and `name`; empty where none brought the visitor.
        properties: what is told of this happening beyond that, as JSON values.
    """

    number: int
    time: int
    name: str
    id: str
    user: str
    device: str
    session: int
    ip: str
    client: Client
    place: Place
    path: str
    title: str
    url: str
    referrer: str
    campaign: dict[str, str]
    properties: dict[str, Any]


def happenings(count: int, seed: int = 1) -> Iterator[Happening]:
    """What happens, in order of time."""
    rng = random.Random(seed)
    chance, pick = rng.random, rng.choice
    time = FIRST_TIME
    for number in range(1, count + 1):
        time += 1 + int(chance() * 40)
        visitor = int(chance() ** 2 * 50_000)
        name, amount = pick(_NAMES)
        kind, thing, make = pick(_KINDS), pick(_THINGS), pick(_MAKES)
        source, medium, referrer = pick(_SOURCES)
        campaign = {"source": source, "medium": medium, "name": "summer-sale-2025"} if source else {}
        path = f"/{thing.lower()}/{make.lower()}-{kind}"
        query = f"?utm_source={source}&utm_medium={medium}&utm_campaign=summer-sale-2025" if source else ""
        yield Happening(
            number=number,
            time=time,
            name=name,
            id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            user=f"user-{visitor}" if visitor % 3 else "",
            device=str(uuid.UUID(int=(visitor + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, version=4)),
            session=time - time % 1_800_000 + visitor,
            ip=f"203.0.113.{visitor % 254 + 1}",
            client=_CLIENTS[visitor % len(_CLIENTS)],
            place=_PLACES[visitor % len(_PLACES)],
            path=path,
            title=f"{make} {thing}, {kind}",
            url=f"https://www.example-shop.com{path}{query}",
            referrer=referrer,
            campaign=campaign,
            properties=_properties(rng, name, amount, make, thing, kind),
        )


def iso(time: int, separator: str = "T", end: str = "Z") -> str:
    """The time as a text with milliseconds."""
    return f"{datetime.fromtimestamp(time // 1000, UTC):%Y-%m-%d{separator}%H:%M:%S}.{time % 1000:03d}{end}"


def _properties(rng: random.Random, name: str, amount: int, make: str, thing: str, kind: str) -> dict[str, Any]:
    price = round(rng.random() * amount, 2)
    properties: dict[str, Any] = {
        "sku": f"{make[:2]}{thing[:2]}-{rng.randrange(1000, 9999)}",
        "product": f"{make} {thing}",
        "variant": kind,
        "price": price,
        "currency": "EUR",
        "in_stock": rng.random() < 0.9,
        "position": rng.randrange(40),
        "tags": [kind, thing.lower(), "sale"],
    }
    if name == "Order Completed":
        properties |= {"order_id": f"o-{rng.getrandbits(40)}", "revenue": price, "coupon": None}
    return properties


_NAMES = (
    *[("Page View", 60)] * 10,
    *[("Product Viewed", 90)] * 6,
    *[("Link Clicked", 40)] * 4,
    *[("Search", 30)] * 2,
    *[("Product Added", 220)] * 2,
    ("Checkout Started", 260),
    ("Order Completed", 300),
)
_MAKES = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Rowan")
_THINGS = ("Lamp", "Chair", "Desk", "Shelf", "Sofa", "Rug", "Mirror", "Clock", "Vase", "Bench")
_KINDS = ("classic", "slim", "round", "tall", "foldable", "outdoor", "kids", "xl", "mini", "pro")
_SOURCES = (
    *[("", "", "")] * 6,
    *[("", "", "https://www.google.com/")] * 3,
    ("newsletter", "email", "https://mail.example.com/"),
    ("google", "cpc", "https://www.google.com/"),
    ("instagram", "social", "https://l.instagram.com/"),
)
_CLIENTS = tuple(
    Client(f"Mozilla/5.0 {agent}", *client, *screen)
    for agent, client in (
        (
            "(Windows NT 10.0; Win64; x64) Chrome/137.0.0.0 Safari/537.36",
            ("Chrome", "137.0.0.0", "Windows", "10.0"),
        ),
        (
            "(Macintosh; Intel Mac OS X 10_15_7) Version/18.4 Safari/605.1.15",
            ("Safari", "18.4", "Mac OS X", "10.15.7"),
        ),
        (
            "(iPhone; CPU iPhone OS 18_4 like Mac OS X) Version/18.4 Mobile/15E148 Safari/604.1",
            ("Mobile Safari", "18.4", "iOS", "18.4"),
        ),
        ("(X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0", ("Firefox", "139.0", "Linux", "")),
        (
            "(Linux; Android 15; Pixel 9) Chrome/137.0.0.0 Mobile Safari/537.36",
            ("Chrome", "137.0.0.0", "Android", "15"),
        ),
    )
    for screen in ((1920, 1080), (1440, 900), (390, 844))
)
_PLACES = (
    *[Place("New York", "New York", "US", "United States", "en-US", "America/New_York")] * 4,
    *[Place("London", "England", "GB", "United Kingdom", "en-GB", "Europe/London")] * 2,
    *[Place("Berlin", "Berlin", "DE", "Germany", "de-DE", "Europe/Berlin")] * 2,
    Place("München", "Bayern", "DE", "Germany", "de-DE", "Europe/Berlin"),
    Place("東京", "Tokyo", "JP", "Japan", "ja-JP", "Asia/Tokyo"),
    Place("Kuala Lumpur", "Kuala Lumpur", "MY", "Malaysia", "ms-MY", "Asia/Kuala_Lumpur"),
    Place("Bengaluru", "Karnataka", "IN", "India", "en-IN", "Asia/Kolkata"),
)
