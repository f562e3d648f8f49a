"""The log: what happens, as lines with a `kind`, which says what a line tells of and which fields it has.

In a process of our own (`bootstrap`), a line is a JSON object on standard output, in the form that Cloud Logging reads
(`severity`, `message`); metrics and alerts count by `kind`. Values are JSON strings, so no event's content can start a
line of its own or pass for one. In a process of somebody else's, the lines go to the standard library's logger
`importer`, the fields as the record's `fields`, until that process says otherwise (`use`).
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Protocol, TextIO, cast

import msgspec

_SEVERITY = {"exception": "ERROR"}


class Log(Protocol):
    """What the importer writes its log to. `kind` is among the fields of each line."""

    def debug(self, message: str, **fields: Any) -> Any: ...

    def info(self, message: str, **fields: Any) -> Any: ...

    def warning(self, message: str, **fields: Any) -> Any: ...

    def error(self, message: str, **fields: Any) -> Any: ...

    def exception(self, message: str, **fields: Any) -> Any:
        """Writes an error, with the exception that is being handled."""


class StandardLog:
    """Writes to a logger of the standard library."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, message: str, **fields: Any) -> None:
        self._logger.debug("%s", message, extra=_extra(fields), stacklevel=3)

    def info(self, message: str, **fields: Any) -> None:
        self._logger.info("%s", message, extra=_extra(fields), stacklevel=3)

    def warning(self, message: str, **fields: Any) -> None:
        self._logger.warning("%s", message, extra=_extra(fields), stacklevel=3)

    def error(self, message: str, **fields: Any) -> None:
        self._logger.error("%s", message, extra=_extra(fields), stacklevel=3)

    def exception(self, message: str, **fields: Any) -> None:
        self._logger.exception("%s", message, extra=_extra(fields), stacklevel=3)


def _extra(fields: dict[str, Any]) -> dict[str, Any]:
    return {"fields": {"event" if name == "_event" else name: value for name, value in fields.items()}}


class _Current:
    """Writes to the log that is in use when a line comes, whichever was when a part of the importer was made."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def debug(self, message: str, **fields: Any) -> None:
        self.log.debug(message, **fields)

    def info(self, message: str, **fields: Any) -> None:
        self.log.info(message, **fields)

    def warning(self, message: str, **fields: Any) -> None:
        self.log.warning(message, **fields)

    def error(self, message: str, **fields: Any) -> None:
        self.log.error(message, **fields)

    def exception(self, message: str, **fields: Any) -> None:
        self.log.exception(message, **fields)


_CURRENT = _Current(StandardLog(logging.getLogger("importer")))


def get() -> Log:
    """The logger that everything here writes to."""
    return _CURRENT


def get_in_use() -> Log:
    """What is written to now, for whoever wants to have it used again later."""
    return _CURRENT.log


def use(log: Log) -> None:
    """Has everything here write to `log` from now on."""
    _CURRENT.log = log


def configure(level: str = "INFO", file: TextIO | None = None) -> None:
    """Has everything here write lines of JSON from now on.

    Args:
        level: the least severity that is written.
        file: where to; by default standard output.
    """
    use(json_lines(level, file))


def json_lines(level: str, file: TextIO | None = None) -> Log:
    """A log of JSON lines. See `configure`."""
    import structlog  # noqa: PLC0415 (a process of somebody else's has no use for it)

    return cast(
        Log,
        structlog.wrap_logger(
            structlog.WriteLogger(file or cast(TextIO, _StandardOutput())),
            processors=[
                _severity,
                structlog.processors.format_exc_info,
                # structlog calls the message `event`; here an event is what is imported (written as `_event=…`).
                structlog.processors.EventRenamer("message", replace_by="_event"),
                _dump,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        ).bind(),
    )


class _StandardOutput:
    """Standard output as it is now: the functions framework and tests put another in its place."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def _severity(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {"severity": _SEVERITY.get(method, method.upper()), **event}


def _dump(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except UnicodeEncodeError:  # half of a surrogate pair, as a transform's exception may hold
        return json.dumps(event, default=str)
