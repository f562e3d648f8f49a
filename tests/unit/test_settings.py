"""The settings: what they may be, and the sentence that says which one is wrong."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.errors import SettingsError
from importer.settings import CredentialKind, Settings, from_environment

TOKEN = {"MIXPANEL_PROJECT_TOKEN": "a-token"}
ACCOUNT = {
    "MIXPANEL_PROJECT_ID": "17",
    "MIXPANEL_SERVICE_ACCOUNT_USERNAME": "importer.1a2b3c",
    "MIXPANEL_SERVICE_ACCOUNT_SECRET": "hush-hush",
}


def refusal(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as raised:
        from_environment(environment)
    return str(raised.value)


def test_a_token_alone_is_enough_and_the_rest_has_defaults() -> None:
    found = from_environment(TOKEN)
    assert found == Settings(found.credentials, "https://api.mixpanel.com")
    assert (found.batch_events, found.batch_bytes, found.concurrency) == (2_000, 9_500_000, 10)
    assert (found.buffer_bytes, found.max_wait, found.retry_seconds, found.time_limit) == (48_000_000, 0.25, None, None)


KINDS = {
    "a service account": (ACCOUNT, (CredentialKind.SERVICE_ACCOUNT, "importer.1a2b3c", "hush-hush", "17")),
    "a project token": (TOKEN, (CredentialKind.PROJECT_TOKEN, "a-token", "", None)),
    "an API secret": ({"MIXPANEL_API_SECRET": "s"}, (CredentialKind.API_SECRET, "s", "", None)),
    "a token and a project": (
        TOKEN | {"MIXPANEL_PROJECT_ID": "17"},
        (CredentialKind.PROJECT_TOKEN, "a-token", "", "17"),
    ),
    "with white space around": (
        {"MIXPANEL_PROJECT_TOKEN": " a-token\n", "MIXPANEL_API_SECRET": "  "},
        (CredentialKind.PROJECT_TOKEN, "a-token", "", None),
    ),
}


@pytest.mark.parametrize(("environment", "expected"), KINDS.values(), ids=KINDS.keys())
def test_there_are_three_kinds_of_credentials(
    environment: dict[str, str], expected: tuple[CredentialKind, str, str, str | None]
) -> None:
    found = from_environment(environment).credentials
    assert (found.kind, found.username, found.password, found.project_id) == expected


def test_every_setting_is_read() -> None:
    found = from_environment(
        TOKEN
        | {
            "MIXPANEL_REGION": "eu",
            "IMPORT_BATCH_EVENTS": "100",
            "IMPORT_BATCH_BYTES": "2000000",
            "IMPORT_CONCURRENCY": "3",
            "IMPORT_BUFFER_BYTES": "5000000",
            "IMPORT_TRANSFORM": "mapping.shop:to_mixpanel",
            "IMPORT_INCLUDE": "*.jsonl, data/*.json ,",
            "IMPORT_EXCLUDE": "tmp/*",
            "IMPORT_REJECTS": "gs://bucket/rejects",
            "IMPORT_CHECKPOINTS": "gs://bucket/checkpoints/",
            "IMPORT_RETRY_SECONDS": "0",
            "IMPORT_BACKOFF": "0.5",
            "IMPORT_TIMEOUT": "7",
            "IMPORT_MAX_WAIT": "0",
            "CLOUD_RUN_TIMEOUT_SECONDS": "540",
            "LOG_LEVEL": "DEBUG",
            "PATH": "/bin",
        }
    )
    assert msgspec.structs.astuple(found)[1:] == (
        "https://api-eu.mixpanel.com",
        100,
        2_000_000,
        3,
        5_000_000,
        "mapping.shop:to_mixpanel",
        ("*.jsonl", "data/*.json"),
        ("tmp/*",),
        "gs://bucket/rejects",
        "gs://bucket/checkpoints/",
        0.0,
        0.5,
        7.0,
        0.0,
        540,
        "DEBUG",
    )


@pytest.mark.parametrize(
    ("region", "host"), [("us", "api.mixpanel.com"), ("eu", "api-eu.mixpanel.com"), ("in", "api-in.mixpanel.com")]
)
def test_the_region_says_where_events_go(region: str, host: str) -> None:
    assert from_environment(TOKEN | {"MIXPANEL_REGION": region}).api_url == f"https://{host}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8081", "https://proxy.example/", "http://[::1]:80", "HTTP://Host"])
def test_an_address_of_ones_own_goes_before_the_region(url: str) -> None:
    assert from_environment(TOKEN | {"MIXPANEL_API_URL": url}).api_url == url.rstrip("/")


CREDENTIALS = {
    "none": ({}, "No Mixpanel credentials are set: set MIXPANEL_PROJECT_ID, .* or MIXPANEL_PROJECT_TOKEN alone"),
    "a project alone": ({"MIXPANEL_PROJECT_ID": "17"}, "No Mixpanel credentials are set"),
    "an account without its secret": (
        {k: v for k, v in ACCOUNT.items() if not k.endswith("SECRET")},
        "needs three settings, and MIXPANEL_SERVICE_ACCOUNT_SECRET is not set",
    ),
    "an account's secret alone": (
        {"MIXPANEL_SERVICE_ACCOUNT_SECRET": "hush-hush"},
        "and MIXPANEL_PROJECT_ID and MIXPANEL_SERVICE_ACCOUNT_USERNAME are not set",
    ),
    "an account and a token": (
        ACCOUNT | TOKEN,
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME and _SECRET as well as MIXPANEL_PROJECT_TOKEN are set: keep one kind",
    ),
    "a token and an API secret": (
        TOKEN | {"MIXPANEL_API_SECRET": "s"},
        "MIXPANEL_PROJECT_TOKEN as well as MIXPANEL_API",
    ),
}


@pytest.mark.parametrize(("environment", "reason"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_credentials_that_are_not_whole_or_not_one_are_named_and_not_shown(
    environment: dict[str, str], reason: str
) -> None:
    told = refusal(environment)
    assert re.search(reason, told)
    assert "hush" not in told
    assert "a-token" not in told


WRONG = {
    "MIXPANEL_REGION": (["EU", "europe", "null"], "us, eu or in"),
    "MIXPANEL_API_URL": (
        [
            *("api.mixpanel.com", "ftp://h", "http://", "http://h/path", "http://h?a=b", "http://h#a", "http://u:pw@h"),
            *("http://[::1", "http://h:99999", "http://h:port", "http://:80", "http://h h"),
        ],
        "an http:// or https:// address without a path",
    ),
    "IMPORT_BATCH_EVENTS": (
        ["0", "2001", "-1", "many", "1.5", "nan", "null", "2_000"],
        "a whole number from 1 to 2000",
    ),
    "IMPORT_BATCH_BYTES": (["999", "10000001", "10 MB"], "a whole number of bytes from 1000 to 10000000"),
    "IMPORT_CONCURRENCY": (["0", "101"], "a whole number from 1 to 100"),
    "IMPORT_BUFFER_BYTES": (["0", "lots"], "a whole number of bytes, at least IMPORT_BATCH_BYTES"),
    "IMPORT_TRANSFORM": (["mapping", "mapping.py", "mapping:", ":f", "a b:c", "a:b.c"], "module:function"),
    "IMPORT_REJECTS": (
        ["bucket/x", "gs://", "gs://bucket", "projects/p", "s3://b/p"],
        "gs://bucket/prefix or projects/",
    ),
    "IMPORT_CHECKPOINTS": (["projects/p/topics/t", "gs://bucket/"], "gs://bucket/prefix"),
    "IMPORT_RETRY_SECONDS": (["-1", "inf", "nan", "86401", "a while", "null"], "a number of seconds from 0 to 86400"),
    "IMPORT_BACKOFF": (["0", "61", "nan"], "a number of seconds above 0, at most 60"),
    "IMPORT_TIMEOUT": (["0", "inf", "1e300", "nan"], "a number of seconds above 0, at most 3600"),
    "IMPORT_MAX_WAIT": (["-1", "11", "nan"], "a number of seconds from 0 to 10"),
    "CLOUD_RUN_TIMEOUT_SECONDS": (["0", "540s", "null"], "a whole number of seconds"),
    "LOG_LEVEL": (["TRACE", "debug"], "DEBUG, INFO, WARNING or ERROR"),
    "MIXPANEL_PROJECT_ID": (["hush-hush", "1 7", "null"], "the project's number"),
}


@pytest.mark.parametrize(
    ("name", "value", "may_be"), [(name, value, may) for name, (values, may) in WRONG.items() for value in values]
)
def test_a_wrong_setting_is_named_with_what_it_may_be(name: str, value: str, may_be: str) -> None:
    told = refusal(TOKEN | {name: value})
    assert told.startswith(f"{name} is ")
    assert f": it must be {may_be}" in told
    assert told.count("\n") == 0


@pytest.mark.parametrize("name", ["MIXPANEL_PROJECT_ID", "MIXPANEL_API_URL"])
def test_a_secret_put_in_the_wrong_variable_is_not_shown(name: str) -> None:
    assert "hush" not in refusal(TOKEN | {name: "hush-hush"})


def test_a_buffer_has_room_for_one_batch() -> None:
    assert refusal(TOKEN | {"IMPORT_BUFFER_BYTES": "5000000"}).startswith(
        "IMPORT_BUFFER_BYTES is 5000000, less than IMPORT_BATCH_BYTES (9500000)"
    )
    sizes = {"IMPORT_BUFFER_BYTES": "5000000", "IMPORT_BATCH_BYTES": "5000000"}
    assert from_environment(TOKEN | sizes).buffer_bytes == 5_000_000


def test_no_way_of_showing_the_settings_shows_a_secret() -> None:
    for environment in (ACCOUNT, {"MIXPANEL_PROJECT_TOKEN": "hush-hush"}, {"MIXPANEL_API_SECRET": "hush-hush"}):
        found = from_environment(environment)
        shown = f"{found} {found!r} {found.credentials} {found.credentials!r} {found.credentials.__rich_repr__()}"
        assert "hush" not in shown
        assert found.credentials.kind.value in shown


@given(st.dictionaries(st.sampled_from([*WRONG, *ACCOUNT, *TOKEN, "IMPORT_INCLUDE"]), st.text(max_size=30)))
def test_any_environment_is_understood_or_refused_in_one_sentence(environment: dict[str, str]) -> None:
    try:
        from_environment(environment)
    except SettingsError as error:
        assert str(error).endswith(".")  # noqa: PT017 (it may just as well not be raised)
