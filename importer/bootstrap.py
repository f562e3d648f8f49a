"""Starting a process: settings, log, and each function's parts, made when they are first needed and then kept."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING

from importer import log
from importer.errors import SettingsError
from importer.mappings.loading import load, load_mapping
from importer.settings import API_SECRET_RETIRED, CredentialKind, Settings, from_environment, not_settings

if TYPE_CHECKING:
    import asyncio

    from importer.sources.gcs.source import BucketSource
    from importer.sources.pubsub.push import PushSource


def settings(variables: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process, with the log set up by them.

    Args:
        variables: what they are read from; by default the environment.
        says: whether it says of variables that they are like settings and are none.

    Raises:
        SystemExit: one is wrong; the sentence that says which is on standard error.
    """
    try:
        return settings_of_a_worker(os.environ if variables is None else variables)
    except SettingsError as error:
        sys.exit(f"The importer cannot start: {error}")


def settings_of_a_worker(variables: Mapping[str, str]) -> Settings:
    """The settings of a process that nobody watches, with the log set up by them: what it has to say, it says there.

    Args:
        variables: what they are read from.

    Raises:
        SettingsError: one is wrong.
    """
    # Hardly anything here is garbage that only the collector can find. Looking for it took a sixth of the start, and
    # half of the time that a thousand requests held open take (280 µs a message, 150 without).
    gc.set_threshold(100_000, 50, 100)
    found = from_environment(variables)
    log.configure(found.log_level)
    if found.mapping:
        load_mapping(found.mapping, variables)
    if found.transform:
        load(found.transform)
    if found.credentials.kind is CredentialKind.API_SECRET:
        log.get().warning(
            f"MIXPANEL_API_SECRET is a legacy credential: Mixpanel retires it on {API_SECRET_RETIRED}. "
            "Make a service account and set MIXPANEL_SERVICE_ACCOUNT_USERNAME and _SECRET instead.",
            kind="settings",
        )
    for sentence in not_settings(variables):
        log.get().warning(sentence, kind="settings")
    return found


def settings_of_a_command(variables: Mapping[str, str] | None = None, *, says: bool = True) -> Settings:
    """The settings of a command that somebody runs by hand: what is to be said of them is said on standard error, and
    of the log there are only the errors, there too. Run as a job in the cloud, it writes the log that functions write.

    Args:
        variables: what they are read from; by default the environment.

    Raises:
        SettingsError: one is wrong.
    """
    variables = os.environ if variables is None else variables
    found = from_environment(variables)
    if "CLOUD_RUN_JOB" in variables:
        log.configure(found.log_level)
    else:
        log.configure("ERROR", sys.stderr)
    for sentence in not_settings(variables) if says else ():
        print(sentence, file=sys.stderr)
    return found


def event_loop() -> asyncio.AbstractEventLoop:
    """A new event loop for a worker: uvloop's, which the functions have from their server, or Python's without it."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        import asyncio  # noqa: PLC0415

        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


@cache
def bucket_source(settings: Settings) -> BucketSource:
    """The parts behind `gcs_import`. The storage client is imported only here: the other function never needs it."""
    from importer.sources.gcs.source import BucketSource  # noqa: PLC0415

    return BucketSource(settings)


@cache
def push_source(settings: Settings) -> PushSource:
    """The parts behind `pubsub_import`, made in the event loop they belong to."""
    from importer.sources.pubsub.push import PushSource  # noqa: PLC0415

    source = PushSource(settings)
    _before_the_end(source.end)
    return source


def _before_the_end(do: Callable[[], None]) -> None:
    """Has `do` called when the process is told to end (SIGTERM, SIGINT), before the server ends its requests in order.

    The server takes SIGINT after SIGTERM for impatience, and drops the requests that are open. But a terminal or a
    supervisor may send both at once, and means one thing: only the same signal once more is passed on.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may listen to signals
    servers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    came: set[int] = set()

    def on_signal(number: int, frame: FrameType | None) -> None:
        is_first, is_repeated = not came, number in came
        came.add(number)
        if is_first:
            do()
        then = servers[signal.Signals(number)]
        if (is_first or is_repeated) and callable(then):
            then(number, frame)

    for number in servers:
        signal.signal(number, on_signal)
