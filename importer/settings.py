"""The settings: environment variables, read once into a typed, checked, immutable object."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from importer.errors import SettingsError
from importer.limits import MAX_BATCH_EVENTS

API_SECRET_RETIRED = "2027-03-03"  # noqa: S105 (a date)
"""The day on which Mixpanel stops to accept project API secrets."""

_HOSTS = {
    "us": "https://api.mixpanel.com",
    "eu": "https://api-eu.mixpanel.com",
    "in": "https://api-in.mixpanel.com",
}


class CredentialKind(Enum):
    """The three ways to sign a request to /import, in the words used to speak of them."""

    SERVICE_ACCOUNT = "service account"
    PROJECT_TOKEN = "project token"  # noqa: S105 (a name, not a token)
    API_SECRET = "API secret"  # noqa: S105


class Credentials(Struct, frozen=True):
    """What a request to /import is signed with (Basic auth). Its repr shows the kind and no value."""

    kind: CredentialKind
    username: str
    password: str
    project_id: str | None

    def __repr__(self) -> str:
        return f"Credentials({self.kind.value})"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("kind", self.kind.value)]


_Whole = Annotated[int, Meta(ge=1)]


class _Environment(Struct, frozen=True):
    """The variables as they stand in the environment, by their own names."""

    MIXPANEL_PROJECT_ID: Annotated[str, Meta(pattern=r"^[0-9]+$")] | None = None
    MIXPANEL_SERVICE_ACCOUNT_USERNAME: str | None = None
    MIXPANEL_SERVICE_ACCOUNT_SECRET: str | None = None
    MIXPANEL_PROJECT_TOKEN: str | None = None
    MIXPANEL_API_SECRET: str | None = None
    MIXPANEL_REGION: Literal["us", "eu", "in"] = "us"
    MIXPANEL_API_URL: str | None = None
    IMPORT_BATCH_EVENTS: Annotated[int, Meta(ge=1, le=MAX_BATCH_EVENTS)] = MAX_BATCH_EVENTS
    IMPORT_BATCH_BYTES: Annotated[int, Meta(ge=1_000, le=10_000_000)] = 9_500_000
    IMPORT_CONCURRENCY: Annotated[int, Meta(ge=1, le=100)] = 10
    IMPORT_BUFFER_BYTES: Annotated[int, Meta(ge=1_000)] = 48_000_000
    IMPORT_TRANSFORM: Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    IMPORT_INCLUDE: str = ""
    IMPORT_EXCLUDE: str = ""
    IMPORT_REJECTS: Annotated[str, Meta(pattern=r"^(gs://[^/]+/.*[^/].*|projects/[^/]+/topics/[^/]+)$")] | None = None
    IMPORT_CHECKPOINTS: Annotated[str, Meta(pattern=r"^gs://[^/]+/.*[^/].*$")] | None = None
    IMPORT_RETRY_SECONDS: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    IMPORT_BACKOFF: Annotated[float, Meta(gt=0, le=60)] = 2
    IMPORT_TIMEOUT: Annotated[float, Meta(gt=0, le=3_600)] = 60
    IMPORT_MAX_WAIT: Annotated[float, Meta(ge=0, le=10)] = 0.25
    CLOUD_RUN_TIMEOUT_SECONDS: _Whole | None = None
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


_MAY_BE = {
    "MIXPANEL_PROJECT_ID": "the project's number, as shown in Mixpanel's project settings",
    "MIXPANEL_REGION": "us, eu or in",
    "MIXPANEL_API_URL": "an http:// or https:// address without a path, such as https://api.mixpanel.com",
    "IMPORT_BATCH_EVENTS": f"a whole number from 1 to {MAX_BATCH_EVENTS}",
    "IMPORT_BATCH_BYTES": "a whole number of bytes from 1000 to 10000000",
    "IMPORT_CONCURRENCY": "a whole number from 1 to 100",
    "IMPORT_BUFFER_BYTES": "a whole number of bytes, at least IMPORT_BATCH_BYTES",
    "IMPORT_TRANSFORM": "module:function, such as mapping:to_mixpanel",
    "IMPORT_REJECTS": "gs://bucket/prefix or projects/PROJECT/topics/TOPIC",
    "IMPORT_CHECKPOINTS": "gs://bucket/prefix",
    "IMPORT_RETRY_SECONDS": "a number of seconds from 0 to 86400",
    "IMPORT_BACKOFF": "a number of seconds above 0, at most 60",
    "IMPORT_TIMEOUT": "a number of seconds above 0, at most 3600",
    "IMPORT_MAX_WAIT": "a number of seconds from 0 to 10",
    "CLOUD_RUN_TIMEOUT_SECONDS": "a whole number of seconds, as Cloud Run sets it",
    "LOG_LEVEL": "DEBUG, INFO, WARNING or ERROR",
}

_NOT_SHOWN = {"MIXPANEL_PROJECT_ID", "MIXPANEL_API_URL"}
"""A secret may have been put there by mistake."""


class Settings(Struct, frozen=True):
    """Everything the importer can be told. Sizes are uncompressed bytes, times are seconds.

    `retry_seconds` is None where the trigger's own default holds; `backoff` is the first wait after a
    5xx, `timeout` how long one request may go without an answer; `time_limit` is what the platform gives one
    invocation, None where nothing limits it.
    """

    credentials: Credentials
    api_url: str
    batch_events: int = MAX_BATCH_EVENTS
    batch_bytes: int = 9_500_000
    concurrency: int = 10
    buffer_bytes: int = 48_000_000
    transform: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rejects: str | None = None
    checkpoints: str | None = None
    retry_seconds: float | None = None
    backoff: float = 2
    timeout: float = 60
    max_wait: float = 0.25
    time_limit: int | None = None
    log_level: str = "INFO"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Reads the settings out of `environment`; a variable set to nothing counts as not set.

    Raises:
        SettingsError: one is missing, malformed, or contradicts another.
    """
    env = _convert({k: v.strip() for k in _Environment.__struct_fields__ if (v := environment.get(k, "")).strip()})
    if env.IMPORT_BUFFER_BYTES < env.IMPORT_BATCH_BYTES:
        raise SettingsError(
            f"IMPORT_BUFFER_BYTES is {env.IMPORT_BUFFER_BYTES}, less than IMPORT_BATCH_BYTES "
            f"({env.IMPORT_BATCH_BYTES}): it must have room for one batch at least."
        )
    return Settings(
        credentials=_credentials(env),
        api_url=_api_url(env),
        batch_events=env.IMPORT_BATCH_EVENTS,
        batch_bytes=env.IMPORT_BATCH_BYTES,
        concurrency=env.IMPORT_CONCURRENCY,
        buffer_bytes=env.IMPORT_BUFFER_BYTES,
        transform=env.IMPORT_TRANSFORM,
        include=_globs(env.IMPORT_INCLUDE),
        exclude=_globs(env.IMPORT_EXCLUDE),
        rejects=env.IMPORT_REJECTS,
        checkpoints=env.IMPORT_CHECKPOINTS,
        retry_seconds=env.IMPORT_RETRY_SECONDS,
        backoff=env.IMPORT_BACKOFF,
        timeout=env.IMPORT_TIMEOUT,
        max_wait=env.IMPORT_MAX_WAIT,
        time_limit=env.CLOUD_RUN_TIMEOUT_SECONDS,
        log_level=env.LOG_LEVEL,
    )


def _convert(found: dict[str, str]) -> _Environment:
    """Converts the texts one by one first, so that the error can name the variable and show its value."""
    for name, text in found.items():
        try:
            value = getattr(msgspec.convert({name: text}, _Environment, strict=False), name)
        except msgspec.ValidationError:
            value = None
        if value is None:
            raise _wrong(name, text)
    return msgspec.convert(found, _Environment, strict=False)


def _wrong(name: str, text: str) -> SettingsError:
    shown = "not what it must be" if name in _NOT_SHOWN else repr(text[:80])
    return SettingsError(f"{name} is {shown}: it must be {_MAY_BE[name]}.")


def _credentials(env: _Environment) -> Credentials:
    account: dict[str, Any] = {
        name: getattr(env, name)
        for name in ("MIXPANEL_PROJECT_ID", "MIXPANEL_SERVICE_ACCOUNT_USERNAME", "MIXPANEL_SERVICE_ACCOUNT_SECRET")
    }
    user, secret = env.MIXPANEL_SERVICE_ACCOUNT_USERNAME, env.MIXPANEL_SERVICE_ACCOUNT_SECRET
    kinds = {
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME and _SECRET": user or secret,
        "MIXPANEL_PROJECT_TOKEN": env.MIXPANEL_PROJECT_TOKEN,
        "MIXPANEL_API_SECRET": env.MIXPANEL_API_SECRET,
    }
    given = [name for name, value in kinds.items() if value]
    if len(given) > 1:
        raise SettingsError(f"{' as well as '.join(given)} are set: keep one kind of credentials and unset the others.")
    if not given:
        raise SettingsError(
            "No Mixpanel credentials are set: set MIXPANEL_PROJECT_ID, MIXPANEL_SERVICE_ACCOUNT_USERNAME and "
            "MIXPANEL_SERVICE_ACCOUNT_SECRET, or MIXPANEL_PROJECT_TOKEN alone."
        )
    if env.MIXPANEL_PROJECT_TOKEN:
        return Credentials(CredentialKind.PROJECT_TOKEN, env.MIXPANEL_PROJECT_TOKEN, "", env.MIXPANEL_PROJECT_ID)
    if env.MIXPANEL_API_SECRET:
        return Credentials(CredentialKind.API_SECRET, env.MIXPANEL_API_SECRET, "", env.MIXPANEL_PROJECT_ID)
    missing = [name for name, value in account.items() if not value]
    if missing:
        raise SettingsError(
            f"A service account needs three settings, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set."
        )
    return Credentials(CredentialKind.SERVICE_ACCOUNT, user or "", secret or "", env.MIXPANEL_PROJECT_ID)


def _api_url(env: _Environment) -> str:
    url = (env.MIXPANEL_API_URL or _HOSTS[env.MIXPANEL_REGION]).rstrip("/")
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        address = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")
    except ValueError:
        raise _wrong("MIXPANEL_API_URL", url) from None
    if parts.scheme not in {"http", "https"} or not host or address != url.lower() or any(map(str.isspace, url)):
        raise _wrong("MIXPANEL_API_URL", url)
    return url


def _globs(text: str) -> tuple[str, ...]:
    return tuple(glob for part in text.split(",") if (glob := part.strip()))
