"""The log: one JSON object a line on standard output, in the form Cloud Logging reads (`severity`, `message`).

Every line has a `kind`, which says what it tells of and which fields it has; metrics and alerts count by it.
Values are JSON strings, so no event's content can start a line of its own or pass for one.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, WrappedLogger

Log = FilteringBoundLogger

_SEVERITY = {"exception": "ERROR"}


def configure(level: str = "INFO") -> None:
    """Sets up the log for this process; `level` is the least severity that is written."""
    structlog.configure(
        processors=[
            _severity,
            structlog.processors.format_exc_info,
            # structlog calls the message `event`; here an event is what is imported (written as `_event=…`).
            structlog.processors.EventRenamer("message", replace_by="_event"),
            _dump,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _StandardOutput())),
        cache_logger_on_first_use=True,
    )


def get() -> Log:
    """The logger that everything here writes to."""
    return cast(Log, structlog.get_logger())


class _StandardOutput:
    """Standard output as it is now: the functions framework and tests put another in its place."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def _severity(_: WrappedLogger, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {"severity": _SEVERITY.get(method, method.upper()), **event}


def _dump(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except UnicodeEncodeError:  # half of a surrogate pair, as a transform's exception may hold
        return json.dumps(event, default=str)
