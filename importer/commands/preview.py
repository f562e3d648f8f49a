"""`preview`: the first events as they would be sent, before and after, with the rule that touched what."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import click
import msgspec

from importer.commands.interrupts import INTERRUPTED, stopped_by_signals
from importer.commands.looking import Looking
from importer.commands.options import Command, as_json, settings_here
from importer.commands.places import entries
from importer.commands.terminal import number_of, say, show_json, write
from importer.commands.work import File
from importer.core.explanation import Explained, Explainer, Explanation, Touch
from importer.records import Malformed, is_blank
from importer.settings import Settings

_RECORDS = 5
_MAX_TEXT = 2_000
"""Characters of a record that are shown."""
_MAX_VALUE = 100
_FATES = {"imported": "green", "rejected": "red", "dropped": "yellow"}
_SIGNS = {"set": "+", "changed": "~", "removed": "-"}
_STYLES = {"set": "green", "changed": "yellow", "removed": "red"}


@click.command(
    cls=Command,
    short_help="Show the first events as they would be sent.",
    examples=[
        "preview events.jsonl",
        "preview export.json.gz --mapping mapping.toml --limit 20",
        "tail -1 events.jsonl | mixpanel-importer preview - --json",
    ],
)
@click.argument("places", nargs=-1, required=True, metavar="SOURCE…")
@click.option("--limit", type=click.IntRange(1), default=_RECORDS, metavar="N", help=f"Records, at most ({_RECORDS}).")
@as_json
def command(places: tuple[str, ...], limit: int, as_json: bool) -> int:
    """Shows the first records of the sources, what each would be sent as, and which mapping, filter or transform did
    what to it; or why it would be rejected or dropped. Nothing is sent.

    A SOURCE is what `import` takes. Without IMPORT_MAPPING each record's shape is recognised (auto). Ends with 1 where
    something would be rejected.
    """
    settings = settings_here(sends=False)
    explainer = Explainer(settings.mapping or "auto", settings.transform, settings.default_ip, os.environ)
    files = [File(entry) for entry in entries(places, settings)]
    looking = Looking(files, settings, limit, is_quiet=True)
    counts = dict.fromkeys(_FATES, 0)
    shown = []
    with stopped_by_signals(looking.stop, "Stopping."):
        for source, line, record in _records(looking, limit):
            explained = explainer.explain(record)
            for one in explained.outcomes:
                counts[one.fate] += 1
            if as_json:
                shown.append(_object(source, line, explained))
            else:
                _show(source, line, explained)
    if as_json:
        show_json({"records": shown, "total": counts})
    else:
        _say_total(counts, settings)
    if looking.is_stopping:
        return INTERRUPTED
    if any(file.state == "unreadable" for file in files):
        return 1 if any(counts.values()) else 2
    return int(counts["rejected"] > 0)


def _records(looking: Looking, most: int) -> Iterator[tuple[str, int, bytes]]:
    """The first records of all, with their source and line."""
    for file, block in looking.blocks():
        for line, _, record in block:
            if type(record) is not Malformed and is_blank(record):
                continue
            yield file.entry.address, line, record
            most -= 1
            if not most:
                return


def _show(source: str, line: int, explained: Explanation) -> None:
    shape = f", recognised as {explained.recognised}" if explained.recognised else ""
    write(f"{source}, line {line}{shape}", "bold")
    write(f"  {_short(explained.record.decode(errors='replace'), _MAX_TEXT)}", "dim")
    own = _properties(explained.record)
    for one in explained.outcomes:
        _show_outcome(one, own)
    write("")


def _show_outcome(one: Explained, own: dict[str, Any]) -> None:
    """Shows what becomes of an event.

    Args:
        own: the properties of the record, where it has the shape of Mixpanel's events: these no mapping has to set.
    """
    maker = next((_rule(touch) for touch in one.touches if touch.stage == "mapping"), "")
    by = f" by {one.by}" if one.by else f", made by {maker}" if maker else ""
    reason = f"{by}: {f'{one.field}: ' if one.field else ''}{one.reason}" if one.reason else by
    write(f"  → {one.fate}{reason}", _FATES[one.fate])
    event: dict[str, Any] = msgspec.json.decode(one.event) if one.event else {}
    touched: dict[str | None, list[Touch]] = {}
    for touch in one.touches:
        touched.setdefault(touch.part, []).append(touch)
    if event:
        write(f"      event: {_json(event.get('event'))}{_rules(touched.get(None, ()))}")
    properties = event.get("properties", {})
    for name, value in properties.items():
        touches = touched.get(name, [])
        did, rules = _done(touches), _rules(touches)
        if name in own and did != "changed":
            did = None if own[name] == value else "changed"
            rules = rules or (f"  (changed by {maker})" if did else "")
        write(f"    {_SIGNS[did] if did else ' '}   {name}: {_json(value)}{rules}", _STYLES[did] if did else None)
    gone = dict.fromkeys([*(name for name in own if event), *(part for part in touched if part)])
    for name in gone:
        if name not in properties:
            rules = _rules(touched.get(name, ())) or f"  (removed by {maker})"
            write(f"    {_SIGNS['removed']}   {name}{rules}", _STYLES["removed"])


def _done(touches: Sequence[Touch]) -> Literal["set", "changed", "removed"] | None:
    """What all of them did together."""
    if not touches:
        return None
    return "set" if touches[0].did == "set" and len(touches) == 1 else touches[-1].did


def _properties(record: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    properties = found.get("properties") if isinstance(found, dict) else None
    return properties if isinstance(properties, dict) else {}


def _json(value: Any) -> str:
    return _short(msgspec.json.encode(value).decode(), _MAX_VALUE)


def _rules(touches: Sequence[Touch]) -> str:
    """What the rules did; that a mapping made it, it says once for the event."""
    said = dict.fromkeys(
        f"{touch.did} by {_rule(touch)}" for touch in touches if touch.stage != "mapping" or touch.did != "set"
    )
    return f"  ({', '.join(said)})" if said else ""


def _rule(touch: Touch) -> str:
    return "the importer" if touch.stage == "completion" else f"{touch.stage} {touch.rule}"


def _say_total(counts: dict[str, int], settings: Settings) -> None:
    if not any(counts.values()):
        say("There is no record.")
        return
    parts = [f"{number:,} would be {fate}" for fate, number in counts.items() if number]
    say(f"Of {number_of(sum(counts.values()), 'event')} {', '.join(parts)}; nothing was sent.")
    if settings.mapping is None:
        say("Without IMPORT_MAPPING an import takes Mixpanel's own events alone; here each shape is recognised (auto).")


def _object(source: str, line: int, explained: Explanation) -> dict[str, Any]:
    return {
        "source": source,
        "line": line,
        "recognised": explained.recognised,
        "record": explained.record.decode(errors="replace"),
        "outcomes": [
            {
                "fate": one.fate,
                "event": msgspec.json.decode(one.event) if one.event else None,
                "touches": one.touches,
                "reason": one.reason,
                "field": one.field,
                "by": one.by,
            }
            for one in explained.outcomes
        ],
    }


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
