"""One record: from its bytes to the events to send, and the reasons why there are none or fewer.

The order is mapping, filters, the user's transform, then check and completion. One record may hold several events;
each has an outcome of its own, so that a bad one costs itself alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from importer.errors import InvalidRecord
from importer.limits import MAX_EVENT_BYTES
from importer.mappings.loading import Mapped
from importer.mappings.outcome import Dropped, Outcome
from importer.mappings.transform import transformed
from importer.mixpanel.event import Completer
from importer.mixpanel.repair import read_object
from importer.records import Block, Malformed, Transform, is_blank


class Prepared(Struct):
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
        self._mapping = mapped.mapping if mapped else None
        self._filters = mapped.filters if mapped else None
        self._transform = transform
        self.makes_events = bool(self._mapping or self._filters or transform)

    def prepare(self, record: bytes) -> Prepared:
        """Prepares one record; white space around it does not count."""
        try:
            if type(record) is Malformed:
                raise InvalidRecord(record.reason)
            if not self.makes_events:
                return Prepared((self._completer.complete(record),))
            if len(record) >= MAX_EVENT_BYTES:
                raise InvalidRecord("is too long: Mixpanel takes events under 1 MB")
            return self._complete(record, [read_object(record)] if self._mapping is None else self._mapping(record))
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
        if self._mapping is not None and self._transform is None:
            yield from self._mapped(block.records)
            return
        for nth, events in self._stretches(block):
            if events:
                yield nth, events
            elif type(block.records[nth]) is Malformed or not is_blank(block.records[nth]):
                yield nth, self.prepare(block.records[nth])

    def _stretches(self, block: Block) -> Iterator[tuple[int, list[bytes]]]:
        """The index of a record, and the events of it and of those that follow; none where it goes alone."""
        records = block.records
        if self.makes_events or (not block.are_lines and Malformed in map(type, records)):
            yield from ((nth, []) for nth in range(len(records)))
            return
        yield from self._completer.stretches(records, are_lines=block.are_lines)

    def _mapped(self, records: Sequence[bytes]) -> Iterator[tuple[int, list[bytes] | Prepared]]:
        """The same where there is a mapping: most vendors' records become one event each."""
        first = 0
        events: list[bytes] = []
        for nth, record in enumerate(records):
            made = self._event_or_more(record)
            if isinstance(made, bytes):
                events.append(made)
                continue
            if events:
                yield first, events
                events = []
            first = nth + 1
            if made is not None:
                yield nth, made
        if events:
            yield first, events

    def _event_or_more(self, record: bytes) -> bytes | Prepared | None:
        """The one event that a record becomes, if no filter changed it, else what becomes of it. A blank line: None."""
        if type(record) is Malformed or len(record) >= MAX_EVENT_BYTES:
            return self.prepare(record)
        outcomes: list[Outcome] = self._mapping(record)  # type: ignore[misc]  # the caller has seen that there is one
        if len(outcomes) != 1 or outcomes[0].__class__ is not dict:
            return None if is_blank(record) else self._complete(record, outcomes)
        (event,) = outcomes
        rules: list[str] = []
        if self._filters is not None:
            event = self._filters.apply(event, rules)  # type: ignore[arg-type]
            if event.__class__ is not dict or rules:
                return self._completed(record, outcomes=[event], changed=rules)
        try:
            return self._completer.complete_made(event, record, 0)  # type: ignore[arg-type]
        except InvalidRecord as invalid:
            return Prepared(rejected=(self._reason(record, invalid),))
        except RecursionError:
            return Prepared(rejected=(InvalidRecord("is nested too deeply"),))

    def _complete(self, record: bytes, outcomes: Sequence[Outcome]) -> Prepared:
        """What becomes of a record that a mapping gave these outcomes for."""
        changed: list[str] = []
        return self._completed(record, self._passed(outcomes, changed), changed)

    def _completed(self, record: bytes, outcomes: Iterable[Outcome], changed: list[str]) -> Prepared:
        """Checks and completes what was made of a record, and has passed filters and transform.

        An event's number counts all outcomes before it: what a filter or transform drops from now on changes no other
        event's `$insert_id`.
        """
        events: list[bytes] = []
        dropped: list[Dropped] = []
        rejected: list[InvalidRecord] = []
        for number, outcome in enumerate(outcomes):
            if isinstance(outcome, Dropped):
                dropped.append(outcome)
            elif isinstance(outcome, InvalidRecord):
                rejected.append(outcome)
            else:
                try:
                    events.append(self._completer.complete_made(outcome, record, number))
                except InvalidRecord as invalid:
                    rejected.append(self._reason(record, invalid))
        return Prepared(events, dropped, rejected, changed)

    def _passed(self, outcomes: Sequence[Outcome], changed: list[str]) -> Iterator[Outcome]:
        """What filters and transform make of each, one after the other."""
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
        """The same reason, or, where there is no mapping, which mapping the record is of. It is a new one without a
        traceback, whose frames hold the record several times over."""
        may_be_vendors = (
            invalid.field is not None or b"\t" in record
        )  # an object that lacks something, or a table's row
        if self._mapping is None and self._transform is None and may_be_vendors and (looks_like := _hint(record)):
            return InvalidRecord(looks_like)
        return InvalidRecord(invalid.reason, invalid.field)


def _hint(record: bytes) -> str | None:
    from importer.mappings.recognition import hint  # noqa: PLC0415 (it takes a tenth of the start)

    return hint(record)
