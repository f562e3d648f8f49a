"""Serves one ASGI application from a program of its own: says where, and ends at once when asked."""

from __future__ import annotations

import json
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

GRACE = 1
"""Seconds that requests under way get when the program is told to stop."""


def serve(app: ASGIApp, host: str, port: int) -> NoReturn:
    """Serves until SIGTERM or SIGINT, then exits with code 0.

    When it accepts connections it prints `{"url": …}`. A port of 0 takes a free one; one that is taken ends the program
    with a sentence and code 1.
    """
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _exit)
    try:
        listening = socket.create_server((host, port), backlog=2048)
    except OSError as error:
        sys.exit(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another --port, or 0 for a free one."
        )
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", timeout_graceful_shutdown=GRACE, access_log=False
    )
    _Server(config, _url(listening)).run(sockets=[listening])
    sys.exit(0)


class _Server(uvicorn.Server):
    """Says where it serves as soon as it does."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(json.dumps({"url": self._url}), flush=True)


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _exit(_: int, __: FrameType | None) -> NoReturn:
    sys.exit(0)
