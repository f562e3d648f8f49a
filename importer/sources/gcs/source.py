"""Google Cloud Storage as a source: an object that was written becomes events in Mixpanel."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec
from cloudevents.http.event import CloudEvent

from importer import log
from importer.core.pipeline import Pipeline
from importer.objects import DOWNLOAD_SECONDS, import_announced, limits
from importer.reject_sinks.place import RejectStore
from importer.settings import Settings
from importer.sources.gcs.announcement import FINALIZED, InvalidAnnouncement, announced
from importer.storage.gcs import Download, Object, access
from importer.storage.selection import skip_reason
from importer.storage.store import Patience


class BucketSource:
    """Imports objects, one `handle` each. One serves a whole process.

    Raises:
        SettingsError: the settings name a transform that cannot be loaded.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log.get()
        self._pipeline = Pipeline(settings, clock)
        self._access = access(Patience(DOWNLOAD_SECONDS, settings.timeout, settings.backoff))
        self._rejects = RejectStore(settings.rejects)

    def answer(self, method: str, headers: Mapping[str, str], body: bytes) -> tuple[str, int]:
        """Imports the object that a request announces.

        Returns:
            The answer's text and status. 200: the announcement is settled, or there is nothing in it that another
            delivery would make better. 400, 405: nobody sends such a request.

        Raises:
            HandedBack: see `handle`. The server answers 500, and the trigger delivers again.
        """
        if method != "POST":
            return "An object is announced with a POST.\n", 405
        try:
            event = announced(headers, body)
        except InvalidAnnouncement as error:
            self._log.warning(f"Invalid request: {error}.", kind="bad trigger", reason=str(error))
            return f"Invalid request: {error}.\n", 400
        self.handle(event)
        return "OK", 200

    def handle(self, event: CloudEvent) -> None:
        """Imports the object that a CloudEvent announces. When this returns, the event is settled.

        Raises:
            HandedBack: the object, or a part of it, is not in Mixpanel yet; the trigger is to deliver again.
        """
        started = self._clock()
        try:
            wanted = msgspec.convert(event.get_data(), Object)
        except msgspec.ValidationError as error:
            self._log.error(
                f"This announcement names no object, and is acknowledged: {error}",
                kind="bad trigger",
                type=event["type"],
            )
            return
        source = f"gs://{wanted.bucket}/{wanted.name}"
        if reason := self._skip_reason(event["type"], source):
            self._log.info(f"{source} is skipped: {reason}.", kind="import", source=source, outcome="skipped")
            return
        import_announced(
            self._pipeline,
            lambda: Download(self._access, wanted),
            source,
            self._rejects.for_source,
            limits(self._settings, started),
            again=_is_wanted_again(event),
        )

    def _skip_reason(self, event_type: str, address: str) -> str | None:
        """Why an object is not for us, if it is not."""
        if event_type != FINALIZED:
            return f"the event is of type {event_type}, and only {FINALIZED} is imported"
        return skip_reason(address, self._settings)


def _is_wanted_again(event: CloudEvent) -> bool:
    """Whether an event says `again`, as an attribute or in its data: its object is wanted whatever a receipt says."""
    data = event.get_data()
    said = (event.get("again"), data.get("again") if isinstance(data, dict) else None)
    return any(str(one).lower() == "true" for one in said)
