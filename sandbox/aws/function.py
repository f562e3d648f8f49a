"""A handler as AWS Lambda runs it: by Amazon's own runtime client, in a process that asks a Runtime API for its calls.

The API is https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. A call that takes too long is ended by
killing the process, and one that has ended is started again for the next call.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from types import TracebackType
from typing import Any, Self

from sandbox.processes import OnLine, Process, without_settings

HANDLER = "importer.sources.s3.handler"
_NEXT = "/2018-06-01/runtime/invocation/next"
_ARN = "arn:aws:lambda:us-east-1:123456789012:function:importer"


class CallError(Exception):
    """The handler raised, its process ended, or its time was up; the text says which."""


@dataclass(eq=False)
class _Call:
    event: Any
    deadline: float  # in seconds since 1970
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answered: threading.Event = field(default_factory=threading.Event)
    answer: Any = None
    error: str | None = None


class Function:
    """A handler, which is called from entering the `with` block to leaving it, one call at a time.

    Args:
        environment: its settings. The shell's own settings of the importer do not reach it.
        seconds: that a call may take.
        on_line: called with each line it logs.
        handler: its name.

    Attributes:
        starts: how many processes there were.
        lines: the last 10,000 lines it logged.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        seconds: float = 900.0,
        on_line: OnLine | None = None,
        handler: str = HANDLER,
    ) -> None:
        self._environment = {**without_settings(os.environ), **environment, "_HANDLER": handler}
        self._seconds = seconds
        self._on_line = on_line
        self._runtime: _Runtime | None = None
        # A process ends with the thread that started it, so that is one which stays.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="lambda")
        self.starts = 0
        self.lines: deque[str] = deque(maxlen=10_000)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._starter.shutdown()

    @property
    def pid(self) -> int | None:
        """Of the process that handles a call; None while there is none."""
        runtime = self._runtime
        return runtime.process.pid if runtime and runtime.is_busy and not runtime.process.exited else None

    def log(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What it logged, as JSON objects, oldest first: all of it, or the lines of one `kind`."""
        entries = [json.loads(line) for line in tuple(self.lines) if line.startswith("{")]
        return [entry for entry in entries if kind in {None, entry.get("kind")}]

    def call(self, event: Any) -> Any:
        """What the handler answers.

        Raises:
            CallError: it did not.
        """
        if self._runtime is None:
            self._runtime = self._starter.submit(_Runtime, self._environment, self._hear).result()
            self.starts += 1
        try:
            return self._runtime.call(event, self._seconds)
        except _EndedError as error:
            self._end()
            raise CallError(str(error)) from None

    def _end(self) -> None:
        if self._runtime:
            self._runtime.close()
        self._runtime = None

    def _hear(self, line: str) -> None:
        self.lines.append(line)
        if self._on_line:
            self._on_line(line)


class _EndedError(Exception):
    """The process has ended, or is to."""


class _Runtime:
    """One process, and the API that it asks."""

    def __init__(self, environment: Mapping[str, str], on_line: OnLine) -> None:
        self._calls: Queue[_Call | None] = Queue()
        self._open: _Call | None = None
        self._api = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._api.daemon_threads = True
        threading.Thread(target=self._api.serve_forever, args=(0.05,), name="runtime API", daemon=True).start()
        own = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "importer",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "awslambdaric", environment["_HANDLER"]]
        self.process = Process(command, name="lambda", environment={**environment, **own}, on_line=on_line)

    @property
    def is_busy(self) -> bool:
        """Whether a call is being handled."""
        return self._open is not None

    def call(self, event: Any, seconds: float) -> Any:
        """What the handler answers; `CallError` if it raised.

        Raises:
            _EndedError: it did neither.
        """
        call = _Call(event, time.time() + seconds)
        self._calls.put(call)
        while not call.answered.wait(0.01):
            if self.process.exited:
                self.process.stop()
                raise _EndedError(f"the process ended with {self.process.exit_code}\n{self.process.tail}")
            if time.time() > call.deadline:
                raise _EndedError(f"Task timed out after {seconds:g} seconds")
        if call.error is not None:
            raise CallError(call.error)
        return call.answer

    def close(self) -> None:
        """Kills the process."""
        self._calls.put(None)
        self.process.stop(grace=0)
        self._api.shutdown()
        self._api.server_close()

    def next(self) -> _Call | None:
        """The next call, waiting until there is one; None when closed."""
        self._open = self._calls.get()
        return self._open

    def end(self, call_id: str, answer: Any, error: str | None) -> None:
        """Takes an answer."""
        call, self._open = self._open, None
        if call is not None and call.id == call_id:
            call.answer, call.error = answer, error
            call.answered.set()


def _handler(runtime: _Runtime) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            call = runtime.next() if self.path == _NEXT else None
            if call is None:
                self._answer(404, b"{}")
                return
            headers = {
                "Lambda-Runtime-Aws-Request-Id": call.id,
                "Lambda-Runtime-Deadline-Ms": str(int(call.deadline * 1_000)),
                "Lambda-Runtime-Invoked-Function-Arn": _ARN,
                "Lambda-Runtime-Trace-Id": f"Root=1-{call.id}",
            }
            self._answer(200, json.dumps(call.event).encode(), headers)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            *_, call_id, what = self.path.split("/")
            if what == "response":
                runtime.end(call_id, json.loads(body), None)
            elif call_id != "init":
                told = json.loads(body)
                runtime.end(call_id, None, f"{told.get('errorType')}: {told.get('errorMessage')}")
            self._answer(202, b"{}")

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                pass  # its process was killed

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
            pass

    return Handler
