"""The settings: what they may be, and the sentence that says which one is wrong."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.errors import SettingsError
from importer.settings import ROWS, CredentialKind, Settings, from_environment, not_settings
from sandbox.processes import ROOT

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


EVERY: dict[str, tuple[str, Any]] = {
    "IMPORT_BATCH_EVENTS": ("100", 100),
    "IMPORT_BATCH_BYTES": ("2000000", 2_000_000),
    "IMPORT_CONCURRENCY": ("3", 3),
    "IMPORT_BUFFER_BYTES": ("5000000", 5_000_000),
    "IMPORT_EVENTS_PER_SECOND": ("2.5", 2.5),
    "IMPORT_MAPPING": ("segment", "segment"),
    "IMPORT_TRANSFORM": ("mapping.shop:to_mixpanel", "mapping.shop:to_mixpanel"),
    "IMPORT_DEFAULT_IP": ("none", None),
    "IMPORT_INCLUDE": ("*.jsonl, data/*.json ,", ("*.jsonl", "data/*.json")),
    "IMPORT_EXCLUDE": ("tmp/*", ("tmp/*",)),
    "IMPORT_REJECTS": ("gs://bucket/rejects", "gs://bucket/rejects"),
    "IMPORT_LOG_REJECTS": ("0", 0),
    "IMPORT_CHECKPOINTS": ("gs://bucket/checkpoints/", "gs://bucket/checkpoints/"),
    "IMPORT_RETRY_SECONDS": ("0", 0.0),
    "IMPORT_BACKOFF": ("0.5", 0.5),
    "IMPORT_TIMEOUT": ("7", 7.0),
    "IMPORT_MAX_WAIT": ("0", 0.0),
    "IMPORT_TIME_LIMIT": ("0.5", 0.5),
    "IMPORT_SOURCE_HEADER": ("X-Import-Source", "X-Import-Source"),
    "LOG_LEVEL": ("DEBUG", "DEBUG"),
}


def test_every_setting_is_read_and_is_a_row() -> None:
    found = from_environment(
        TOKEN | {name: text for name, (text, _) in EVERY.items()} | {"MIXPANEL_REGION": "eu", "PATH": "/bin"}
    )
    assert msgspec.structs.astuple(found)[1:] == (
        "https://api-eu.mixpanel.com",
        *(value for _, value in EVERY.values()),
    )
    assert [row.name for row in ROWS if not row.name.startswith("MIXPANEL_")] == ["CLOUD_RUN_TIMEOUT_SECONDS", *EVERY]


def test_where_nobody_says_how_long_a_delivery_may_take_the_platform_does() -> None:
    platform = TOKEN | {"CLOUD_RUN_TIMEOUT_SECONDS": "540"}
    assert from_environment(platform).time_limit == 540
    assert from_environment(platform | {"IMPORT_TIME_LIMIT": "30"}).time_limit == 30


MAPPINGS = ["segment", "auto", "ga4", "heap:Signed Up", "mapping.toml", "./maps/shop.toml", "/etc/My Maps/1.toml"]


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_mapping_is_named_or_is_a_file(mapping: str) -> None:
    assert from_environment(TOKEN | {"IMPORT_MAPPING": mapping}).mapping == mapping


def test_without_a_word_on_it_events_get_no_location() -> None:
    assert from_environment(TOKEN).default_ip == "0"
    assert from_environment(TOKEN | {"IMPORT_DEFAULT_IP": "0"}).default_ip == "0"


def test_the_table_in_the_readme_says_what_the_rows_say() -> None:
    rows = [row for row in ROWS if row.meaning]
    expected = []
    for (meaning, default), alike in groupby(rows, lambda row: (row.meaning, row.default)):
        expected.append([", ".join(f"`{row.name}`" for row in alike), default, meaning])
    section = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    table = [line for line in section.split("\n") if line.startswith("| `")]
    found = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    assert [[names, default.strip("`"), meaning] for names, default, meaning in found] == expected


GOOD_GLOBS = ["a[bc]/*", "[]]x", "[!]]", "[[]", "[{]a[}]", "**/x", "a]", "x, y"]


@pytest.mark.parametrize("globs", GOOD_GLOBS)
def test_globs_are_understood(globs: str) -> None:
    assert from_environment(TOKEN | {"IMPORT_INCLUDE": globs}).include == tuple(globs.split(", "))


MISSPELT = {
    "IMPORT_REJECT": "IMPORT_REJECT is not a setting: IMPORT_REJECTS may be meant.",
    "IMPORT_MAXWAIT": "IMPORT_MAXWAIT is not a setting: IMPORT_MAX_WAIT may be meant.",
    "MIXPANEL_TOKEN": "MIXPANEL_TOKEN is not a setting: MIXPANEL_PROJECT_TOKEN may be meant.",
    "IMPORT_REGION": "IMPORT_REGION is not a setting: MIXPANEL_REGION may be meant.",
    "MIXPANEL_SERVICE_ACCOUNT_SECERT": "MIXPANEL_SERVICE_ACCOUNT_SECERT is not a setting: "
    "MIXPANEL_SERVICE_ACCOUNT_SECRET may be meant.",
    "IMPORT_FOO": "IMPORT_FOO is not a setting.",
    "IMPORT_PATIENCE": "IMPORT_PATIENCE is not a setting any more: it is IMPORT_RETRY_SECONDS now.",
}


@pytest.mark.parametrize(("name", "told"), MISSPELT.items(), ids=MISSPELT.keys())
def test_a_variable_that_is_called_like_a_setting_and_is_none_is_told(name: str, told: str) -> None:
    assert not_settings(TOKEN | {name: "hush"}) == [told]
    assert refusal({name: "hush"}).endswith(f"or MIXPANEL_PROJECT_TOKEN alone. {told}")


def test_what_is_a_setting_or_is_called_like_none_is_not_told_of() -> None:
    others = {"PATH", "LOG_LEVELS", "IMPORTER_NAME", "MIXPANEL_CREDENTIALS", "IMPORT_%%", "MIXPANEL", "import_x"}
    assert not_settings(dict.fromkeys(others | {row.name for row in ROWS}, "")) == []
    assert not_settings({"MIXPANEL_TOKEN": "", "IMPORT_REJECT": ""}) == [
        MISSPELT["IMPORT_REJECT"],
        MISSPELT["MIXPANEL_TOKEN"],
    ]


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
    "a project alone": (
        {"MIXPANEL_PROJECT_ID": "17"},
        "^No Mixpanel credentials are set but MIXPANEL_PROJECT_ID: set .*_USERNAME and .*_SECRET as well, or .*_TOKEN",
    ),
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
    "an account's user name and a token": (
        {"MIXPANEL_SERVICE_ACCOUNT_USERNAME": "importer.1a2b3c"} | TOKEN,
        "^MIXPANEL_SERVICE_ACCOUNT_USERNAME as well as MIXPANEL_PROJECT_TOKEN are set: keep one kind",
    ),
    "an account's secret and a token": (
        {"MIXPANEL_SERVICE_ACCOUNT_SECRET": "hush-hush"} | TOKEN,
        "^MIXPANEL_SERVICE_ACCOUNT_SECRET as well as MIXPANEL_PROJECT_TOKEN are set: keep one kind",
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
        ["bucket/x", "gs://", "gs://bucket", "projects/p", "s3://b"],
        "gs://bucket/prefix, s3://bucket/prefix or projects/",
    ),
    "IMPORT_CHECKPOINTS": (
        ["projects/p/topics/t", "gs://bucket/", "s3://bucket/"],
        "gs://bucket/prefix or s3://bucket/prefix",
    ),
    "IMPORT_RETRY_SECONDS": (["-1", "inf", "nan", "86401", "a while", "null"], "a number of seconds from 0 to 86400"),
    "IMPORT_BACKOFF": (["0", "61", "nan"], "a number of seconds above 0, at most 60"),
    "IMPORT_TIMEOUT": (["0", "inf", "1e300", "nan"], "a number of seconds above 0, at most 3600"),
    "IMPORT_MAX_WAIT": (["-1", "11", "nan"], "a number of seconds from 0 to 10"),
    "IMPORT_EVENTS_PER_SECOND": (["0", "-1", "nan", "inf", "1000001", "fast"], "a number above 0, at most 1000000"),
    "IMPORT_MAPPING": (
        ["Segment", "1a", "a b", ".toml", "maps/.toml", "map.yaml", "a-b"],
        "a ready mapping's name, auto, or the path of a *.toml file",
    ),
    "IMPORT_DEFAULT_IP": (["1", "None", "127.0.0.1", "null"], "0 or none"),
    "IMPORT_INCLUDE": (
        ["{a,b}/*", "a}", "a[", "[]", "[!]", "x,[a,b]", "[[]["],
        "globs with commas between them, of *, ?, [abc] and **/, without braces",
    ),
    "IMPORT_EXCLUDE": (["data/{a}"], "globs with commas between them, of *, ?, [abc] and **/, without braces"),
    "IMPORT_LOG_REJECTS": (["-1", "100001", "all"], "a whole number from 0 to 100000"),
    "IMPORT_TIME_LIMIT": (["0", "86401", "9 min"], "a number of seconds above 0, at most 86400"),
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


@given(st.dictionaries(st.sampled_from([*WRONG, *ACCOUNT, *TOKEN]), st.text(max_size=30)))
def test_any_environment_is_understood_or_refused_in_one_sentence(environment: dict[str, str]) -> None:
    try:
        from_environment(environment)
    except SettingsError as error:
        assert str(error).endswith(".")  # noqa: PT017 (it may just as well not be raised)
