"""One record: from its bytes to the events to send, and the reasons why there are none or fewer.

The order is mapping, filters, the user's transform, then check and completion. One record may hold several events;
each has an outcome of its own, so that a bad one costs itself alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from importer.errors import InvalidRecord
from importer.limits import MAX_EVENT_BYTES
from importer.mappings.outcome import Dropped, Mapping, Outcome
from importer.mappings.transform import transformed
from importer.mixpanel.event import Completer
from importer.mixpanel.repair import read_object
from importer.records import Malformed, Transform


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
        completer: checks and completes what is to be sent.
        mapping: makes events of a record; None where records are Mixpanel's own events.
        transform: the user's, applied to each event.
    """

    def __init__(self, completer: Completer, mapping: Mapping | None, transform: Transform | None) -> None:
        self._completer = completer
        self._mapping = mapping
        self._transform = transform
        self.makes_events = mapping is not None or transform is not None

    def prepare(self, record: bytes) -> Prepared:
        """Prepares one record; white space around it does not count."""
        try:
            if type(record) is Malformed:
                raise InvalidRecord(record.reason)
            if not self.makes_events:
                return Prepared((self._completer.complete(record),))
            if len(record) >= MAX_EVENT_BYTES:
                raise InvalidRecord("is too long: Mixpanel takes events under 1 MB")
            return self._complete(record, self._made(record))
        except InvalidRecord as invalid:
            return Prepared(rejected=(_reason(invalid),))
        except RecursionError:
            return Prepared(rejected=(InvalidRecord("is nested too deeply"),))

    def _made(self, record: bytes) -> Iterator[Outcome]:
        """What mapping and transform make of a record, one after the other."""
        outcomes: list[Outcome] = [read_object(record)] if self._mapping is None else self._mapping(record)
        for outcome in outcomes:
            if self._transform is None or not isinstance(outcome, dict):
                yield outcome
            else:
                yield from transformed(outcome, self._transform)

    def _complete(self, record: bytes, made: Iterator[Outcome]) -> Prepared:
        """Checks and completes the events. An event's number counts all outcomes before it: what a filter or transform
        drops from now on changes no other event's `$insert_id`."""
        events: list[bytes] = []
        dropped: list[Dropped] = []
        rejected: list[InvalidRecord] = []
        for number, outcome in enumerate(made):
            if isinstance(outcome, Dropped):
                dropped.append(outcome)
            elif isinstance(outcome, InvalidRecord):
                rejected.append(outcome)
            else:
                try:
                    events.append(self._completer.complete_made(outcome, record, number))
                except InvalidRecord as invalid:
                    rejected.append(_reason(invalid))
        return Prepared(events, dropped, rejected)


def _reason(invalid: InvalidRecord) -> InvalidRecord:
    """The same without its traceback, whose frames hold the record several times over."""
    return InvalidRecord(invalid.reason, invalid.field)
