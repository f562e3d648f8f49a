"""The README's picture: events a second of each way to import, as an SVG that reads well on light and on dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from msgspec import Struct

_WIDTH, _ROW, _LABELS, _NUMBERS, _TOP = 760, 34, 260, 110, 64
_STYLE = """
  text { font: 14px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .note { font-size: 12px; fill: #59636e }
  .card { fill: #ffffff; stroke: #d1d9e0 }
  .ours { fill: #6f4ef2 }
  .theirs { fill: #b7bfc8 }
  .limit { stroke: #cf5a1b; stroke-width: 1.5; stroke-dasharray: 5 4 }
  .limit-text { font-size: 12px; fill: #b64a10 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .note { fill: #9198a1 }
    .card { fill: #0d1117; stroke: #3d444d }
    .ours { fill: #9b83ff }
    .theirs { fill: #59626d }
    .limit { stroke: #f0883e }
    .limit-text { fill: #f0883e }
  }
"""


class Bar(Struct, frozen=True):
    """One way to import, and how many events a second it brings in."""

    label: str
    speed: float
    is_ours: bool


def bars(title: str, note: str, found: Sequence[Bar], limit: float, limit_text: str) -> str:
    """The picture: a bar each, and a line where the limit is."""
    scale = (_WIDTH - _LABELS - _NUMBERS) / max(bar.speed for bar in found)
    at = _LABELS + limit * scale
    bottom = _TOP + _ROW * len(found)
    rows = "\n".join(_bar(index, bar, scale) for index, bar in enumerate(found))
    height = bottom + 58
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>
<text class="title" x="20" y="34">{escape(title)}</text>
{rows}
<line class="limit" x1="{at:.1f}" y1="{_TOP - 8}" x2="{at:.1f}" y2="{bottom + 4}"/>
<text class="limit-text" x="{at + 4:.1f}" y="{bottom + 18}">{escape(limit_text)}</text>
<text class="note" x="20" y="{height - 14}">{escape(note)}</text>
</svg>
"""


def _bar(index: int, bar: Bar, scale: float) -> str:
    top = _TOP + _ROW * index
    length = max(bar.speed * scale, 1.5)
    kind = "ours" if bar.is_ours else "theirs"
    return (
        f'<text x="{_LABELS - 12}" y="{top + 19}" text-anchor="end">{escape(bar.label)}</text>\n'
        f'<rect class="{kind}" x="{_LABELS}" y="{top + 4}" width="{length:.1f}" height="{_ROW - 12}" rx="3"/>\n'
        f'<text x="{_WIDTH - 20}" y="{top + 19}" text-anchor="end">{bar.speed:,.0f}</text>'
    )
