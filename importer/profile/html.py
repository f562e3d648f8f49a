"""A profile as one page: plots and style are within, so that it opens anywhere, by day and by night, and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from html import escape

from importer.profile.findings import Finding
from importer.profile.profiler import Profile
from importer.profile.report import Event, Property

_MAX_EVENTS = 200
_MAX_PROPERTIES = 500
_MAX_OF_EVENT = 100
_MAX_BARS = 120
_EPOCH = date(1970, 1, 1)

_STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1b1b1f, #e6e6ea); --soft: light-dark(#6b6b76, #9a9aa5);
  --line: light-dark(#e3e3e8, #34343c); --back: light-dark(#fff, #17171b); --card: light-dark(#f7f7f9, #202026);
  --bar: light-dark(#5b57d9, #8f8cff); --problem: light-dark(#b3261e, #ff8a80); --warning: light-dark(#8a5a00, #ffc861);
  --note: light-dark(#00639b, #7cc7ff); }
@media print { :root { color-scheme: light; } details { break-inside: avoid; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 0 auto;
  max-width: 76rem; padding: 1.5rem; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
.soft, small { color: var(--soft); } code, pre { font: 13px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.card { background: var(--card); border-radius: .5rem; padding: .6rem 1rem; }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.finding { border-left: .25rem solid var(--soft); background: var(--card); border-radius: .3rem; padding: .5rem 1rem;
  margin: .5rem 0; } .finding p { margin: .2rem 0; } .finding pre { margin: .4rem 0; white-space: pre-wrap; }
.problem { border-color: var(--problem); } .problem strong { color: var(--problem); }
.warning { border-color: var(--warning); } .warning strong { color: var(--warning); }
.note { border-color: var(--note); } .note strong { color: var(--note); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 500; } .n { text-align: right; font-variant-numeric: tabular-nums; }
svg rect { fill: var(--bar); } svg text { fill: var(--soft); font: 10px system-ui, sans-serif; }
svg .kept { fill: var(--line); } summary { cursor: pointer; padding: .2rem 0; } td svg { display: block; }
"""


def page(profile: Profile) -> str:
    """The page, as HTML."""
    sources = ", ".join(f"<code>{escape(one)}</code>" for one in list(profile.sources)[:5])
    more = len(profile.sources) - 5
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Profile of {escape(next(iter(profile.sources), 'nothing'))}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f'<h1>What would be tracked</h1><div class="soft">{sources}{f" and {more:,} more" if more > 0 else ""}</div>',
        _cards(profile),
        "<h2>Findings</h2>",
        *map(_finding, profile.findings),
        "" if profile.findings else "<p>Nothing is odd about them.</p>",
        f"<h2>Events on each day</h2>{_days(profile.days)}" if profile.days else "",
        f"<h2>Hours of the day, in UTC</h2>{_bars(profile.hours, [f'{hour}:00' for hour in range(24)])}",
        "<h2>Events</h2>",
        _events(profile.events),
        "<h2>Properties</h2>",
        _properties(profile.properties[:_MAX_PROPERTIES]),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _cards(profile: Profile) -> str:
    cards = {
        "events": f"{profile.count:,}",
        "names": f"{profile.names:,}",
        "users": f"{profile.users:,}",
        "without a user": f"{profile.userless:,}",
        "first": _day(profile.first),
        "last": _day(profile.last),
        "dropped": f"{sum(profile.dropped.values()):,}",
        "rejected": f"{sum(profile.rejected.values()):,}",
    }
    if profile.sample < 1:
        cards["sample"] = f"{profile.sample:.0%}"
    shown = "".join(f'<div class="card"><b>{value}</b>{name}</div>' for name, value in cards.items())
    return f'<div class="cards">{shown}</div>'


def _finding(one: Finding) -> str:
    examples = " · ".join(f"<code>{escape(each)}</code>" for each in one.examples)
    lines = "\n".join(one.advice.lines()).strip() if one.advice else ""
    return (
        f'<div class="finding {one.level}"><p><strong>{escape(one.kind)}</strong> {escape(one.sentence)}</p>'
        + (f"<p><small>{examples}</small></p>" if examples else "")
        + (f"<pre>{escape(lines)}</pre>" if lines else "")
        + "</div>"
    )


def _events(events: Sequence[Event]) -> str:
    shown = []
    for one in events[:_MAX_EVENTS]:
        summary = (
            f"<summary><b>{escape(one.name)}</b> {one.count:,} <small>({one.share:.1%}), {one.users:,} users, "
            f"{_day(one.first)} to {_day(one.last)}, up to {one.most_properties:,} properties</small></summary>"
        )
        body = f"{_days(one.days)}{_properties(one.properties[:_MAX_OF_EVENT])}"
        shown.append(f"<details>{summary}{body}</details>")
    if len(events) > _MAX_EVENTS:
        shown.append(f"<p>and {len(events) - _MAX_EVENTS:,} more</p>")
    return "\n".join(shown)


def _properties(properties: Iterable[Property]) -> str:
    head = (
        "<tr><th>property<th>filled<th>types<th class=n>distinct<th class=n>longest<th class=n>median<th>numbers"
        "<th>examples</tr>"
    )
    rows = "\n".join(map(_property, properties))
    return f'<div class="wide"><table>{head}{rows}</table></div>'


def _property(one: Property) -> str:
    total = sum(one.kinds.values()) or 1
    kinds = "<br>".join(
        escape(kind) if len(one.kinds) == 1 else f"{escape(kind)} <small>{number / total:.1%}</small>"
        for kind, number in one.kinds.items()
    )
    examples = ", ".join(
        f"<code>{escape(each.value)}</code>" + (f" <small>{each.count:,}</small>" if each.count else "")
        for each in one.examples
    )
    median = "" if one.median is None else f"{one.median:,.6g}"
    return (
        f"<tr><td>{escape(one.name)}<td>{_share(one.share)}<td>{kinds}"
        f"<td class=n>{'' if one.is_exact else '~'}{one.distinct:,}<td class=n>{one.longest or ''}<td class=n>{median}"
        f"<td>{_spark(one.histogram)}<td>{examples}</tr>"
    )


def _share(share: float) -> str:
    """A bar of which so much is filled."""
    return (
        f'<svg width="60" height="10" role="img" aria-label="{share:.1%}"><rect class="kept" width="60" height="10"/>'
        f'<rect width="{60 * min(share, 1):.1f}" height="10"/></svg><small>{share:.1%}</small>'
    )


def _spark(shares: Sequence[float]) -> str:
    if not shares:
        return ""
    most = max(shares) or 1
    bars = "".join(
        f'<rect x="{4 * nth}" y="{20 - 20 * share / most:.1f}" width="3" height="{20 * share / most:.1f}"/>'
        for nth, share in enumerate(shares)
    )
    return f'<svg width="{4 * len(shares)}" height="20">{bars}</svg>'


def _days(days: dict[int, int]) -> str:
    """Events on each day, or, of many days, in each of some equal spans."""
    if not days:
        return ""
    first, last = min(days), max(days)
    step = (last - first) // _MAX_BARS + 1
    counts = [0] * ((last - first) // step + 1)
    for day, number in days.items():
        counts[(day - first) // step] += number
    return _bars(counts, [_date(first + step * nth) for nth in range(len(counts))])


def _bars(counts: Sequence[int], labels: Sequence[str]) -> str:
    most, width = max(counts) or 1, min(max(900 // len(counts), 6), 36)
    bars = "".join(
        f'<rect x="{width * nth}" y="{80 - 80 * number / most:.1f}" width="{width - 1}" '
        f'height="{80 * number / most:.1f}"><title>{labels[nth]}: {number:,}</title></rect>'
        for nth, number in enumerate(counts)
    )
    size = max(width * len(counts), 220)
    ends = f'<text x="0" y="94">{labels[0]}</text>'
    if len(labels) > 1:
        ends += f'<text x="{size}" y="94" text-anchor="end">{labels[-1]}</text>'
    return f'<svg viewBox="0 0 {size} 98" width="100%" style="max-width:{size}px">{bars}{ends}</svg>'


def _day(seconds: float | None) -> str:
    if seconds is None:
        return "none"
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s"


def _date(day: int) -> str:
    try:
        return (_EPOCH + timedelta(days=day)).isoformat()
    except OverflowError:
        return f"day {day:,}"
