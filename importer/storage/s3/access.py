"""The way to S3: a client, what is tried again, and what goes wrong in words.

Amazon's own variables choose the account, the region and the service: `AWS_PROFILE`, `AWS_REGION`,
`AWS_ENDPOINT_URL_S3`. It is botocore, without boto3 around it, whose import takes a third more time.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from botocore import exceptions as of_boto
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.session import Session

from importer.errors import SourceGone, StorageError
from importer.storage.store import Patience

_MAX_BACKOFF = 30.0
_CONNECTIONS = 50

_PASSING = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ConditionalRequestConflict", "OperationAborted"})
"""What S3 says in answers below 500 that another try may mend:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

_PASSING_TROUBLE = (
    of_boto.HTTPClientError,
    of_boto.ConnectionError,
    of_boto.IncompleteReadError,
    of_boto.FlexibleChecksumError,
    ResponseParserError,
)
_NO_CREDENTIALS = (
    of_boto.NoCredentialsError,
    of_boto.PartialCredentialsError,
    of_boto.ProfileNotFound,
    of_boto.TokenRetrievalError,
    of_boto.UnauthorizedSSOTokenError,
)

T = TypeVar("T")


class Access:
    """The way to the service. Safe to use from several threads."""

    def __init__(self, patience: Patience) -> None:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self.client = _client(os.getpid(), endpoint, patience.timeout)
        self._patience = patience

    def tried(self, do: Callable[[], T]) -> T:
        """What `do` gives, tried again for as long as there is patience and another try may mend it."""
        deadline = time.monotonic() + self._patience.total
        wait = self._patience.backoff
        while True:
            try:
                return do()
            except Exception as error:
                if not _may_pass(error) or time.monotonic() + wait > deadline:
                    raise
            time.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
            wait = min(wait * 2, _MAX_BACKOFF)

    def call(self, verb: str, **what: Any) -> dict[str, Any]:
        """The answer to a request that has no body of any length, tried again."""
        answer: dict[str, Any] = self.tried(lambda: getattr(self.client, verb)(**what))
        return answer

    def content(self, **what: Any) -> tuple[bytes, dict[str, Any]]:
        """An object's bytes, and the answer that they came with. The body is a part of what is tried again."""

        def get() -> tuple[bytes, dict[str, Any]]:
            answer = self.client.get_object(**what)
            return answer["Body"].read(), answer

        return self.tried(get)


@cache
def _client(_process: int, _endpoint: str | None, timeout: float) -> Any:
    """A client's connections are not to be shared with a forked process, nor with one for another address."""
    config = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1, "mode": "standard"},  # the trying again is `Access`'s
    )
    return Session().create_client("s3", config=config)


def status(error: of_boto.ClientError) -> int:
    """The HTTP status of an error."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code(error: of_boto.ClientError) -> str:
    """What S3 calls an error, such as `NoSuchKey`; of a HEAD, the status alone."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _may_pass(error: Exception) -> bool:
    """Whether another try may mend it."""
    if isinstance(error, of_boto.ClientError):
        return status(error) >= 500 or status(error) == 429 or code(error) in _PASSING
    return isinstance(error, _PASSING_TROUBLE)


@contextmanager
def sentence(start: str) -> Iterator[None]:
    """Whatever goes wrong with the service becomes a sentence."""
    try:
        yield
    except (SourceGone, StorageError):
        raise
    except _NO_CREDENTIALS as error:
        raise StorageError(
            f"{start}: nobody is logged in at AWS here ({error}): run 'aws configure' or 'aws sso login', or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except of_boto.ClientError as error:
        raise StorageError(f"{start}: {_told(error)}") from error
    except Exception as error:
        told = " ".join(str(error).split())  # some are several lines
        raise StorageError(f"{start}: {type(error).__name__}: {told}") from error


def _told(error: of_boto.ClientError) -> str:
    """What S3 said."""
    told = f"{code(error)}: {error.response.get('Error', {}).get('Message', '')}"
    if status(error) == 403:  # HEAD has no body that would say more
        told += " (without s3:ListBucket, S3 says the same of an object that is not there)"
    return told
