"""Web-analytics events to measure and test with: made up, but shaped as a shop's tracking makes them.

The same arguments give the same bytes, on every machine. Run as a program, it writes a file:

    python -m sandbox.events --events 200000 --shape dense --seed 1 --gzip -o events.jsonl.gz
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from isal import igzip

Shape = Literal["dense", "small"]
Format = Literal["ndjson", "array"]

FIRST_TIME = 1_748_736_000_000
"""Milliseconds since the epoch: 2025-06-01T00:00:00Z. Each event is 1 to 40 ms later than the one before."""

_64_BITS = (1 << 64) - 1
_WRITE_RECORDS = 500


class Bad(NamedTuple):
    """A record that cannot be imported: its number in the file, from 1, and what is wrong with it (see `BAD_KINDS`)."""

    number: int
    kind: str


@dataclass(frozen=True, slots=True)
class Events:
    """A file of events, determined by these values alone.

    Attributes:
        count: how many records, good and bad.
        shape: "dense" is about 850 bytes an event, "small" about 190.
        seed: another seed gives other events, with other ids.
        bad_share: the part of the records that are bad, from 0 to 1; the kinds take turns.
        insert_ids: whether events have an `$insert_id`. Without, they still all differ.
        format: one record a line, or one JSON array (whose bad records are JSON values all the same).
    """

    count: int
    shape: Shape = "dense"
    seed: int = 1
    bad_share: float = 0.0
    insert_ids: bool = True
    format: Format = "ndjson"

    def records(self) -> Iterator[bytes]:
        """The records in order, each as one line without its line break. A bad one stands where a good one would."""
        make = _dense if self.shape == "dense" else _small
        good = make(random.Random(self.seed), _first_id(self.seed), self.insert_ids)
        bad = self.bad()
        number, kind = next(bad, (0, ""))
        for n in range(1, self.count + 1):
            record = next(good)
            if n == number:
                yield BAD_KINDS[kind](record)
                number, kind = next(bad, (0, ""))
            else:
                yield record

    def bad(self) -> Iterator[Bad]:
        """Which records are bad and how, in order, without making the records."""
        if not self.bad_share:
            return
        rng = random.Random(self.seed)
        kinds = list(BAD_KINDS if self.format == "ndjson" else BAD_JSON)
        rng.shuffle(kinds)
        number = turn = 0
        while (number := number + _gap(rng, self.bad_share)) <= self.count:
            yield Bad(number, kinds[turn % len(kinds)])
            turn += 1

    def ids(self) -> Iterator[str]:
        """The `$insert_id`s of the good events, in order, without making the events."""
        first = _first_id(self.seed)
        bad = {number for number, _ in self.bad()}
        as_text = _uuid if self.shape == "dense" else _hex
        return (as_text(first + n) for n in range(1, self.count + 1) if n not in bad)

    def write(self, file: BinaryIO, *, gzip: bool = False) -> int:
        """Writes them all to `file`, gzipped (level 1, no time stamp) if asked, in memory that does not grow.

        Returns:
            The uncompressed size in bytes.
        """
        if not gzip:
            return self._write(file)
        with igzip.IGzipFile("", "wb", 1, file, 0) as compressing:  # type: ignore[no-untyped-call]
            return self._write(compressing)

    def _write(self, file: BinaryIO | igzip.IGzipFile) -> int:
        start, between, end = (b"", b"\n", b"\n") if self.format == "ndjson" else (b"[\n", b",\n", b"\n]\n")
        written = file.write(start)
        records = self.records()
        left = self.count
        while left:
            some = list(islice(records, _WRITE_RECORDS))
            left -= len(some)
            written += file.write(between.join(some) + (between if left else b""))
        return written + (file.write(end) if self.count or start else 0)


def _dense(rng: random.Random, first: int, insert_ids: bool) -> Iterator[bytes]:
    """Page views, clicks and purchases with all that a browser's tracking sends along."""
    chance = rng.random
    clients, pages, places, sources = _clients(), _pages(), _places(), _sources()
    time, number = FIRST_TIME, first
    while True:
        time += 1 + int(chance() * 40)
        number += 1
        event, amount = _EVENTS[int(chance() * len(_EVENTS))]
        page = pages[int(chance() ** 2 * len(pages))]
        place = places[int(chance() * len(places))]
        user = int(chance() ** 2 * 50_000)
        source = sources[int(chance() * len(sources))]
        identity = f'"$insert_id":"{_uuid(number)}",' if insert_ids else ""
        yield (
            f'{{"event":"{event}","properties":{{"time":{time},"distinct_id":"{_hex(user)}",{identity}'
            f'"$device_id":"{_uuid(user)}","session_id":"{_hex(user * 977 + time // 1_800_000)}",'
            f'"trace_id":"{_hex(time)}{_hex(-time)}",{clients[user % len(clients)]},'
            f'"$current_url":"https://www.example-shop.com{page.path}{source.query}",'
            f'"page_title":"{place.shop}{page.title}","tags":{page.tags},'
            f"{source.properties},{place.properties},"
            f'"cart":{{"items":{int(chance() * 9)},"value":{chance() * amount:.2f},"currency":"{place.currency}"}},'
            f'"load_ms":{int(80 + 3000 * chance() ** 4)},"scroll_depth":{chance():.2f}}}}}'
        ).encode()


def _small(rng: random.Random, first: int, insert_ids: bool) -> Iterator[bytes]:
    """What a back end counts: who did what, where."""
    chance = rng.random
    pages, places = _pages(), _places()
    time, number = FIRST_TIME, first
    while True:
        time += 1 + int(chance() * 40)
        number += 1
        event, _ = _EVENTS[int(chance() * len(_EVENTS))]
        page = pages[int(chance() ** 2 * len(pages))]
        place = places[int(chance() * len(places))]
        identity = f'"$insert_id":"{_hex(number)}",' if insert_ids else ""
        yield (
            f'{{"event":"{event}","properties":{{"time":{time},"distinct_id":"{_hex(int(chance() ** 2 * 50_000))}",'
            f'{identity}"page":"{page.path}","city":"{place.city}","ms":{int(chance() * 900)}}}}}'
        ).encode()


# What the events are made of. Every value is text that stands in JSON as it is.

_EVENTS = (
    *[("Page View", 60)] * 10,
    *[("Product Viewed", 90)] * 6,
    *[("Link Clicked", 40)] * 4,
    *[("Search", 30)] * 2,
    *[("Product Added", 220)] * 2,
    ("Checkout Started", 260),
    ("Order Completed", 300),
)


class _Page(NamedTuple):
    path: str
    title: str
    tags: str


class _Place(NamedTuple):
    shop: str
    city: str
    currency: str
    properties: str


class _Source(NamedTuple):
    query: str
    properties: str


def _clients() -> list[str]:
    """Browsers and the screens they run on."""
    agents = (
        ("Chrome", 137, "Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/137.0 Safari/537.36"),
        ("Chrome", 136, "Mac OS X", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/136.0"),
        ("Safari", 18, "iOS", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) Mobile/15E148"),
        ("Firefox", 139, "Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"),
        ("Chrome Mobile", 137, "Android", "Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/137.0 Mobile"),
        ("Edge", 136, "Windows", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/136.0 Safari/537.36 Edg/136.0"),
    )  # fmt: skip
    screens = ((1920, 1080), (2560, 1440), (1536, 864), (1440, 900), (390, 844), (412, 915), (1366, 768))
    return [
        f'"$browser":"{name}","$browser_version":{version},"$os":"{system}","$user_agent":"{agent}",'
        f'"$screen_width":{width},"$screen_height":{height}'
        for name, version, system, agent in agents
        for width, height in screens
    ]


def _pages() -> list[_Page]:
    """1,200 product pages, the popular ones first."""
    makes = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Hazel", "Juniper", "Larch", "Maple", "Oak", "Rowan")
    things = ("Lamp", "Chair", "Desk", "Shelf", "Sofa", "Rug", "Mirror", "Clock", "Vase", "Bench")
    kinds = ("classic", "slim", "round", "tall", "foldable", "outdoor", "kids", "xl", "mini", "pro")
    return [
        _Page(
            path=f"/{thing.lower()}/{make.lower()}-{kind}-{1000 + (len(make) * 37 + i * 101) % 9000}",
            title=f"{make} {thing}, {kind}",
            tags=f'["{kind}","{thing.lower()}","{("new", "sale", "bestseller", "last-chance")[i % 4]}"]',
        )
        for i, (kind, thing, make) in enumerate((k, t, m) for k in kinds for t in things for m in makes)
    ]


def _places() -> list[_Place]:
    """Where visitors are. 15 of 100 places hold text beyond ASCII: 13 as UTF-8, 2 with JSON's escapes."""
    ascii_places = (
        ("", "New York", "US", "USD"),
        ("", "San Francisco", "US", "USD"),
        ("", "London", "GB", "GBP"),
        ("", "Berlin", "DE", "EUR"),
        ("", "Amsterdam", "NL", "EUR"),
        ("", "Toronto", "CA", "CAD"),
        ("", "Sydney", "AU", "AUD"),
        ("", "Mumbai", "IN", "INR"),
        ("", "Singapore", "SG", "SGD"),
        ("", "Chicago", "US", "USD"),
    )
    others = (
        ("Möbel für alle; ", "München", "DE", "EUR"),
        ("Möbel für alle; ", "Zürich", "CH", "CHF"),
        ("Møbler; ", "København", "DK", "DKK"),
        ("Móveis; ", "São Paulo", "BR", "BRL"),
        ("家具; ", "東京", "JP", "JPY"),
        ("家具; ", "大阪市", "JP", "JPY"),
        ("Меблі; ", "Київ", "UA", "UAH"),
        ("Nábytek; ", "Plzeň", "CZ", "CZK"),
        ("Meble; ", "Łódź", "PL", "PLN"),
        ("가구; ", "서울", "KR", "KRW"),
        ("Έπιπλα; ", "Αθήνα", "GR", "EUR"),
        ("🛋️ Mobilya; ", "İzmir", "TR", "TRY"),
        ("أثاث; ", "القاهرة", "EG", "EGP"),
        (r"Mobilier \ud83d\udecb\ufe0f \u2013 ", r"Orl\u00e9ans", "FR", "EUR"),
        (r"Mobilier \u2013 ", r"Montr\u00e9al", "CA", "CAD"),
    )
    weighted = [*(ascii_places[i % len(ascii_places)] for i in range(85)), *others]
    return [
        _Place(shop, city, currency, f'"$city":"{city}","mp_country_code":"{country}"')
        for shop, city, country, currency in weighted
    ]


def _sources() -> list[_Source]:
    """Where visits come from: straight, from a search, or from a campaign."""
    straight = _Source("", '"$referrer":"","$referring_domain":""')
    search = [
        _Source("", f'"$referrer":"https://{engine}/","$referring_domain":"{engine}"')
        for engine in ("www.google.com", "www.bing.com", "duckduckgo.com", "www.ecosia.org")
    ]
    campaigns = [
        _Source(
            f"?utm_source={source}&utm_medium={medium}&utm_campaign={campaign}",
            f'"$referrer":"https://{domain}/","$referring_domain":"{domain}",'
            f'"utm_source":"{source}","utm_medium":"{medium}","utm_campaign":"{campaign}"',
        )
        for source, medium, domain in (
            ("newsletter", "email", "mail.example.com"),
            ("google", "cpc", "www.google.com"),
            ("instagram", "social", "l.instagram.com"),
        )
        for campaign in ("summer-sale-2025", "new-arrivals", "back-to-school", "brand")
    ]
    return [*[straight] * 8, *search, *search, *campaigns]


# What can be wrong with a record. Each makes the bad record out of the good one in whose place it stands.


def _put(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Puts `new` in place of what starts with `old` and ends with the value that follows."""

    def spoil(record: bytes) -> bytes:
        start = record.index(old)
        end = record.index(b",", start)
        return record[:start] + new + record[end:]

    return spoil


def _no_user(spoil: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """The same without the device's id, which a `distinct_id` would be made of."""
    return lambda record: spoil(record).replace(b'"$device_id":', b'"device":', 1)


_NOT_EVENTS: dict[str, Callable[[bytes], bytes]] = {
    "null": lambda _: b"null",
    "true": lambda _: b"true",
    "number": lambda _: b"42",
    "string": lambda _: b'"Page View"',
    "array": lambda record: b"[" + record + b"]",
    "empty object": lambda _: b"{}",
}

BAD_JSON: dict[str, Callable[[bytes], bytes]] = {
    **_NOT_EVENTS,
    "no event name": _put(b'"event":', b'"name":"Page View"'),
    "empty event name": _put(b'"event":', b'"event":""'),
    "event name is a number": _put(b'"event":', b'"event":7'),
    "no properties": lambda record: record.replace(b'"properties":', b'"props":', 1),
    "properties is an array": lambda _: b'{"event":"Page View","properties":[1,2,3]}',
    "no time": _put(b'"time":', b'"at":0'),
    "time is null": _put(b'"time":', b'"time":null'),
    "time is text": _put(b'"time":', b'"time":"yesterday"'),
    "time before 1971": _put(b'"time":', b'"time":1'),
    "time far ahead": _put(b'"time":', b'"time":32503680000000'),
    "time beyond numbers": _put(b'"time":', b'"time":1e400'),
    "no distinct_id": _no_user(_put(b'"distinct_id":', b'"user":1')),
    "distinct_id is null": _no_user(_put(b'"distinct_id":', b'"distinct_id":null')),
    "distinct_id is undefined": _put(b'"distinct_id":', b'"distinct_id":"undefined"'),
    "distinct_id is all zeros": _put(b'"distinct_id":', b'"distinct_id":"00000000-0000-0000-0000-000000000000"'),
    "$insert_id not allowed": lambda record: (
        record.replace(b'"time":', b'"$insert_id":"no spaces, please","time":', 1)
        if b'"$insert_id"' not in record
        else _put(b'"$insert_id":', b'"$insert_id":"no spaces; please"')(record)
    ),
    "nested 5,000 deep": lambda record: record[:-2] + b',"deep":' + b"[" * 5000 + b"]" * 5000 + b"}}",
}
"""The kinds of bad record that are JSON values: what each is called, and what makes one."""

BAD_KINDS: dict[str, Callable[[bytes], bytes]] = {
    **BAD_JSON,
    "cut short": lambda record: record[: len(record) * 2 // 3],
    "not JSON": lambda _: b"<!DOCTYPE html><title>502 Bad Gateway</title>",
    "single quotes": lambda record: record.replace(b'"', b"'"),
    "two objects": lambda record: record + b" " + record,
    "trailing comma": lambda record: record + b",",
    "NaN": lambda record: record[:-2] + b',"score":NaN}}',
    "not UTF-8": lambda record: record[:-2] + b',"name":"Jos\xe9"}}',
    "NUL": lambda record: record[:-2] + b',"name":"a\x00b"}}',
}
"""All kinds of bad record: what each is called, and what makes one out of a good record."""


def _gap(rng: random.Random, share: float) -> int:
    """How far it is to the next bad record, when `share` of them are bad."""
    return 1 if share >= 1 else 1 + int(math.log(1.0 - rng.random()) / math.log(1.0 - share))


def _first_id(seed: int) -> int:
    return _mix(seed * 0x9E3779B97F4A7C15)


def _uuid(number: int) -> str:
    """36 characters, different for different numbers below 2**64."""
    digits = f"{_mix(number):016x}{_mix(number ^ _64_BITS):016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _hex(number: int) -> str:
    """16 characters, different for different numbers below 2**64."""
    return f"{_mix(number):016x}"


def _mix(number: int) -> int:
    """A permutation of 64 bits that looks like chance: the finalizer of SplitMix64 (https://prng.di.unimi.it/splitmix64.c)."""
    number &= _64_BITS
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _64_BITS
    return number ^ (number >> 31)


def main() -> None:
    """Writes a file as the command line says, and tells its size on standard error."""
    arguments = argparse.ArgumentParser(prog="python -m sandbox.events", description="Writes a file of made-up events.")
    arguments.add_argument("--events", type=int, default=200_000, metavar="N", help="records (default: %(default)s)")
    arguments.add_argument("--shape", choices=("dense", "small"), default="dense", help="850 or 190 bytes an event")
    arguments.add_argument("--seed", type=int, default=1, metavar="N")
    arguments.add_argument("--bad-share", type=float, default=0.0, metavar="SHARE", help="bad records, from 0 to 1")
    arguments.add_argument("--gzip", action="store_true", help="compress (level 1)")
    arguments.add_argument("--format", choices=("ndjson", "array"), default="ndjson")
    arguments.add_argument("--no-insert-id", action="store_true", help="leave out $insert_id")
    arguments.add_argument("-o", "--output", type=Path, metavar="FILE", help="by default, standard output")
    given = arguments.parse_args()
    events = Events(
        given.events, given.shape, given.seed, given.bad_share, insert_ids=not given.no_insert_id, format=given.format
    )
    if given.output is None:
        events.write(sys.stdout.buffer, gzip=given.gzip)
        return
    with given.output.open("wb") as file:
        size = events.write(file, gzip=given.gzip)
        print(f"{given.output}: {events.count:,} events, {size:,} bytes, {file.tell():,} on disk", file=sys.stderr)


if __name__ == "__main__":
    main()
