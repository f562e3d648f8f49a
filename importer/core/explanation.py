"""What would become of a record, and which rule has a hand in it: for previews, on the command line and on a page.

The events and reasons are the pipeline's own; what is added here is how each came about, property by property.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

import msgspec
from msgspec import Struct

from importer.core.preparation import Prepared, Preparer
from importer.errors import InvalidRecord
from importer.mappings.loading import load, load_mapping
from importer.mappings.outcome import Dropped, Outcome
from importer.mappings.recognition import recognise
from importer.mappings.transform import transformed
from importer.mixpanel import judge
from importer.mixpanel.event.completer import Completer
from importer.mixpanel.event.repair import read_object
from importer.mixpanel.rules import NotJsonError, Problem
from importer.records import Malformed

Stage = Literal["mapping", "filter", "transform", "completion"]
Fate = Literal["imported", "rejected", "dropped"]


class Touch(Struct, frozen=True):
    """What one rule did to one part of an event.

    Attributes:
        stage: where on its way.
        rule: the mapping's name, the filter's rule (`hash`, `properties.deny`), or the transform's name; `completed`
            where it is the completion.
        part: the property's name; None for the event's own name.
        did: what it did.
    """

    stage: Stage
    rule: str
    part: str | None
    did: Literal["set", "changed", "removed"]


class Explained(Struct, frozen=True, kw_only=True):
    """One outcome of a record: an event, or why there is none.

    Attributes:
        fate: what would become of it.
        event: as it would be sent; None where nothing is made, or it is not sent.
        touches: what the rules did, in their order; also to what is dropped or rejected in the end.
        reason: why it is rejected (a sentence), or what it is that is dropped.
        field: the JSON path that a rejection speaks of.
        by: who rejects or drops it: `Mixpanel` by its published rules, else the stage here; `importer` where the record
            does not come that far.
    """

    fate: Fate
    event: bytes | None = None
    touches: Sequence[Touch] = ()
    reason: str | None = None
    field: str | None = None
    by: Stage | Literal["importer", "Mixpanel"] | None = None


class Explanation(Struct, frozen=True):
    """What would become of one record.

    Attributes:
        record: as it came.
        recognised: the ready mapping whose shape it has, whatever mapping is set; None where it is none's.
        outcomes: one for each event in it.
    """

    record: bytes
    recognised: str | None
    outcomes: Sequence[Explained]


class Explainer:
    """Explains records, each on its own. Like the pipeline, it raises nothing for what a record holds.

    Args:
        mapping: what IMPORT_MAPPING is, or None.
        transform: what IMPORT_TRANSFORM is, or None.
        default_ip: what IMPORT_DEFAULT_IP means; see `Settings`.
        environment: where a mapping file's secrets are.
        clock: seconds since the epoch, by which Mixpanel's rules judge times.

    Raises:
        SettingsError: there is no such mapping or transform, or it cannot be loaded.
    """

    def __init__(
        self,
        mapping: str | None,
        transform: str | None,
        default_ip: str | None,
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._mapped = load_mapping(mapping, environment) if mapping else None
        self._transform = load(transform) if transform else None
        self._mapping_name = PurePath(mapping).name if mapping and mapping.endswith(".toml") else mapping or ""
        self._transform_name = transform or ""
        self._preparer = Preparer(default_ip, self._mapped, self._transform)
        self._completer = Completer(default_ip)
        self._clock = clock

    def explain(self, record: bytes) -> Explanation:
        """Explains one record."""
        recognised = None if type(record) is Malformed else _recognised(record)
        prepared = self._preparer.prepare(record)
        return Explanation(record, recognised, self._outcomes(record, recognised, prepared))

    def _outcomes(self, record: bytes, recognised: str | None, prepared: Prepared) -> list[Explained]:
        """What the pipeline made of a record, in its order, each with its touches."""
        try:
            traces = [] if type(record) is Malformed else list(self._traces(record, recognised))
        except (InvalidRecord, RecursionError):
            traces = []  # it does not come to be an event at all
        if _kinds(trace.outcome for trace in traces) != (
            len(prepared.events),
            len(prepared.dropped),
            len(prepared.rejected),
        ):
            # It came not far enough, or its transform does not do twice the same.
            by: Stage | Literal["importer"] = "transform" if traces else "importer"
            traces = [_Trace(invalid, (), by) for invalid in prepared.rejected]
            traces += [_Trace(dropped, (), by) for dropped in prepared.dropped]
            traces += [_Trace(event, (), None) for event in prepared.events]
        events, dropped, rejected = iter(prepared.events), iter(prepared.dropped), iter(prepared.rejected)
        found = []
        for trace in traces:
            if isinstance(trace.outcome, bytes):
                found.append(self._judged(next(events), trace))
            elif isinstance(trace.outcome, Dropped):
                kind = next(dropped).kind
                found.append(Explained(fate="dropped", reason=kind, touches=trace.touches, by=trace.by))
            else:
                invalid = next(rejected)
                found.append(
                    Explained(
                        fate="rejected",
                        reason=invalid.reason,
                        field=invalid.field,
                        touches=trace.touches,
                        by=trace.by,
                    )
                )
        return found

    def _judged(self, event: bytes, trace: _Trace) -> Explained:
        """The event by Mixpanel's published rules."""
        try:
            judged = judge.examine(event, [event], self._clock()).rejected
        except NotJsonError as error:
            problem = Problem("", str(error))
        else:
            if not judged:
                return Explained(fate="imported", event=event, touches=trace.touches)
            problem = judged[0].problem
        return Explained(
            fate="rejected",
            event=event,
            touches=trace.touches,
            reason=problem.message,
            field=problem.field or None,
            by="Mixpanel",
        )

    def _traces(self, record: bytes, recognised: str | None) -> Iterator[_Trace]:
        """Goes the pipeline's way once more, and takes notes."""
        mapping = self._mapped.mapping if self._mapped else None
        made: list[Outcome] = mapping(record) if mapping else [read_object(record)]
        name = f"auto: {recognised}" if self._mapping_name == "auto" and recognised else self._mapping_name
        number = 0
        for outcome in made:
            touches: list[Touch] = []
            if isinstance(outcome, dict):
                if mapping and (self._mapping_name != "auto" or recognised):
                    touches += _differences("mapping", name, {}, outcome)
                for trace in self._passed(outcome, touches):
                    yield self._completed(record, trace, number)
                    number += 1
            else:
                yield _Trace(outcome, touches, "mapping")
                number += 1

    def _passed(self, event: dict[str, Any], touches: list[Touch]) -> Iterator[_Trace]:
        """What filters and transform make of one event."""
        filters = self._mapped.filters if self._mapped else None
        if filters is not None:
            watched = _Watched(event)
            filtered = filters.apply(event, watched)
            touches += watched.touches
            if isinstance(filtered, Dropped):
                yield _Trace(filtered, touches, "filter")
                return
            event = filtered
        if self._transform is None:
            yield _Trace(event, touches, "completion")
            return
        before = copy.deepcopy(event)
        for outcome in transformed(event, self._transform):
            if isinstance(outcome, dict):
                changes = _differences("transform", self._transform_name, before, outcome)
                yield _Trace(outcome, [*touches, *changes], "completion")
            else:
                yield _Trace(outcome, touches, "transform")

    def _completed(self, record: bytes, trace: _Trace, number: int) -> _Trace:
        """The same, and what completion adds."""
        before = trace.outcome
        if not isinstance(before, dict):
            return trace
        try:
            makes_events = self._preparer.makes_events
            complete = self._completer
            event = complete.complete_made(before, record, number) if makes_events else complete.complete(record)
        except InvalidRecord as invalid:
            return _Trace(invalid, trace.touches, "importer")
        changes = _differences("completion", "completed", before, msgspec.json.decode(event))
        return _Trace(event, [*trace.touches, *changes], None)


class _Trace(Struct, frozen=True):
    outcome: Outcome | bytes
    touches: Sequence[Touch]
    by: Stage | Literal["importer"] | None


class _Watched(list[str]):
    """The list that filters add their rules' names to, which looks each time at what has changed."""

    def __init__(self, event: dict[str, Any]) -> None:
        super().__init__()
        self._event = event
        self._before = copy.deepcopy(event)
        self.touches: list[Touch] = []

    def append(self, rule: str) -> None:
        super().append(rule)
        self.touches += _differences("filter", rule, self._before, self._event)
        self._before = copy.deepcopy(self._event)

    def __iadd__(self, rules: Any) -> _Watched:  # type: ignore[misc, override]
        """Rules that have changed something together."""
        rules = list(rules)
        self.extend(rules)
        if rules:
            self.touches += _differences("filter", ", ".join(rules), self._before, self._event)
            self._before = copy.deepcopy(self._event)
        return self


def _recognised(record: bytes) -> str | None:
    try:
        return recognise(record)
    except RecursionError:
        return None


def _kinds(outcomes: Iterator[Outcome | bytes]) -> tuple[int, int, int]:
    """How many events, dropped and rejected there are."""
    kinds = [bytes if isinstance(one, bytes) else type(one) for one in outcomes]
    return kinds.count(bytes), kinds.count(Dropped), kinds.count(InvalidRecord)


def _differences(stage: Stage, rule: str, before: dict[str, Any], after: dict[str, Any]) -> list[Touch]:
    """What is not as it was, in the name and in the properties."""
    found = []
    if before.get("event") != after.get("event"):
        found.append(Touch(stage, rule, None, "changed" if "event" in before else "set"))
    old, new = _properties(before), _properties(after)
    for name, value in new.items():
        if name not in old:
            found.append(Touch(stage, rule, name, "set"))
        elif not _same(old[name], value):
            found.append(Touch(stage, rule, name, "changed"))
    found += [Touch(stage, rule, name, "removed") for name in old if name not in new]
    return found


def _properties(event: dict[str, Any]) -> dict[str, Any]:
    properties = event.get("properties")
    return properties if isinstance(properties, dict) else {}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 and 1.0 are, 1 and true are not."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
