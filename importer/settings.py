"""The settings: environment variables, read once into a typed, checked, immutable object.

A setting is one row: a field with its type, and beside it the variable's name, the default, what it may be, and what it
means. A field is called as its variable, without the prefix. README's table is tested against the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from msgspec import Struct

from importer.errors import SettingsError
from importer.limits import MAX_BATCH_EVENTS
from importer.variables import GLOBS, ORIGIN, Kind, Row, matching, misspelt, one_of, seconds, some, whole

API_SECRET_RETIRED = "2027-03-03"  # noqa: S105 (a date)
"""The day on which Mixpanel stops to accept project API secrets."""

_HOSTS = {
    "us": "https://api.mixpanel.com",
    "eu": "https://api-eu.mixpanel.com",
    "in": "https://api-in.mixpanel.com",
}

T = TypeVar("T")


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


_ADDRESS = r"(gs|s3)://[^/]+/.*[^/].*"
_TOPIC = r"projects/[^/]+/topics/[^/]+"
_NAMES = "globs on the object's name, with commas between them: `*` takes any text, `**/` any folders or none"
_TEXT = Kind(str, "a text")

ROWS: list[Row] = []
"""All settings, in the order in which they are documented. The two classes below fill it, and nobody else."""


def _row(
    name: str, default: T, kind: Kind, meaning: str, shown: str | None = None, *, may_be_secret: bool = False
) -> T:
    """Adds a row, and gives back the field's default; `shown` is that in words, where its value does not say it."""
    words = ("" if default is None else str(default)) if shown is None else shown
    ROWS.append(Row(name, words, kind, meaning, is_shown=not may_be_secret))
    return default


class _Parts(Struct, frozen=True):
    """The variables that have no field of their own in `Settings`."""

    project_id: str | None = _row(
        "MIXPANEL_PROJECT_ID",
        None,
        matching("[0-9]+", "the project's number, as shown in Mixpanel's project settings"),
        "credentials, as Mixpanel recommends",
        may_be_secret=True,
    )
    service_account_username: str | None = _row(
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME", None, _TEXT, "credentials, as Mixpanel recommends"
    )
    service_account_secret: str | None = _row(
        "MIXPANEL_SERVICE_ACCOUNT_SECRET", None, _TEXT, "credentials, as Mixpanel recommends"
    )
    project_token: str | None = _row("MIXPANEL_PROJECT_TOKEN", None, _TEXT, "instead of these: the project's token")
    api_secret: str | None = _row(
        "MIXPANEL_API_SECRET", None, _TEXT, f"instead: legacy; Mixpanel retires it on {API_SECRET_RETIRED}"
    )
    region: str = _row("MIXPANEL_REGION", "us", one_of(*_HOSTS), "`us`, `eu` or `in`")
    api_url: str | None = _row(
        "MIXPANEL_API_URL",
        None,
        ORIGIN,
        "another address, for the sandbox and tests",
        "by region",
        may_be_secret=True,
    )
    cloud_run_timeout_seconds: int | None = _row(
        "CLOUD_RUN_TIMEOUT_SECONDS",
        None,
        whole(1, None, "a whole number of seconds, as Cloud Run sets it"),
        "",
    )


class Settings(Struct, frozen=True):
    """Everything the importer can be told. Sizes are uncompressed bytes, times are seconds.

    What each means, `ROWS` says. `retry_seconds` is None where the trigger's own default holds, `time_limit` where
    nothing limits a delivery, `default_ip` where Mixpanel is to take the importer's own address.
    """

    credentials: Credentials
    api_url: str
    batch_events: int = _row(
        "IMPORT_BATCH_EVENTS",
        MAX_BATCH_EVENTS,
        whole(1, MAX_BATCH_EVENTS, f"a whole number from 1 to {MAX_BATCH_EVENTS}"),
        f"events in a request, at most ({MAX_BATCH_EVENTS} is Mixpanel's limit)",
    )
    batch_bytes: int = _row(
        "IMPORT_BATCH_BYTES",
        9_500_000,
        whole(1_000, 10_000_000, "a whole number of bytes from 1000 to 10000000"),
        "uncompressed bytes in a request, at most",
    )
    concurrency: int = _row(
        "IMPORT_CONCURRENCY",
        10,
        whole(1, 100, "a whole number from 1 to 100"),
        "requests in flight, at most, for each process",
    )
    buffer_bytes: int = _row(
        "IMPORT_BUFFER_BYTES",
        48_000_000,
        whole(1_000, None, "a whole number of bytes, at least IMPORT_BATCH_BYTES"),
        "uncompressed bytes of events held, at most, for each process",
    )
    events_per_second: float | None = _row(
        "IMPORT_EVENTS_PER_SECOND",
        None,
        some(1_000_000),
        "a ceiling for each process, where live traffic shares the project",
    )
    mapping: str | None = _row(
        "IMPORT_MAPPING",
        None,
        matching(r"[a-z][a-z0-9_]*|heap:.+|.*[^/]\.toml", "a ready mapping's name, auto, or the path of a *.toml file"),
        "a ready mapping's name (`heap:<table>` for one of Heap's tables), `auto`, or the path of a mapping file"
        " (`*.toml`)",
    )
    transform: str | None = _row(
        "IMPORT_TRANSFORM",
        None,
        matching(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", "module:function, such as mapping:to_mixpanel"),
        "`module:function`: your mapping, from a dict to a dict, a list of dicts, or None to drop it",
    )
    default_ip: str | None = _row(
        "IMPORT_DEFAULT_IP",
        "0",
        Kind(one_of("0", "none").type, "0 or none", lambda given: None if given == "none" else given),
        "what an event without `ip` gets. `0`: no location is guessed; `none`: Mixpanel goes by the importer's address",
    )
    include: tuple[str, ...] = _row("IMPORT_INCLUDE", (), GLOBS, _NAMES, "")
    exclude: tuple[str, ...] = _row("IMPORT_EXCLUDE", (), GLOBS, _NAMES, "")
    rejects: str | None = _row(
        "IMPORT_REJECTS",
        None,
        matching(f"{_ADDRESS}|{_TOPIC}", "gs://bucket/prefix, s3://bucket/prefix or projects/PROJECT/topics/TOPIC"),
        "where rejects are kept: `gs://bucket/prefix`, `s3://…` or `projects/P/topics/T`; without it the log alone has"
        " them",
    )
    log_rejects: int = _row(
        "IMPORT_LOG_REJECTS",
        100,
        whole(0, 100_000, "a whole number from 0 to 100000"),
        "rejects that are logged with their content, for each source; 0 is none",
    )
    checkpoints: str | None = _row(
        "IMPORT_CHECKPOINTS",
        None,
        matching(_ADDRESS, "gs://bucket/prefix or s3://bucket/prefix"),
        "`gs://bucket/prefix` or `s3://…`: how far each object got, so that a big one goes on where it stopped",
    )
    retry_seconds: float | None = _row(
        "IMPORT_RETRY_SECONDS",
        None,
        seconds(86_400),
        "seconds for which one batch is tried again before the work is handed back",
        "300 for files, 10 for messages",
    )
    backoff: float = _row(
        "IMPORT_BACKOFF",
        2,
        some(60, " of seconds"),
        "seconds before the first try again after a 5xx; doubles up to 60, with jitter. After a 429 the whole process "
        "slows down",
    )
    timeout: float = _row(
        "IMPORT_TIMEOUT", 60, some(3_600, " of seconds"), "seconds that one request may go without an answer"
    )
    max_wait: float = _row("IMPORT_MAX_WAIT", 0.25, seconds(10), "seconds a message waits for company, at most")
    time_limit: float | None = _row(
        "IMPORT_TIME_LIMIT", None, some(86_400, " of seconds"), "seconds that one delivery may take", "the platform's"
    )
    source_header: str | None = _row(
        "IMPORT_SOURCE_HEADER",
        None,
        matching(r"[A-Za-z][A-Za-z0-9-]*", "the name of a header, such as X-Import-Source"),
        "a header that tells where a request's events are from, for a proxy of yours or the sandbox",
    )
    log_level: str = _row(
        "LOG_LEVEL", "INFO", one_of("DEBUG", "INFO", "WARNING", "ERROR"), "`DEBUG`, `INFO`, `WARNING` or `ERROR`"
    )


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Reads the settings out of `environment`; a variable set to nothing counts as not set.

    Raises:
        SettingsError: one is missing, malformed, or contradicts another. Where a variable looks misspelt, the text says
            so as well: it may be the one that is missing.
    """
    try:
        return _read(environment)
    except SettingsError as error:
        raise SettingsError(" ".join([str(error), *not_settings(environment)])) from None


def not_settings(environment: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that is called like a setting and is none: it changes nothing."""
    return [*misspelt(environment, ROWS)]


def _read(environment: Mapping[str, str]) -> Settings:
    found = {row.field: row.value(given) for row in ROWS if (given := environment.get(row.name, "").strip())}
    parts = _Parts(**{name: found.pop(name) for name in _Parts.__struct_fields__ if name in found})
    if parts.cloud_run_timeout_seconds:
        found.setdefault("time_limit", parts.cloud_run_timeout_seconds)
    settings = Settings(_credentials(parts), parts.api_url or _HOSTS[parts.region], **found)
    if settings.buffer_bytes < settings.batch_bytes:
        raise SettingsError(
            f"IMPORT_BUFFER_BYTES is {settings.buffer_bytes}, less than IMPORT_BATCH_BYTES "
            f"({settings.batch_bytes}): it must have room for one batch at least."
        )
    return settings


def _credentials(given: _Parts) -> Credentials:
    user, secret = given.service_account_username, given.service_account_secret
    both = "MIXPANEL_SERVICE_ACCOUNT_USERNAME and _SECRET"
    kinds = {
        both if user and secret else f"MIXPANEL_SERVICE_ACCOUNT_{'USERNAME' if user else 'SECRET'}": user or secret,
        "MIXPANEL_PROJECT_TOKEN": given.project_token,
        "MIXPANEL_API_SECRET": given.api_secret,
    }
    names = [name for name, value in kinds.items() if value]
    if len(names) > 1:
        raise SettingsError(f"{' as well as '.join(names)} are set: keep one kind of credentials and unset the others.")
    if given.project_token:
        return Credentials(CredentialKind.PROJECT_TOKEN, given.project_token, "", given.project_id)
    if given.api_secret:
        return Credentials(CredentialKind.API_SECRET, given.api_secret, "", given.project_id)
    if user and secret and given.project_id:
        return Credentials(CredentialKind.SERVICE_ACCOUNT, user, secret, given.project_id)
    raise _incomplete(given)


def _incomplete(given: _Parts) -> SettingsError:
    """The error that says which credentials are missing."""
    account = {
        "MIXPANEL_PROJECT_ID": given.project_id,
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME": given.service_account_username,
        "MIXPANEL_SERVICE_ACCOUNT_SECRET": given.service_account_secret,
    }
    missing = [name for name, value in account.items() if not value]
    if len(missing) == len(account):
        return SettingsError(
            "No Mixpanel credentials are set: set MIXPANEL_PROJECT_ID, MIXPANEL_SERVICE_ACCOUNT_USERNAME and "
            "MIXPANEL_SERVICE_ACCOUNT_SECRET, or MIXPANEL_PROJECT_TOKEN alone."
        )
    if given.project_id and len(missing) == len(account) - 1:
        return SettingsError(
            f"No Mixpanel credentials are set but MIXPANEL_PROJECT_ID: set {' and '.join(missing)} as well, or "
            "MIXPANEL_PROJECT_TOKEN."
        )
    return SettingsError(
        f"A service account needs three settings, and {' and '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not set."
    )
