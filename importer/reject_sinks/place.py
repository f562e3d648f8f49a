"""Where rejects are stored, beyond the log: a bucket or a topic, as `IMPORT_REJECTS` names it.

To add a kind of place: a class with `store` (see `rejects.RejectSink`), and a line in `_KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable

from importer.core.rejects import MakeSink
from importer.reject_sinks.bucket import in_bucket
from importer.reject_sinks.topic import on_topic

_KINDS: dict[str, Callable[[str], MakeSink]] = {"gs://": in_bucket, "projects/": on_topic}


def sinks(place: str | None) -> MakeSink | None:
    """What makes the sinks that keep rejects in `place` (`IMPORT_REJECTS`); None where there is no place.

    The clients of Google's that it takes are imported here, when the setting asks for them.
    """
    if place is None:
        return None
    return next(make for start, make in _KINDS.items() if place.startswith(start))(place)
