"""A process of somebody else's, in which parts of the importer are made: what is global in it is as it was."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from typing import Any

import structlog


def state() -> dict[str, Any]:
    """What is global in a process, as far as a library might change it."""
    root, ours = logging.getLogger(), logging.getLogger("importer")
    return {
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "collector": (gc.get_threshold(), gc.isenabled()),
        "loggers": [(one.level, one.handlers[:], one.propagate, one.disabled) for one in (root, ours)],
        "structlog": (structlog.is_configured(), structlog.get_config()),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.getswitchinterval()),
        "warnings": warnings.filters[:],
        "timeout": socket.getdefaulttimeout(),
        "environment": dict(os.environ),
        "recursion": sys.getrecursionlimit(),
    }


async def main() -> None:
    os.environ["STORAGE_EMULATOR_HOST"] = "http://127.0.0.1:9"
    from importer.core.batching.batcher import Batcher
    from importer.core.pipeline import Pipeline
    from importer.reject_sinks.place import RejectStore
    from importer.settings import from_environment
    from importer.sources.gcs.source import BucketSource
    from importer.sources.pubsub.push import PushSource
    from importer.storage.store import store

    settings = from_environment({"MIXPANEL_PROJECT_TOKEN": "t", "IMPORT_CHECKPOINTS": "gs://b/c"})
    before = state()
    Batcher(Pipeline(settings), 1)
    BucketSource(settings)
    PushSource(settings)
    store("gs://b/c")
    RejectStore("gs://b/r")
    after = state()
    assert before == after, [name for name in before if before[name] != after[name]]


if __name__ == "__main__":
    asyncio.run(main())
