"""Amazon S3 and SQS as sources, on AWS Lambda: its handler is `importer.sources.s3.handler`.

It is an entry point, as `main.py` has those of Google's functions: it starts the process, reads the settings, and hands
each call to `invocation.LambdaSource`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from importer import bootstrap, log
from importer.errors import SettingsError
from importer.sources.s3.invocation import LambdaSource
from importer.sources.s3.secret import VARIABLE, settings_in_secret


class Context(Protocol):
    """What Lambda says of a call: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the call is ended."""


class Process:
    """What a process keeps from one call to the next.

    After a failure the secret is read anew; where it has changed, all is made anew.
    """

    def __init__(self) -> None:
        self._source: LambdaSource | None = None
        self._secret: Mapping[str, str] = {}
        self._is_doubtful = True

    def handle(self, event: Any, context: Context) -> dict[str, Any] | None:
        """See `LambdaSource.handle`."""
        source = self.source()
        self._is_doubtful = True
        answer = source.handle(event, context.get_remaining_time_in_millis() / 1_000)
        self._is_doubtful = bool(answer and answer["batchItemFailures"])
        return answer

    def source(self) -> LambdaSource:
        """What imports.

        Raises:
            SystemExit: a setting or the secret is wrong; the sentence that says which is on standard error.
        """
        before = self._source
        if before is not None and not self._is_doubtful:
            return before
        try:
            secret = settings_in_secret(os.environ)
        except SettingsError as error:
            if before is None:
                raise SystemExit(f"The importer cannot start: {error}") from None
            log.get().warning(f"The credentials of before are used on: {error}", kind="settings")
            return before
        if before is not None and secret == self._secret:
            return before
        variables = {name: value for name, value in os.environ.items() if name != VARIABLE}
        self._source, self._secret = LambdaSource(bootstrap.settings(variables | secret)), secret
        if before is not None:
            before.close()
        return self._source


_PROCESS = Process()


def handler(event: Any, context: Context) -> dict[str, Any] | None:
    """Imports what Lambda was called with: messages of SQS, of which each announces objects or holds events; or, called
    by S3, SNS or EventBridge itself, the objects that were written.

    Returns:
        For messages of SQS, those that are to come again, as `ReportBatchItemFailures` wants them; else nothing.
    """
    return _PROCESS.handle(event, context)


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # within Lambda, so that a wrong setting stops it at the start
    _PROCESS.source()
