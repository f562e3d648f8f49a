"""One record: from its bytes to the events to send, and the reasons why there are none or fewer.

The order is mapping, filters, the user's transform, then check and completion. One record may hold several events;
each has an outcome of its own, so that a bad one costs itself alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from importer.errors import InvalidRecord
from importer.limits import MAX_EVENT_BYTES, MAX_MADE_BYTES, MAX_RECORD_BYTES
from importer.mappings.loading import Mapped
from importer.mappings.outcome import Dropped, Outcome
from importer.mappings.transform import transformed
from importer.mixpanel.event.completer import Completer
from importer.mixpanel.event.repair import read_object
from importer.records import Block, Malformed, Transform, is_blank


class Prepared(Struct, gc=False):
    """What became of one record.

    Attributes:
        events: the events to send, each one line of JSON.
        dropped: what a mapping, a filter or the transform left out on purpose.
        rejected: why what is not sent cannot be imported; each becomes a reject of the record.
        changed: the names of the filters' rules that changed something, one for each event and rule.
    """

    events: Sequence[bytes] = ()
    dropped: Sequence[Dropped] = ()
    rejected: Sequence[InvalidRecord] = ()
    changed: Sequence[str] = ()

    @property
    def read(self) -> int:
        """How often the record counts as read: once for each outcome."""
        return len(self.events) + len(self.dropped) + len(self.rejected)

    @property
    def is_one_event(self) -> bool:
        """Whether it became one event, and nothing else is to be said of it."""
        return len(self.events) == 1 and not (self.dropped or self.rejected or self.changed)


class Preparer:
    """Prepares records, each on its own: whatever one holds, nothing is raised for it.

    Args:
        default_ip: what an event without `ip` gets; see `Completer`.
        mapped: the mapping that makes events of records, and the filters that they pass then.
        transform: the user's, applied to each event.

    Attributes:
        makes_events: whether what is sent is made of a record, by any of these.
    """

    def __init__(
        self, default_ip: str | None, mapped: Mapped | None = None, transform: Transform | None = None
    ) -> None:
        self._completer = Completer(default_ip)
        self._quickly = self._completer.quickly
        self._mapping = mapped.mapping if mapped else None
        self._filters = mapped.filters if mapped else None
        self._transform = transform
        self.makes_events = bool(self._mapping or self._filters or transform)
        self._longest = MAX_RECORD_BYTES if self._mapping else MAX_EVENT_BYTES
        self._too_long = "a mapping takes records under 8 MB" if self._mapping else "Mixpanel takes events under 1 MB"
        self._has_own_shape = self._mapping is None and transform is None

    def prepare(self, record: bytes) -> Prepared:
        """Prepares one record; white space around it does not count."""
        is_odd = False
        if not self.makes_events and type(record) is bytes:
            if event := self._quickly(record):
                return Prepared((event,))
            is_odd = True
        made = self._event_or_more(record, is_odd=is_odd)
        return Prepared((made,)) if isinstance(made, bytes) else made

    def _event_or_more(self, record: bytes, *, is_odd: bool = False) -> bytes | Prepared:
        """What becomes of a record: the event alone where it is one, and filters and transforms need not be heard.

        Args:
            record: as it came.
            is_odd: whether it is one of those that `Completer.stretches` left out.
        """
        try:
            if type(record) is Malformed:
                raise InvalidRecord(record.reason)
            if not self.makes_events:
                return self._completer.complete_odd(record) if is_odd else self._completer.complete(record)
            if len(record) >= self._longest:
                raise InvalidRecord(f"is too long: {self._too_long}")
            outcomes: list[Outcome]
            outcomes = [read_object(record)] if self._mapping is None else self._mapping(record)
            changed: list[str] = []
            if self._transform is None and len(outcomes) == 1 and outcomes[0].__class__ is dict:
                outcome = self._filters.apply(outcomes[0], changed) if self._filters else outcomes[0]
                if outcome.__class__ is dict and not changed:
                    return self._completer.complete_made(outcome, record, 0)
                return self._complete(record, [outcome], changed)
            return self._complete(record, self._made(outcomes, changed), changed)
        except InvalidRecord as invalid:
            return Prepared(rejected=(self._reason(record, invalid),))
        except RecursionError:
            return Prepared(rejected=(InvalidRecord("is nested too deeply"),))

    def prepare_block(self, block: Block) -> Iterator[tuple[int, list[bytes] | Prepared]]:
        """Prepares the records of a block, those that become an event each together.

        Yields:
            The index of a record, and either the events of it and of those that follow, one of each, or what became of
            it alone. Blank lines are no records.
        """
        if self.makes_events:
            yield from self._made_of(block)
            return
        records = block.records
        if not block.are_lines and Malformed in map(type, records):
            yield from ((nth, self.prepare(one)) for nth, one in enumerate(records) if _is_one(one))
            return
        for nth, events in self._completer.stretches(records, are_lines=block.are_lines, are_ascii=block.are_ascii):
            if events:
                yield nth, events
            elif not is_blank(records[nth]):
                made = self._event_or_more(records[nth], is_odd=True)
                yield nth, Prepared((made,)) if isinstance(made, bytes) else made

    def _made_of(self, block: Block) -> Iterator[tuple[int, list[bytes] | Prepared]]:
        """What is made of a block's records: together those that become one event each, unless the user's transform
        is among what makes it, which may take its time for each."""
        events: list[bytes] = []
        first = 0
        for nth, record in enumerate(block.records):
            made = self._event_or_more(record)
            if not isinstance(made, bytes) and made.is_one_event and self._transform is None:
                (made,) = made.events
            if isinstance(made, bytes):
                first = first if events else nth
                events.append(made)
                continue
            if events:
                yield first, events
                events = []
            if _is_one(record):
                yield nth, made
        if events:
            yield first, events

    def _complete(self, record: bytes, outcomes: Iterable[Outcome], changed: list[str]) -> Prepared:
        """Checks and completes what was made of a record.

        An event's number counts all outcomes before it: what a filter or transform drops from now on changes no other
        event's `$insert_id`.

        Args:
            record: as it came.
            outcomes: what was made of it.
            changed: the rules that changed something, once all outcomes have come.
        """
        events: list[bytes] = []
        dropped: list[Dropped] = []
        rejected: list[InvalidRecord] = []
        room = MAX_MADE_BYTES
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, Dropped):
                dropped.append(outcome)
            elif isinstance(outcome, InvalidRecord):
                rejected.append(outcome)
            else:
                try:
                    events.append(event := self._completer.complete_made(outcome, record, number))
                except InvalidRecord as invalid:
                    rejected.append(self._reason(record, invalid))
                    continue
                if (room := room - len(event)) <= 0:
                    raise InvalidRecord("would make more than 64 MB of events")
        return Prepared(events, dropped, rejected, changed)

    def _made(self, outcomes: list[Outcome], changed: list[str]) -> Iterator[Outcome]:
        """What filters and transform make of these, one after the other."""
        for outcome in outcomes:
            if self._filters is not None and isinstance(outcome, dict):
                rules: list[str] = []
                outcome = self._filters.apply(outcome, rules)
                changed += rules
            if self._transform is not None and isinstance(outcome, dict):
                yield from transformed(outcome, self._transform)
            else:
                yield outcome

    def _reason(self, record: bytes, invalid: InvalidRecord) -> InvalidRecord:
        """The same reason, or, where there is no mapping, which mapping the record is of. It has no traceback, whose
        frames hold the record several times over."""
        may_be_vendors = invalid.field is not None or b"\t" in record  # it lacks something, or is a table's row
        if may_be_vendors and self._has_own_shape and (looks_like := self._hint(record)):
            return InvalidRecord(looks_like)
        invalid.__traceback__ = invalid.__context__ = None
        return invalid

    @cached_property
    def _hint(self) -> Callable[[bytes], str | None]:
        from importer.mappings.recognition import hint  # noqa: PLC0415 (it takes a tenth of the start)

        return hint


def _is_one(record: bytes) -> bool:
    """Whether it is a record at all: blank lines are none."""
    return type(record) is Malformed or not is_blank(record)
