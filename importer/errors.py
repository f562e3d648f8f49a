"""The importer's errors, named by what the caller can do about them.

ImporterError
├── SettingsError           a setting is missing, malformed or contradicts another: fix it, and start again
├── InvalidRecord           one record cannot be imported as it is: reject it, and go on
├── Unreadable              the content is no event data, or stops to be at some place: reject the rest
├── SourceGone              the source was overwritten or deleted: finish, its successor has a trigger of its own
├── SourceCorrupted         what was read is not what is stored: forget the checkpoint, and read it all again
├── StalePosition           a position that no format here can go on from: read from the beginning
├── HandedBack              the work is not finished: let the trigger deliver it again (see `core.report`)
├── DeliveryError           Mixpanel did not take a batch: hand the work back
│   ├── Unavailable             a later try may heal it
│   └── FatalDeliveryError      no retry heals it: credentials or settings are wrong
├── StorageError            a store does not list, read, write or delete: hand the work back, or go on without
└── RejectSinkError         rejects were not stored: hand the work back
"""

from __future__ import annotations

_MAX_TEXT = 500


class ImporterError(Exception):
    """The root of all errors that the importer raises on purpose."""


class SettingsError(ImporterError):
    """A setting is missing, malformed or contradicts another; the text is one sentence that names it."""


class InvalidRecord(ImporterError):
    """A record that cannot be imported as it is: `reason` is a sentence, `field` the JSON path it speaks of."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


class Unreadable(ImporterError):
    """The content is no event data, or stops to be at some place; no retry heals it.

    Every record before that place has been read.
    """


class SourceGone(ImporterError):
    """The source has been overwritten or deleted since it was announced: what of it was not read never will be."""


class SourceCorrupted(ImporterError):
    """What was read is not what is stored: nothing of it can be trusted, and it is to be read from the beginning."""


class StalePosition(ImporterError):
    """A checkpoint's position is of a format that is not known here, or not in this form: read from the beginning."""


class DeliveryError(ImporterError):
    """Mixpanel did not take (all of) a batch. The caller hands the work back to its trigger, which keeps the data."""


class Unavailable(DeliveryError):
    """A later try may heal it: the retry deadline came before Mixpanel took the batch."""


class FatalDeliveryError(DeliveryError):
    """No retry heals it: the credentials or the settings are wrong. The text says which to look at."""


class StorageError(ImporterError):
    """An object could not be listed, read, written or deleted, however often it was tried; the text names it."""


class RejectSinkError(ImporterError):
    """Rejects could not be stored, and the text says why. The work is to be handed back to its trigger."""


def text_of(error: Exception) -> str:
    """The text of an exception of code that is not ours, so that it can be logged and stored: it may be of any length,
    hold half a character, or fail itself."""
    try:
        return str(error)[:_MAX_TEXT].encode(errors="replace").decode()
    except Exception:
        return "(its text cannot be had)"
