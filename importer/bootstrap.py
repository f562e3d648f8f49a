"""Starting a process: settings, log, and each function's parts, made when they are first needed and then kept."""

from __future__ import annotations

import gc
import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from importer import log
from importer.errors import SettingsError
from importer.mappings.loading import load
from importer.settings import API_SECRET_RETIRED, CredentialKind, Settings, from_environment

if TYPE_CHECKING:
    from importer.sources.gcs import BucketSource
    from importer.sources.pubsub.push import PushSource


def settings() -> Settings:
    """The settings of this process, with the log set up by them.

    Raises:
        SystemExit: one is wrong; the sentence that says which is on standard error.
    """
    # Hardly anything here is garbage that only the collector can find. Looking for it took a sixth of the start, and
    # half of the time that a thousand requests held open take (280 µs a message, 150 without).
    gc.set_threshold(100_000, 50, 100)
    try:
        found = from_environment(os.environ)
        log.configure(found.log_level)
        if found.transform:
            load(found.transform)
    except SettingsError as error:
        sys.exit(f"The importer cannot start: {error}")
    if found.credentials.kind is CredentialKind.API_SECRET:
        log.get().warning(
            f"MIXPANEL_API_SECRET is a legacy credential: Mixpanel retires it on {API_SECRET_RETIRED}. "
            "Make a service account and set MIXPANEL_SERVICE_ACCOUNT_USERNAME and _SECRET instead.",
            kind="settings",
        )
    return found


@cache
def bucket_source(settings: Settings) -> BucketSource:
    """The parts behind `gcs_import`. The storage client is imported only here: the other function never needs it."""
    from importer.sources.gcs import BucketSource  # noqa: PLC0415

    return BucketSource(settings)


@cache
def push_source(settings: Settings) -> PushSource:
    """The parts behind `pubsub_import`, made in the event loop they belong to."""
    from importer.sources.pubsub.push import PushSource  # noqa: PLC0415

    return PushSource(settings)
