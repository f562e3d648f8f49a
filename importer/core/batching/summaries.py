"""The summaries of many small sources, such as messages: one line for all that were answered since the last one.

A platform may stop the processor while no request is open, so nothing waits for a timer: each source is counted when it
is answered, and a summary is written before that answer is sent,

- when it is the last one that was open: ten times at once, and from then on every three seconds;
- while others are open all the time: every thirty seconds;
- when the process was told to end: with the last answer.

What then remains are the answers of three seconds, after ten summaries in a row. The next summary has them, or the
process's end; where the processor goes on, a timer is sooner.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from importer import log
from importer.core.batching.batcher import Batcher

_EVERY = 30.0
_AT_ONCE = 10
_AGAIN_AFTER = 3.0

_MAX_NAMED = 10
"""Names in one summary."""


class Summaries:
    """Writes the summaries. Belongs to one event loop.

    Args:
        batcher: where the sources are counted.
        default: what they are called where none has a name.
        clock: seconds, monotonic.
    """

    def __init__(self, batcher: Batcher, default: str, clock: Callable[[], float]) -> None:
        self._batcher = batcher
        self._default = default
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._log = log.get()
        self._allowed = float(_AT_ONCE)  # summaries that may be written at once
        self._allowed_at = self._written_at = clock()
        self._timer: asyncio.TimerHandle | None = None
        self._is_ending = False
        self._begin()

    def _begin(self) -> None:
        self._is_empty = True
        self._names: set[str] = set()
        self._oldest = 0.0
        self._started = self._ended = 0.0

    def answer(self, name: str, published: str, began: float) -> None:
        """Takes note of a source that has been left and is about to be answered, and writes a summary if one is due.

        Args:
            name: what it belongs to, such as a subscription; "" where that is not known.
            published: when it was handed to the trigger (RFC 3339); "" where that is not known.
            began: when it was opened, by the clock.
        """
        if self._is_empty or began < self._started:
            self._started = began
            self._is_empty = False
        self._ended = now = self._clock()
        if name and name not in self._names and len(self._names) < _MAX_NAMED:
            self._names.add(name)
        if published and (age := _age(published)) > self._oldest:
            self._oldest = age
        if not self._batcher.open or now - self._started >= _EVERY:  # else none can be due
            self.consider()

    def consider(self) -> None:
        """Writes a summary if one is due. To be called before an answer of which there is nothing to note."""
        if self._is_empty:
            return
        if self._is_due():
            self._write()
        elif not self._batcher.open and self._timer is None:
            wait = (1 - self._allowed) * _AGAIN_AFTER
            self._timer = self._loop.call_later(wait, self.write_rest)

    def end(self) -> None:
        """From now on a summary is written whenever no source is open: the process is about to end."""
        self._is_ending = True
        self.write_rest()

    def write_rest(self) -> None:
        """Writes what there is, if no source is open."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if not self._is_empty and not self._batcher.open:
            self._write()

    def _is_due(self) -> bool:
        if self._batcher.open:
            return self._seconds() >= _EVERY
        self._allow()
        return self._is_ending or self._allowed >= 1

    def _seconds(self) -> float:
        """From the first to the last answer, as far as that has not been in the summary before."""
        return self._ended - max(self._started, self._written_at)

    def _allow(self) -> None:
        now = self._clock()
        self._allowed = min(self._allowed + (now - self._allowed_at) / _AGAIN_AFTER, _AT_ONCE)
        self._allowed_at = now

    def _write(self) -> None:
        report = self._batcher.new_report()
        report.seconds = self._seconds()
        report.oldest_event_age_seconds = self._oldest
        source = ", ".join(sorted(self._names)) or self._default
        tell = self._log.warning if report.rejected or report.handed_back else self._log.info
        tell(
            f"{source}: read {report.read}, imported {report.imported}, rejected {report.rejected}, "
            f"dropped {report.dropped}, handed back {report.handed_back} in {report.seconds:.1f} s",
            kind="import",
            source=source,
            outcome="handed back" if report.handed_back else "done",
            **report.counts(),
        )
        self._written_at = self._ended
        self._allow()
        self._allowed = max(self._allowed - 1, 0)
        self._begin()


def _age(published: str) -> float:
    """Seconds since then, fewer than none where clocks differ; 0 where that is no time."""
    try:
        then = datetime.fromisoformat(published)
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        return time.time() - then.timestamp()
    except (ValueError, OverflowError):
        return 0.0
