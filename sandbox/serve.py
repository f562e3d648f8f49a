"""Serves one ASGI application from a program of its own: says where, and ends at once when asked."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import sys
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from starlette.types import ASGIApp

GRACE = 1
"""Seconds that requests under way get when the program is told to stop."""


def serve(app: ASGIApp, host: str, port: int, tls_port: int | None = None) -> NoReturn:
    """Serves until SIGTERM or SIGINT, then exits with code 0.

    When it accepts connections it prints `{"url": …}`; with a `tls_port`, on which it speaks HTTPS, also the `tls_url`
    and the `certificate` to trust. A port of 0 takes a free one; one that is taken ends the program with a sentence and
    code 1.
    """
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _exit)
    told: dict[str, Any] = {}
    listening = _listening(host, port, "--port")
    told["url"] = _url("http", listening)
    if tls_port is None:
        _Server(_config(app), told).run(sockets=[listening])
        sys.exit(0)
    from sandbox.tls import make_certificate  # noqa: PLC0415 (what it takes is not small)

    secure = _listening(host, tls_port, "--tls-port")
    certificate, key = make_certificate()
    told |= {"tls_url": _url("https", secure), "certificate": str(certificate)}
    try:
        asyncio.run(_serve_both(_Server(_config(app), told), listening, _config(app, certificate, key), secure))
    finally:
        shutil.rmtree(certificate.parent, ignore_errors=True)
    sys.exit(0)


async def _serve_both(server: _Server, plain: socket.socket, config: uvicorn.Config, secure: socket.socket) -> None:
    """Serves over both; what ends the one ends the other."""
    other = uvicorn.Server(config)
    serving = asyncio.gather(server.serve(sockets=[plain]), other.serve(sockets=[secure]))
    while not serving.done():
        await asyncio.sleep(0.1)
        if server.should_exit or other.should_exit:
            server.should_exit = other.should_exit = True
    await serving


class _Server(uvicorn.Server):
    """Says where it serves as soon as it does."""

    def __init__(self, config: uvicorn.Config, told: dict[str, Any]) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(json.dumps(self._told), flush=True)


def _config(app: ASGIApp, certificate: Any = None, key: Any = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="critical",
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
        access_log=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


def _listening(host: str, port: int, flag: str) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        sys.exit(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another {flag}, or 0 for a free one."
        )


def _url(scheme: str, listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _exit(_: int, __: FrameType | None) -> NoReturn:
    sys.exit(0)
