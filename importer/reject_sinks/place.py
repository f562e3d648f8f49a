"""Where rejects are stored beyond the log, as `IMPORT_REJECTS` names it: an object store, or a topic.

To add a kind of place that is no object store: a class with `store` (see `core.rejects.reject.RejectSink`), and a
branch here.
"""

from __future__ import annotations

from importer.core.rejects.reject import RejectSink
from importer.reject_sinks.objects import ObjectSink
from importer.reject_sinks.topic import TopicSink
from importer.storage.paths import folder_of
from importer.storage.store import Patience, Store, store

_TOPICS = "projects/"


class RejectStore:
    """The place where a process stores its rejects. What its cloud needs is imported when it is made.

    Args:
        place: `IMPORT_REJECTS`; None where the log is all there is.
        seconds: for which one of its operations is tried again.
    """

    def __init__(self, place: str | None, seconds: float = 60.0) -> None:
        self._folder = place.rstrip("/") if place else ""
        self._objects: Store | None = None
        self._topic: TopicSink | None = None
        if place and place.startswith(_TOPICS):
            self._topic = TopicSink.opened(place, seconds)
        elif place:
            self._objects = store(place, Patience(total=seconds))

    def for_source(self, source: str) -> RejectSink | None:
        """The sink for one attempt at one source, such as `gs://bucket/name#generation`; None where the log is all."""
        if self._objects is not None:
            return ObjectSink(self._objects, self._folder, folder_of(source))
        return self._topic
