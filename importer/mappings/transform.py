"""The user's own transform, applied to one event: whatever it does wrong costs that event alone."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from importer.errors import InvalidRecord, text_of
from importer.mappings.outcome import Dropped, Event, Outcome
from importer.records import Transform

_DROPPED = Dropped("transform")


def transformed(event: Event, transform: Transform) -> list[Outcome]:
    """What a transform makes of an event: one, several, or a single `Dropped`.

    Raises nothing: a transform that fails, or returns what is no event, gives an `InvalidRecord` that says so.
    """
    try:
        made = transform(event)
    except Exception as error:
        return [InvalidRecord(f"the transform raised {type(error).__name__}: {text_of(error)}{_where(error)}")]
    if isinstance(made, list):
        return [_outcome(one) for one in made] or [_DROPPED]
    return [_DROPPED if made is None else _outcome(made)]


def _where(error: Exception) -> str:
    """The innermost line of the file that the transform is in; "" where it has none, such as a built-in function."""
    frame = error.__traceback__.tb_next if error.__traceback__ else None
    found = file = None
    while frame is not None:
        code = frame.tb_frame.f_code
        file = file or code.co_filename
        if code.co_filename == file:
            found = f" ({PurePath(file).name}, line {frame.tb_lineno})"
        frame = frame.tb_next
    return found or ""


def _outcome(made: Any) -> Outcome:
    if isinstance(made, dict):
        return made
    return InvalidRecord(
        f"the transform returned {type(made).__name__}: it may return a dict, a list of dicts, or None"
    )
