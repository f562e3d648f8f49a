"""Records to the events that would be tracked: whole blocks at once where they are Mixpanel's own, else by mapping,
filters and transform, as an import does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from importer.core.preparation import Preparer
from importer.errors import InvalidRecord
from importer.mappings.loading import load, load_mapping
from importer.mappings.outcome import Dropped, Event, Outcome
from importer.mappings.recognition import recognise
from importer.mappings.transform import transformed
from importer.mixpanel.event.completer import Completer
from importer.mixpanel.event.repair import read_object
from importer.records import Block, Malformed, is_blank

_EXPORTED = b'"mp_processing_time_ms"'
"""In Mixpanel's own exports, which `auto` maps."""
_MAX_REASONS = 1_000
_MAX_EXAMPLES = 3

_encode = msgspec.json.Encoder().encode
_decode_all = msgspec.json.Decoder(list[dict[str, Any]]).decode


class Events:
    """Makes of records the events that would be tracked.

    Args:
        mapping: as IMPORT_MAPPING has it, or None.
        transform: as IMPORT_TRANSFORM has it, or None.
        environment: where a mapping file's secrets are.

    Attributes:
        read: outcomes of all records: events, what is dropped, what is rejected.
        dropped: by kind.
        rejected: by reason; what is rejected is an event all the same where it has a name and properties, since the
            facts of events tell why.
        examples: for a reason, where it was met first: source and line.
        are_own: whether all records so far are Mixpanel's own events, and nothing changes them.

    Raises:
        SettingsError: there is no such mapping or transform, or it cannot be loaded.
    """

    def __init__(self, mapping: str | None, transform: str | None, environment: Mapping[str, str]) -> None:
        mapped = load_mapping(mapping, environment) if mapping else None
        self._mapping = mapped.mapping if mapped else None
        self._filters = mapped.filters if mapped else None
        self._transform = load(transform) if transform else None
        self._completer = Completer(None)
        self._plain = Preparer(None)
        self._takes_own = mapping in {None, "auto"} and not self._transform
        self.read = 0
        self.are_own = self._takes_own
        self.dropped: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def of(self, block: Block, source: str) -> list[Event]:
        """The events of a block's records."""
        own = self._own(block) if self._takes_own else None
        if own is None:
            return [event for line, _, record in block for event in self._mapped(record, source, line)]
        self.read += len(own)
        for nth, prepared in self._plain.prepare_block(block):
            if not isinstance(prepared, list):
                for invalid in prepared.rejected:
                    self._reject(invalid, source, block.place(nth)[0])
        return own

    def _own(self, block: Block) -> list[Event] | None:
        """The records, decoded at once, where all of them are events as Mixpanel has them; else None."""
        records = block.records
        if Malformed in map(type, records):
            return None
        text = b",".join(records)
        if _EXPORTED in text:
            return None
        try:
            events = _decode_all(b"[%b]" % text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return events if all(map(_is_own, events)) else None

    def _mapped(self, record: bytes, source: str, line: int) -> Iterator[Event]:
        if type(record) is not Malformed and is_blank(record):
            return
        if self.are_own and recognise(record) is not None:
            self.are_own = False
        for number, outcome in enumerate(self._outcomes(record)):
            self.read += 1
            if isinstance(outcome, Dropped):
                self.dropped[outcome.kind] += 1
                continue
            if isinstance(outcome, InvalidRecord):
                self._reject(outcome, source, line)
                continue
            try:
                self._completer.complete_made(outcome, record, number)
            except InvalidRecord as invalid:
                self._reject(invalid, source, line)
                if not _is_json(outcome):
                    continue
            if _is_event(outcome):
                yield outcome

    def _outcomes(self, record: bytes) -> Iterator[Outcome]:
        try:
            if type(record) is Malformed:
                raise InvalidRecord(record.reason)
            made = self._mapping(record) if self._mapping else [read_object(record)]
            for outcome in made:
                if self._filters is not None and isinstance(outcome, dict):
                    outcome = self._filters.apply(outcome, [])
                if self._transform is not None and isinstance(outcome, dict):
                    yield from transformed(outcome, self._transform)
                else:
                    yield outcome
        except InvalidRecord as invalid:
            yield invalid
        except RecursionError:
            yield InvalidRecord("is nested too deeply")

    def _reject(self, invalid: InvalidRecord, source: str, line: int) -> None:
        reason = f"{invalid.field}: {invalid.reason}" if invalid.field else invalid.reason
        if reason not in self.rejected and len(self.rejected) >= _MAX_REASONS:
            reason = "other reasons"
        self.rejected[reason] += 1
        if len(examples := self.examples.setdefault(reason, [])) < _MAX_EXAMPLES:
            examples.append(f"{source}, line {line}")


def _is_json(event: Event) -> bool:
    """Whether it can be written at all: a transform may have made half a character, or a value of no kind of JSON's."""
    try:
        _encode(event)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return False
    return True


def _is_own(event: Event) -> bool:
    """Whether it has a name and properties, and nothing beside, so that it can be no vendor's."""
    return len(event) == 2 and _is_event(event)


def _is_event(event: Event) -> bool:
    return type(event.get("properties")) is dict and type(event.get("event")) is str and event["event"] != ""
