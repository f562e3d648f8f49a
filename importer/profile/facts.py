"""What is known of all events: counts, times, users, and of each event's properties."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import msgspec
from datasketches import frequent_strings_sketch

from importer.profile.property_facts import PropertyFacts
from importer.profile.sketches import Allowance, Distinct, Repeats
from importer.profile.times import Read, TimeFacts

MAX_EVENTS = 500
"""Names that have facts of their own; what comes after those is `OTHERS`."""
MAX_NAMES = 5_000
"""Names that are counted."""
MAX_PAIRS = 6_000
"""Properties of events that have facts of their own."""
OTHERS = "(others)"
_MAX_EXACT = 400_000
_LOG_USERS = 13
"""Users of more than a 6,000th of all events are known: https://datasketches.apache.org/docs/Frequency/"""

_MAX_ID = 100
_MAX_ROWS = 1_500
_MAX_WAITING_BYTES = 12_000_000
"""Events of one name that are added together, at most; bytes of JSON that wait for others, at most."""

Properties = dict[str, Any]
_encode = msgspec.json.Encoder(order="deterministic").encode


class EventFacts:
    """What is known of the events of one name.

    Attributes:
        count: how many there are.
        times: when they were.
        users: whose they are.
        properties: theirs, `time` aside.
        most_properties: of one of them.
        too_many: of them have more properties than Mixpanel takes.
    """

    def __init__(self, allowance: Allowance) -> None:
        self.count = self.most_properties = self.too_many = 0
        self.times = TimeFacts()
        self.users = Distinct(allowance)
        self.properties: dict[str, PropertyFacts] = {}


class Facts:
    """What is known of all events. They are added some thousands at a time.

    Args:
        now: seconds since the epoch.
        most_properties: how many an event is to have fewer than.

    Attributes:
        count: events.
        names: how often there is each name; `all_names` counts those that came after `MAX_NAMES`, too.
        events: by name.
        times: of all of them.
        users: ids, and how many events the most frequent ones have.
        userless: events without a user.
        ids: `$insert_id`s that are watched, each with the first event it came with and counts: of the same event again,
            of others.
        doubles: events that are watched, by what else tells them apart than their id: see `_Double`.
    """

    def __init__(self, now: float, most_properties: int) -> None:
        self.now = now
        self._most_properties = most_properties
        self._allowance = Allowance(_MAX_EXACT)
        self._pairs = 0
        self.count = self.userless = 0
        self.names: Counter[str] = Counter()
        self.all_names = Distinct(self._allowance)
        self.events: dict[str, EventFacts] = {}
        self.times = TimeFacts()
        self.users = Distinct(self._allowance)
        self.frequent_users = frequent_strings_sketch(_LOG_USERS)
        self.with_user = 0
        self.ids = Repeats()
        self.with_id = 0
        self.doubles = Repeats()
        self._waiting: defaultdict[str, list[Properties]] = defaultdict(list)
        self._size = 0

    def add(self, events: Iterable[dict[str, Any]], size: int) -> None:
        """Adds events, `{"event": …, "properties": {…}}`, which take so many bytes as JSON."""
        waiting = self._waiting
        for event in events:
            waiting[event["event"]].append(event["properties"])
        self._size += size
        is_full = self._size > _MAX_WAITING_BYTES
        full = [name for name, rows in waiting.items() if is_full or len(rows) >= _MAX_ROWS]
        for name in full:
            self._add(name, waiting.pop(name))
        if is_full:
            self._size = 0

    def settle(self) -> None:
        """Adds what waits for company, before anything is asked."""
        for name in [*self._waiting]:
            self._add(name, self._waiting.pop(name))
        self._size = 0

    def _add(self, name: str, rows: list[Properties]) -> None:
        """Adds events of one name together: what is done to a thousand values costs hardly more than to one."""
        columns = _columns(rows)
        if name in self.names or len(self.names) < MAX_NAMES:
            self.names[name] += len(rows)
        self.all_names.add([name])
        self.count += len(rows)
        event = self._event(name)
        event.count += len(rows)
        widest = max(map(len, rows))
        event.most_properties = max(event.most_properties, widest)
        if widest >= self._most_properties:
            event.too_many += sum(1 for row in rows if len(row) >= self._most_properties)
        times, users, ids = (_aligned(columns, rows, key) for key in ("time", "distinct_id", "$insert_id"))
        read = Read(times)
        event.times.add(read, self.now)
        self.times.add(read, self.now)
        self.times.compare(read, rows)
        self._add_users(event, users)
        self._add_ids(name, rows, ids, [*zip(repeat(name, len(rows)), times, users, strict=True)])
        columns.pop("time", None)
        self._add_properties(event, columns)

    def _event(self, name: str) -> EventFacts:
        if name not in self.events:
            if len(self.events) >= MAX_EVENTS:
                name = OTHERS
            self.events.setdefault(name, EventFacts(self._allowance))
        return self.events[name]

    def _add_users(self, event: EventFacts, users: Sequence[Any]) -> None:
        known = [user if type(user) is str else str(user) for user in users if user is not None and user != ""]
        self.userless += len(users) - len(known)
        if known:
            self.with_user += len(known)
            event.users.add(known)
            self.users.add(known)
            if max(map(len, known)) > _MAX_ID:
                known = [user[:_MAX_ID] for user in known]
            deque(map(self.frequent_users.update, known), 0)

    def _add_ids(self, name: str, rows: list[Properties], ids: list[Any], apart: list[tuple[Any, ...]]) -> None:
        """Looks for ids that come again, and for events that come again under another id.

        Args:
            apart: what else tells events apart for Mixpanel: name, time and user.
        """
        try:
            hashes = [*map(hash, apart)]
        except TypeError:  # a user that is a list
            hashes = [*map(hash, map(str, apart))]
        found = self.ids.found
        with_id = range(len(ids)) if all(ids) else [at for at, each in enumerate(ids) if each]
        self.with_id += len(with_id)
        id_hashes = [hash(str(ids[at])) for at in with_id]
        for nth in self.ids.watched(id_hashes):
            at = with_id[nth]
            kept = found.setdefault(id_hashes[nth], [hashes[at], -1, 0, str(ids[at])[:_MAX_ID]])
            kept[1 if kept[0] == hashes[at] else 2] += 1
        doubles = self.doubles.found
        for at in self.doubles.watched(hashes):
            key = (str(ids[at] or ""), _content(rows[at]))
            if hashes[at] not in doubles:
                doubles[hashes[at]] = [key, 0, 0, (name, *apart[at][1:])]
            elif (kept := doubles[hashes[at]])[0][1] == key[1]:
                kept[1] += kept[0][0] != key[0]
                kept[2] += not kept[0][0] and not key[0]
        self.ids.thin_out()
        self.doubles.thin_out()

    def _add_properties(self, event: EventFacts, columns: dict[str, list[Any]]) -> None:
        for name, values in columns.items():
            facts = event.properties.get(name)
            if facts is None:
                name = name if self._pairs < MAX_PAIRS else OTHERS
                self._pairs += name not in event.properties
                facts = event.properties.setdefault(name, PropertyFacts(self._allowance))
            facts.add(values)


def _columns(rows: list[Properties]) -> defaultdict[str, list[Any]]:
    """The values of each property, in the order of the rows only where all of them have it."""
    by_shape: defaultdict[tuple[str, ...], list[Properties]] = defaultdict(list)
    for row in rows:
        by_shape[(*row,)].append(row)
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    for names, some in by_shape.items():
        for name, values in zip(names, zip(*map(dict.values, some), strict=True), strict=True):
            columns[name] += values
    return columns


def _aligned(columns: dict[str, list[Any]], rows: list[Properties], name: str) -> list[Any]:
    """A value for each row, None where it has none."""
    return [row.get(name) for row in rows] if name in columns else [None] * len(rows)


def _content(row: Properties) -> int:
    """A hash of all that an event says, its `$insert_id` aside."""
    return hash(_encode({name: value for name, value in row.items() if name != "$insert_id"}))
