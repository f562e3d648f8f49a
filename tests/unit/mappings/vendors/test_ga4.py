"""Rows of GA4's BigQuery export, as its schema has them: in every form, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from importer.mappings.vendors import ga4
from importer.mappings.vendors.ga4 import matches, to_mixpanel
from importer.mappings.vendors.ga4_rows import _without_wrappings
from sandbox.vendors import ga4 as made_up
from sandbox.vendors.shop import happenings
from tests.unit.mappings.judged import event, judge, properties, rejected, spoiled

ROW: dict[str, Any] = {
    "event_date": "20250601",
    "event_timestamp": "1748736000123456",
    "event_name": "page_view",
    "event_params": [],
    "user_pseudo_id": "1234567.89",
    "user_id": None,
    "event_bundle_sequence_id": "17",
}
TIME = 1_748_736_000_123


def params(**values: Any) -> list[dict[str, Any]]:
    """Parameters as an extract writes them."""
    kinds = {str: "string_value", int: "int_value", float: "double_value"}
    return [
        {"key": key, "value": {kinds[type(value)]: str(value) if isinstance(value, int) else value}}
        for key, value in values.items()
    ]


Case = tuple[str, dict[str, Any], dict[str, Any]]
CASES: list[Case] = [
    ("microseconds in a text", {}, {"time": TIME}),
    ("microseconds in a number", {"event_timestamp": 1748736000123999}, {"time": TIME}),
    ("a browser", {}, {"$device_id": "1234567.89", "$user_id": None, "distinct_id": "$device:1234567.89"}),
    ("a user", {"user_id": "u1"}, {"$device_id": "1234567.89", "$user_id": "u1", "distinct_id": "u1"}),
    ("no consent", {"user_pseudo_id": None}, {"$device_id": None, "$user_id": None, "distinct_id": ""}),
    ("an empty id", {"user_pseudo_id": "", "user_id": ""}, {"$device_id": None, "distinct_id": ""}),
    ("no address", {}, {"ip": None}),
    ("a city", {"geo": {"city": "Mumbai", "region": "Maharashtra"}}, {"$city": "Mumbai", "$region": "Maharashtra"}),
    ("no city", {"geo": {"city": "(not set)", "region": ""}}, {"$city": None, "$region": None}),
    (
        "a country by its English name",
        {"geo": {"country": "United States"}},
        {"mp_country_code": "US", "country": None},
    ),
    ("a country in Google's words", {"geo": {"country": "Türkiye"}}, {"mp_country_code": "TR"}),
    ("an unknown country", {"geo": {"country": "Atlantis"}}, {"mp_country_code": None, "country": "Atlantis"}),
    ("no country", {"geo": {"country": "(not set)"}}, {"mp_country_code": None, "country": None}),
    ("where a continent is", {"geo": {"continent": "Asia"}}, {"continent": None}),
    (
        "a page",
        {"event_params": params(page_location="https://a/b")},
        {"$current_url": "https://a/b", "page_location": None},
    ),
    ("a referrer", {"event_params": params(page_referrer="https://c/")}, {"$referrer": "https://c/"}),
    ("no referrer", {"event_params": params(page_referrer="")}, {"$referrer": None}),
    ("a title", {"event_params": params(page_title="A page")}, {"page_title": "A page"}),
    ("no title", {"event_params": params(page_title="(not set)")}, {"page_title": None}),
    (
        "a host alone",
        {"device": {"web_info": {"hostname": "a.example"}}},
        {"hostname": "a.example", "$current_url": None},
    ),
    (
        "a host beside its page",
        {"device": {"web_info": {"hostname": "a"}}, "event_params": params(page_location="https://a/b")},
        {"hostname": None},
    ),
    (
        "a system",
        {"device": {"operating_system": "Macintosh", "operating_system_version": "Intel 10.15"}},
        {"$os": "Macintosh", "$os_version": "Intel 10.15"},
    ),
    (
        "a system twice",
        {"device": {"operating_system": "Android", "operating_system_version": "Android 12"}},
        {"$os": "Android", "$os_version": "12"},
    ),
    ("Web is none", {"device": {"operating_system": "Web"}}, {"$os": None}),
    (
        "a browser's name",
        {"device": {"web_info": {"browser": "Chrome", "browser_version": "137.0"}}},
        {"$browser": "Chrome", "$browser_version": "137.0"},
    ),
    (
        "a browser's name of old",
        {"device": {"browser": "Chrome", "browser_version": "87.0"}},
        {"$browser": "Chrome", "$browser_version": "87.0"},
    ),
    (
        "a phone",
        {"device": {"mobile_brand_name": "Google", "mobile_model_name": "Pixel 9", "mobile_marketing_name": "Pixel"}},
        {"$manufacturer": "Google", "$model": "Pixel 9", "$brand": "Pixel"},
    ),
    ("no phone", {"device": {"mobile_brand_name": "<Other>"}}, {"$manufacturer": None}),
    (
        "a category is no device's name",
        {"device": {"category": "mobile"}},
        {"$device": None, "device_category": "mobile"},
    ),
    (
        "an app",
        {"app_info": {"version": "4.2.0", "id": "com.a", "install_source": "iTunes"}},
        {"$app_version_string": "4.2.0", "app_id": "com.a", "install_source": "iTunes"},
    ),
    (
        "what brought the visit",
        {
            "collected_traffic_source": {
                "manual_source": "google",
                "manual_medium": "cpc",
                "manual_campaign_name": "sale",
                "manual_term": "lamp",
                "manual_content": "b",
                "gclid": "g-1",
            },
            "event_params": params(source="bing", medium="organic"),
        },
        {
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": "sale",
            "utm_term": "lamp",
            "utm_content": "b",
            "gclid": "g-1",
        },
    ),
    (
        "what brought it, in parameters",
        {"event_params": params(source="bing", medium="organic", campaign="c", term="t", content="x")},
        {
            "utm_source": "bing",
            "utm_medium": "organic",
            "utm_campaign": "c",
            "utm_term": "t",
            "utm_content": "x",
            "source": None,
        },
    ),
    (
        "nothing brought it",
        {
            "event_params": params(source="(direct)", medium="(none)"),
            "collected_traffic_source": {"manual_source": None},
        },
        {"utm_source": None, "utm_medium": None, "source": None},
    ),
    (
        "what once brought the user",
        {"traffic_source": {"source": "bing", "medium": "organic", "name": "x"}},
        {"utm_source": None, "source": None},
    ),
    ("an integer", {"event_params": params(ga_session_id=3599645542)}, {"ga_session_id": 3599645542}),
    ("a large integer", {"event_params": params(order=-(2**63))}, {"order": -(2**63)}),
    (
        "Firebase's identifiers",
        {"event_params": params(firebase_screen_id=-5164663614086310235)},
        {"firebase_screen_id": "-5164663614086310235"},
    ),
    ("a fraction", {"event_params": params(value=1.5)}, {"value": 1.5}),
    ("a whole fraction", {"event_params": [{"key": "value", "value": {"double_value": 2}}]}, {"value": 2.0}),
    ("a float", {"event_params": [{"key": "value", "value": {"float_value": 0.5}}]}, {"value": 0.5}),
    ("zero", {"event_params": params(value=0)}, {"value": 0}),
    (
        "a fraction that is none",
        {"event_params": [{"key": "value", "value": {"double_value": "NaN"}}]},
        {"value": None},
    ),
    (
        "a parameter without a value",
        {"event_params": [{"key": "a", "value": {}}, {"key": "b"}]},
        {"a": None, "b": None},
    ),
    (
        "parameters that do harm",
        {
            "event_params": params(
                **{"$ignore": "1", "bucket": "b", "token": "t", "time": 5, "ip": "1.1.1.1", "distinct_id": "x"}
            )
        },
        {"$ignore": None, "bucket": None, "token": None, "ip": None, "time": TIME, "distinct_id": "$device:1234567.89"},
    ),
    (
        "what is known of the user",
        {
            "user_properties": [
                {"key": "plan", "value": {"string_value": "pro", "set_timestamp_micros": "1748736000000000"}},
                {"key": "age", "value": {"int_value": "42"}},
            ]
        },
        {"user_properties": {"plan": "pro", "age": 42}},
    ),
    (
        "items",
        {
            "items": [
                {"item_id": "7", "item_brand": "(not set)", "price": 2, "quantity": "3", "item_params": params(shelf=4)}
            ]
        },
        {"items": [{"item_id": "7", "price": 2.0, "quantity": 3, "shelf": 4}]},
    ),
    (
        "a purchase",
        {"ecommerce": {"transaction_id": "t-1", "purchase_revenue": 12, "total_item_quantity": "3", "tax_value": None}},
        {"transaction_id": "t-1", "purchase_revenue": 12.0, "total_item_quantity": 3, "tax_value": None},
    ),
    ("no purchase", {"ecommerce": {"transaction_id": "(not set)"}}, {"transaction_id": None}),
    ("a value", {"event_value_in_usd": 1}, {"event_value_in_usd": 1.0}),
    ("a platform", {"platform": "WEB"}, {"platform": "WEB"}),
    (
        "Google's own",
        {"stream_id": "1", "privacy_info": {"ads_storage": "No"}, "user_ltv": {"revenue": 1.0}},
        {"stream_id": None, "privacy_info": None, "user_ltv": None},
    ),
]


@pytest.mark.parametrize(("columns", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_column_becomes_what_mixpanel_calls_it(columns: dict[str, Any], expected: dict[str, Any]) -> None:
    found = properties(to_mixpanel, ROW | columns)
    assert {name: found.get(name) for name in expected} == expected


def test_an_event_keeps_its_name() -> None:
    assert event(to_mixpanel, ROW)["event"] == "page_view"


@pytest.mark.parametrize(
    "columns", [{}, {"event_params": None}, {"event_params": ...}], ids=["none", "null", "missing"]
)
def test_an_extract_may_have_few_columns(columns: dict[str, Any]) -> None:
    names = ("event_date", "event_timestamp", "event_name", "event_params")
    row = {name: value for name, value in ({name: ROW[name] for name in names} | columns).items() if value is not ...}
    assert properties(to_mixpanel, row).keys() == {"time", "distinct_id", "$insert_id"}


# Forms


def in_parquets_own_layout(value: Any) -> Any:
    """Lists as BigQuery lays them out in Parquet, where a reader does not make lists of them."""
    if isinstance(value, list):
        return {"list": [{"element": in_parquets_own_layout(inner)} for inner in value]}
    return {name: in_parquets_own_layout(inner) for name, inner in value.items()} if isinstance(value, dict) else value


FORMS = made_up.FORMS | {"Parquet's own": lambda row: in_parquets_own_layout(made_up.of_table(row))}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_a_row_gives_the_same_event(form: Any) -> None:
    for happening in happenings(300):
        row = made_up.row(happening)
        made = form(row)
        assert matches(made)
        assert to_mixpanel(json.dumps(made).encode()) == ga4.outcomes(made) == ga4.outcomes(made_up.extracted(row))
        (line,) = judge(to_mixpanel, json.dumps(made).encode())
        assert b"null" not in line


# Insert ids


def insert_id(**columns: Any) -> str:
    found: str = properties(to_mixpanel, ROW | columns)["$insert_id"]
    return found


DIFFERENT: dict[str, dict[str, Any]] = {
    "another microsecond": {"event_timestamp": "1748736000123457"},
    "another name": {"event_name": "scroll"},
    "another browser": {"user_pseudo_id": "1234567.90"},
    "another bundle": {"event_bundle_sequence_id": "18"},
    "another page": {"batch_page_id": "1"},
    "another request": {"batch_ordering_id": "1"},
    "another place in it": {"batch_event_index": "1"},
    "another parameter": {"event_params": params(a=1)},
    "another type of it": {"event_params": params(a="1")},
}


def test_events_that_differ_have_ids_that_do() -> None:
    ids = [insert_id(), *(insert_id(**columns) for columns in DIFFERENT.values())]
    assert len(set(ids)) == len(ids)


def test_the_intraday_row_and_the_daily_one_have_the_same_id() -> None:
    known = {"event_params": params(a=1, b="x")}
    later = {
        "event_params": [*reversed(params(a=1, b="x"))],
        "traffic_source": {"source": "bing"},
        "geo": {"city": "X"},
    }
    assert insert_id(**known) == insert_id(**later)


REJECTS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "no name": ({"event_name": None}, "has no event name: event_name must be a text and is missing", "event_name"),
    "a blank name": ({"event_name": " "}, "has no event name: event_name must be a text and is empty", "event_name"),
    "no time": ({"event_timestamp": None}, "has no usable time: event_timestamp must be micro", "event_timestamp"),
    "a time of another unit": ({"event_timestamp": "1748736000"}, "has no usable time", "event_timestamp"),
    "a date": (
        {"event_timestamp": "2025-06-01"},
        "has no usable time: event_timestamp must be micro",
        "event_timestamp",
    ),
    "an integer that is none": (
        {"event_params": [{"key": "a", "value": {"int_value": "abc"}}]},
        "is no row of GA4's export: Expected int | null, got str",
        "event_params[0].value.int_value",
    ),
    "a text that is none": (
        {"event_params": [{"key": "a", "value": {"string_value": 7}}]},
        "is no row of GA4's export: Expected str | null, got int",
        "event_params[0].value.string_value",
    ),
    "parameters that are none": ({"event_params": "a"}, "is no row of GA4's export: Expected array", "event_params"),
    "a parameter without a key": (
        {"event_params": [{}]},
        "is no row of GA4's export: Object missing",
        "event_params[0]",
    ),
    "a quantity that is none": ({"items": [{"quantity": "x"}]}, "is no row of GA4's export: Expected int | null", None),
    "too many": ({"event_params": params(**{f"p{n}": n for n in range(300)})}, "has 305 properties", "properties"),
}


@pytest.mark.parametrize(("columns", "reason", "field"), REJECTS.values(), ids=REJECTS)
def test_what_is_no_row_is_a_reject_with_a_reason(columns: dict[str, Any], reason: str, field: str | None) -> None:
    found = rejected(to_mixpanel, ROW | columns)
    assert found.reason.startswith(reason)
    assert found.field == field


MATCHES = {
    "a row": (ROW, True),
    "few columns": ({"event_params": [], "event_timestamp": 1, "event_name": "a"}, True),
    "no parameter in it": ({"event_params": None, "event_timestamp": 1, "event_name": "a"}, True),
    "no parameters": ({"event_timestamp": 1, "event_name": "a"}, False),
    "another tool's": ({"event": "a", "properties": {}}, False),
}


@pytest.mark.parametrize(("record", "does"), MATCHES.values(), ids=MATCHES)
def test_a_row_is_recognised_by_its_columns(record: dict[str, Any], does: bool) -> None:
    assert matches(record) == does


SAMPLES = [form(made_up.row(happening)) for happening in happenings(30, 7) for form in made_up.FORMS.values()]


@given(spoiled(SAMPLES))
def test_whatever_a_row_holds_keeps_the_rules_or_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)


def test_lists_are_unwrapped_eight_deep() -> None:
    """Parquet's layout of a list, within objects: what is deeper than any row of GA4's stays as it is."""

    def within(levels: int) -> Any:
        value: Any = {"list": [{"element": 1}, {"item": 2}, {"other": 3}]}
        for _ in range(levels):
            value = {"a": value}
        return value

    def innermost(value: Any) -> Any:
        while isinstance(value, dict) and "a" in value:
            value = value["a"]
        return value

    assert innermost(_without_wrappings(within(8))) == [1, 2, {"other": 3}]
    assert innermost(_without_wrappings(within(9))) == within(0)
