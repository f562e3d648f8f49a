"""The connections to Mixpanel's Import API.

`requests` finds out how to get there (the address, the credentials, the environment's proxy, the certificates), once.
Each body then goes straight to the pool of connections that it chose: the cookies, redirects and objects that requests
has for each request would take another third of its time, and there is nothing here to use them for.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from socket import SocketIO, socket
from typing import Any, cast
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.utils import get_environ_proxies
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry, Timeout, exceptions

from importer.settings import Credentials, Settings

_ONCE = Retry(False)
"""Made once, for urllib3 would make it anew for each request."""


class Connections(HTTPAdapter):
    """As many connections as there are requests in flight, used again and again. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(pool_connections=1, pool_maxsize=settings.concurrency)
        request = _request(settings.api_url, settings.credentials)
        proxies = get_environ_proxies(settings.api_url)
        pool = self.get_connection_with_tls_context(request, verify=True, proxies=proxies)
        self._pool = cast(HTTPConnectionPool, pool)
        self._pool.ConnectionCls = type("_Connection", (self._pool.ConnectionCls,), {"response_class": _TimedResponse})
        self.cert_verify(pool, request.url, verify=True, cert=None)  # type: ignore[no-untyped-call]
        self._url = self.request_url(request, proxies)
        self._source_header = settings.source_header
        self._headers = {name: value for name, value in request.headers.items() if name != "Content-Length"}

    def post(self, body: bytes, connect: float, total: float, source: str) -> BaseHTTPResponse:
        """Sends a body (newline-delimited JSON, gzipped) once, and reads the answer to its end.

        Args:
            body: see `batch.Packed.body`.
            connect: seconds to wait for a connection, and for the body to be sent.
            total: seconds until the answer is there to its end.
            source: where its events are from, for the header that the settings may ask for.

        Raises:
            TimeoutError: one of them was too long.
            ConnectionError: there was no answer, or none that could be read to its end.
        """
        headers = self._headers
        if self._source_header:
            headers = {**headers, self._source_header: quote(source, safe="/:#, ")}
        try:
            return self._pool.urlopen(
                "POST",
                self._url,
                body=body,
                headers=headers,
                retries=_ONCE,
                redirect=False,
                assert_same_host=False,  # through a proxy, the address names another
                timeout=_TimeoutOnce(connect=connect, total=total),
            )
        except exceptions.HTTPError as error:
            # That nobody listens is a timeout there, by its class.
            is_late = isinstance(error, exceptions.TimeoutError) and not isinstance(
                error, exceptions.NewConnectionError
            )
            raise (TimeoutError if is_late else ConnectionError) from error


class _TimeoutOnce(Timeout):
    """The timeout of one request: urllib3 copies it twice, for it may serve others as well."""

    def clone(self) -> Timeout:
        return self


class _TimedResponse(HTTPResponse):
    """Takes the connection's timeout for the whole answer: the socket's own begins anew with each byte."""

    def __init__(self, sock: socket, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(_Timed(sock), debuglevel, method, url)  # type: ignore[arg-type]


class _Timed(SocketIO):
    """What comes over a socket, until its timeout has passed since now: TimeoutError then."""

    def __init__(self, sock: socket) -> None:
        super().__init__(sock, "r")
        sock._io_refs += 1  # type: ignore[attr-defined]  # as makefile does: until this is closed, the socket is open
        self._socket = sock
        self._until = time.monotonic() + cast(float, sock.gettimeout())
        self._is_begun = False

    def makefile(self, _mode: str) -> io.BufferedReader:
        """All that a response asks of a socket."""
        return io.BufferedReader(self)

    def readinto(self, buffer: Any) -> int:
        if self._is_begun:  # nearly every answer comes in one piece: for that, the timeout is right as it is
            seconds = self._until - time.monotonic()
            if seconds <= 0:
                raise TimeoutError("the answer did not end in time")
            self._socket.settimeout(seconds)
        self._is_begun = True
        return self._socket.recv_into(buffer)


def _request(api_url: str, credentials: Credentials) -> requests.PreparedRequest:
    """The request to /import, all but its body."""
    project = f"&project_id={credentials.project_id}" if credentials.project_id else ""
    auth = HTTPBasicAuth(credentials.username.encode(), credentials.password.encode())
    headers = {
        "Content-Type": "application/x-ndjson",
        "Content-Encoding": "gzip",
        "Accept": "application/json",
        "User-Agent": "mixpanel-importer",
    }
    return requests.Request("POST", f"{api_url}/import?strict=1{project}", headers=headers, auth=auth).prepare()
