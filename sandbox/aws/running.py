"""S3, SQS and the handler in the sandbox: started again, as the functions are, when settings or code change."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

from sandbox.aws.clients import Cloud
from sandbox.aws.function import Function
from sandbox.aws.poller import Poller
from sandbox.processes import OnLine

_BATCH = 10


class LocalLambda:
    """The handler, called with what the queue holds; it does not run until `start`.

    Args:
        cloud: where the queue is.
        on_line: called with each line it logs, from other threads.
    """

    def __init__(self, cloud: Cloud, on_line: OnLine) -> None:
        self.cloud = cloud
        self._on_line = on_line
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, settings: Mapping[str, str]) -> None:
        """Runs it with these settings from now on."""
        self.stop()
        own = {"IMPORT_CHECKPOINTS": f"s3://{self.cloud.state}/checkpoints", "PYTHONDONTWRITEBYTECODE": "1"}
        function = Function({**own, **settings, **self.cloud.environment}, on_line=self._on_line)
        self._running.enter_context(function)
        self._running.enter_context(Poller(self.cloud, function, batch=_BATCH))

    def stop(self) -> None:
        """Stops it. What it has not settled comes again."""
        self._running.close()
