"""Snowplow's enriched events, as its documentation has them: both forms, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.mappings.fields.insert_ids import insert_id
from importer.mappings.vendors.snowplow import decode, matches, to_mixpanel
from importer.mappings.vendors.snowplow_lines import COLUMNS
from sandbox.vendors import snowplow as made_up
from sandbox.vendors.shop import happenings
from tests.unit.mappings.judged import anything, dropped, event, judge, properties, rejected, spoiled

INDEXES = {
    "event_id": 6, "txn_id": 7, "v_tracker": 9, "user_id": 12, "user_ipaddress": 13, "domain_userid": 15,
    "network_userid": 17, "geo_country": 18, "geo_region": 19, "geo_city": 20, "geo_region_name": 24, "page_url": 29,
    "page_referrer": 31, "refr_urlhost": 39, "mkt_medium": 47, "mkt_campaign": 51, "contexts": 52, "se_value": 57,
    "unstruct_event": 58, "pp_yoffset_max": 76, "br_features_pdf": 84, "br_cookies": 93, "os_name": 97,
    "dvce_screenwidth": 103, "dvce_screenheight": 104, "derived_contexts": 122, "derived_tstamp": 124,
    "event_name": 126, "true_tstamp": 130,
}  # fmt: skip
"""Some of the places that https://docs.snowplow.io/docs/pipeline/enriched-tsv-format/ gives to the fields."""

FIELDS = {
    "app_id": "shop",
    "platform": "web",
    "etl_tstamp": "2017-01-26 00:01:25.292",
    "collector_tstamp": "2013-11-26 00:02:05",
    "dvce_created_tstamp": "2013-11-26 00:03:57.885",
    "event": "page_view",
    "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
    "txn_id": "41828",
    "v_tracker": "js-3.14.0",
    "v_collector": "ssc-2.8.0",
    "v_etl": "snowplow-enrich-3.6.0",
    "derived_tstamp": "2013-11-26 00:03:57.886",
    "event_vendor": "com.snowplowanalytics.snowplow",
    "event_name": "page_view",
    "event_format": "jsonschema",
    "event_version": "1-0-0",
}
TIME = 1_385_424_237_886
COLLECTED = 1_385_424_125_000


def line(**fields: str) -> bytes:
    """An enriched event: the fields above, and others in their place."""
    return "\t".join((FIELDS | fields).get(name, "") for name in COLUMNS).encode()


def contexts(*entities: tuple[str, Any]) -> str:
    data = [{"schema": f"iglu:{schema}", "data": data} for schema, data in entities]
    return json.dumps({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": data})


def self_describing(schema: str, data: Any) -> str:
    inner = {"schema": f"iglu:{schema}", "data": data}
    return json.dumps({"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", "data": inner})


SNOWPLOW = "com.snowplowanalytics.snowplow"
SESSION = (f"{SNOWPLOW}/client_session/jsonschema/1-0-2", {"userId": "m-1", "sessionId": "s-1", "sessionIndex": 3})
MOBILE = (
    f"{SNOWPLOW}/mobile_context/jsonschema/1-0-3",
    {
        "osType": "ios",
        "osVersion": "17.2",
        "deviceManufacturer": "Apple Inc.",
        "deviceModel": "iPhone15,3",
        "carrier": "AT&T",
        "networkType": "wifi",
        "networkTechnology": "LTE",
        "resolution": "1290x2796",
        "appleIdfv": "23C4D3A5-2F3B-4B0C-8B3E-0F9A2D7F6A11",
    },
)
APPLICATION = ("com.snowplowanalytics.mobile/application/jsonschema/1-0-0", {"version": "4.2", "build": "421"})
YAUAA = (
    "nl.basjes/yauaa_context/jsonschema/1-0-4",
    {
        "agentName": "Chrome",
        "agentVersion": "137.0",
        "operatingSystemName": "Windows NT",
        "operatingSystemVersion": "??",
        "deviceName": "Desktop",
        "deviceBrand": "Unknown",
        "carrier": "Vodafone",
    },
)
UA_PARSER = (
    f"{SNOWPLOW}/ua_parser_context/jsonschema/1-0-0",
    {"useragentFamily": "IE", "useragentPatch": None, "osFamily": "Windows XP", "deviceFamily": "Other"},
)

Row = tuple[str, dict[str, str], dict[str, Any]]
ROWS: list[Row] = [
    ("its id is the insert id", {}, {"$insert_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb"}),
    ("an id that Mixpanel would not take is hashed", {"event_id": "a:1"}, {"$insert_id": insert_id("a:1")}),
    ("the derived time, in UTC", {}, {"time": TIME}),
    ("a true time counts more", {"true_tstamp": "2013-11-26 00:03:57.9"}, {"time": TIME + 14}),
    ("no derived time", {"derived_tstamp": ""}, {"time": COLLECTED}),
    ("finer than milliseconds", {"true_tstamp": "2013-11-26 00:03:57.886999"}, {"time": TIME}),
    ("nobody", {}, {"distinct_id": "", "$user_id": None, "$device_id": None}),
    ("a user", {"user_id": "jon"}, {"distinct_id": "jon", "$user_id": "jon", "$device_id": None}),
    (
        "a browser",
        {"domain_userid": "bc2e92ec6c204a14"},
        {"distinct_id": "$device:bc2e92ec6c204a14", "$device_id": "bc2e92ec6c204a14", "$user_id": None},
    ),
    (
        "a user in a browser",
        {"user_id": "jon", "domain_userid": "d-1"},
        {"distinct_id": "jon", "$user_id": "jon", "$device_id": "d-1"},
    ),
    ("a phone", {"contexts": contexts(SESSION)}, {"distinct_id": "$device:m-1", "$device_id": "m-1"}),
    ("a browser counts more", {"domain_userid": "d-1", "contexts": contexts(SESSION)}, {"$device_id": "d-1"}),
    ("the cookie of the collector, at last", {"network_userid": "n-1"}, {"$device_id": "n-1"}),
    ("not where there is a user", {"network_userid": "n-1", "user_id": "jon"}, {"$device_id": None}),
    (
        "a tracker that is anonymous",
        {"network_userid": "00000000-0000-0000-0000-000000000000"},
        {"distinct_id": "", "$device_id": None},
    ),
    ("an address", {"user_ipaddress": "92.231.54.234"}, {"ip": "92.231.54.234"}),
    ("an anonymized address", {"user_ipaddress": "92.231.x.x"}, {"ip": None}),
    ("a city", {"geo_city": "New York"}, {"$city": "New York"}),
    ("a region that has a name", {"geo_region": "TX", "geo_region_name": "Texas"}, {"$region": "Texas"}),
    ("a region by its code", {"geo_region": "TX"}, {"$region": "TX"}),
    ("a country", {"geo_country": "US"}, {"mp_country_code": "US"}),
    ("no country", {"geo_country": "ZZ"}, {"mp_country_code": None, "geo_country": "ZZ"}),
    ("a page", {"page_url": "https://a.example/b?c"}, {"$current_url": "https://a.example/b?c"}),
    ("its title", {"page_title": "On\u2028Analytics"}, {"page_title": "On\u2028Analytics"}),
    ("a referrer", {"page_referrer": "https://b.example/"}, {"$referrer": "https://b.example/"}),
    ("no referrer", {}, {"$referrer": None}),
    ("its host", {"refr_urlhost": "b.example"}, {"$referring_domain": "b.example"}),
    ("utm_medium", {"mkt_medium": "cpc"}, {"utm_medium": "cpc"}),
    ("utm_source", {"mkt_source": "google"}, {"utm_source": "google"}),
    ("utm_term", {"mkt_term": "lamp"}, {"utm_term": "lamp"}),
    ("utm_content", {"mkt_content": "b"}, {"utm_content": "b"}),
    ("utm_campaign", {"mkt_campaign": "sale"}, {"utm_campaign": "sale"}),
    ("a system by the legacy enrichment", {"os_name": "Mac OS X"}, {"$os": "Mac OS X"}),
    (
        "a browser by the legacy enrichment",
        {"br_family": "Chrome", "br_version": "41.0"},
        {"$browser": "Chrome", "$browser_version": "41.0"},
    ),
    (
        "the user agent, where no enrichment told",
        {"useragent": "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"},
        {"$browser": "Firefox", "$browser_version": 139, "$os": "Linux", "useragent": None},
    ),
    (
        "YAUAA",
        {"derived_contexts": contexts(YAUAA)},
        {
            "$browser": "Chrome",
            "$browser_version": "137.0",
            "$os": "Windows NT",
            "$os_version": None,
            "$device": "Desktop",
            "$model": "Desktop",
            "$manufacturer": None,
            "$carrier": "Vodafone",
        },
    ),
    (
        "the column counts more than YAUAA",
        {"os_name": "Windows", "derived_contexts": contexts(YAUAA)},
        {"$os": "Windows"},
    ),
    (
        "the UA parser",
        {"derived_contexts": contexts(UA_PARSER)},
        {"$browser": "IE", "$os": "Windows XP", "$device": None},
    ),
    (
        "YAUAA counts more",
        {"derived_contexts": contexts(YAUAA, UA_PARSER)},
        {"$browser": "Chrome", "$os": "Windows NT"},
    ),
    (
        "a phone's own context",
        {"contexts": contexts(MOBILE)},
        {
            "$os": "iOS",
            "$os_version": "17.2",
            "$manufacturer": "Apple Inc.",
            "$model": "iPhone15,3",
            "$carrier": "AT&T",
            "$radio": "LTE",
            "$wifi": True,
            "$screen_width": 1290,
            "$screen_height": 2796,
        },
    ),
    (
        "it counts more than YAUAA",
        {"contexts": contexts(MOBILE), "derived_contexts": contexts(YAUAA)},
        {"$os": "iOS", "$model": "iPhone15,3"},
    ),
    (
        "no wifi",
        {"contexts": contexts((MOBILE[0], {"osType": "android", "networkType": "mobile"}))},
        {"$os": "Android", "$wifi": False},
    ),
    ("an app", {"contexts": contexts(APPLICATION)}, {"$app_version_string": "4.2", "$app_build_number": "421"}),
    (
        "a screen",
        {"dvce_screenwidth": "1920", "dvce_screenheight": "1080"},
        {"$screen_width": 1920, "$screen_height": 1080},
    ),
    ("a tracker", {}, {"$lib_version": "js-3.14.0", "mp_lib": "Snowplow: js-3.14.0"}),
    ("a web session", {"domain_sessionid": "s-9", "domain_sessionidx": "7"}, {"session_id": "s-9", "session_index": 7}),
    ("a phone's session", {"contexts": contexts(SESSION)}, {"session_id": "s-1", "session_index": 3}),
    (
        "a page view's id",
        {"contexts": contexts((f"{SNOWPLOW}/web_page/jsonschema/1-0-0", {"id": "p-1"}))},
        {"page_view_id": "p-1"},
    ),
    ("what it keeps as it is", {"app_id": "shop"}, {"app_id": "shop", "platform": "web"}),
    (
        "numbers",
        {"geo_latitude": "37.443604", "tr_total": "20", "ti_quantity": "2"},
        {"geo_latitude": 37.443604, "tr_total": 20.0, "ti_quantity": 2},
    ),
    ("booleans", {"dvce_ismobile": "1"}, {"dvce_ismobile": True}),
    ("false", {"dvce_ismobile": "0"}, {"dvce_ismobile": False}),
    ("what is of the pipeline alone", {}, {"txn_id": None, "etl_tstamp": None, "v_etl": None, "event_vendor": None}),
    (
        "a self-describing event's own data",
        {
            "event": "unstruct",
            "event_name": "link_click",
            "unstruct_event": self_describing(
                f"{SNOWPLOW}/link_click/jsonschema/1-0-1",
                {
                    "targetUrl": "http://www.example.com",
                    "elementClasses": ["foreground"],
                    "elementId": None,
                    "big": 2**63,
                },
            ),
        },
        {"targetUrl": "http://www.example.com", "elementClasses": ["foreground"], "elementId": None, "big": 2**63},
    ),
    (
        "none of which does harm",
        {
            "unstruct_event": self_describing(
                "com.acme/ad/jsonschema/1-0-0",
                {"$ignore": True, "bucket": 1, "token": "t", "ip": "1.1.1.1", "time": 5, "distinct_id": "x"},
            )
        },
        {"$ignore": None, "bucket": None, "token": None, "ip": None, "time": TIME, "distinct_id": ""},
    ),
    (
        "an event's own data counts more than a column",
        {"unstruct_event": self_describing("com.acme/ad/jsonschema/1-0-0", {"platform": "PS5"})},
        {"platform": "PS5"},
    ),
    (
        "an entity of one's own",
        {"contexts": contexts(("com.acme-corp/userProfile/jsonschema/2-0-3", {"plan": "pro"}))},
        {"contexts_com_acme_corp_user_profile_2": [{"plan": "pro"}]},
    ),
    (
        "several of one schema, from both columns",
        {
            "contexts": contexts(
                ("com.acme/product/jsonschema/1-0-0", {"sku": 1}), ("com.acme/product/jsonschema/1-1-0", {"sku": 2})
            ),
            "derived_contexts": contexts(("com.acme/product/jsonschema/1-0-0", {"sku": 3})),
        },
        {"contexts_com_acme_product_1": [{"sku": 1}, {"sku": 2}, {"sku": 3}]},
    ),
]


@pytest.mark.parametrize(("fields", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_field_becomes_what_mixpanel_calls_it(fields: dict[str, str], expected: dict[str, Any]) -> None:
    found = properties(to_mixpanel, line(**fields))
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "page_view"),
        ({"event": "page_ping", "event_name": "page_ping"}, "page_ping"),
        ({"event": "unstruct", "event_name": "link_click"}, "link_click"),
        ({"event": "struct", "event_name": "event", "se_category": "video", "se_action": "play"}, "play"),
        ({"event": "", "event_name": "struct", "se_action": "play"}, "play"),
        ({"event": "transaction", "event_name": ""}, "transaction"),
    ],
)
def test_an_event_has_its_name_and_a_structured_one_its_action(fields: dict[str, str], name: str) -> None:
    assert event(to_mixpanel, line(**fields))["event"] == name


def test_a_structured_event_keeps_its_parts() -> None:
    found = properties(
        to_mixpanel,
        line(event="struct", se_category="video", se_action="play", se_label="a", se_property="b", se_value="1.5"),
    )
    assert [found[f"se_{part}"] for part in ("category", "action", "label", "property", "value")] == [
        *("video", "play", "a", "b"),
        1.5,
    ]


def test_the_fields_are_where_the_documentation_has_them() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 131
    assert {name: COLUMNS.index(name) for name in INDEXES} == INDEXES


# Both forms. The SDKs' JSON has times in ISO 8601, numbers and booleans as such, contexts by their schemas' names.

FULL = {
    "user_id": "jon.doe@email.com",
    "user_ipaddress": "92.231.54.234",
    "domain_userid": "bc2e92ec6c204a14",
    "domain_sessionidx": "3",
    "geo_country": "US",
    "geo_latitude": "37.443604",
    "geo_longitude": "-122.4124",
    "se_value": "1E2",
    "tr_total": "20",
    "br_features_pdf": "1",
    "dvce_ismobile": "0",
    "contexts": contexts(SESSION, ("org.schema/WebPage/jsonschema/1-0-0", {"genre": "blog", "big": -(2**63)})),
    "derived_contexts": contexts(YAUAA),
    "unstruct_event": self_describing("com.acme/ad-click/jsonschema/1-0-0", {"cost": 0.5, "nothing": None}),
    "true_tstamp": "2013-11-26 00:03:57.886",
}
SCALA: dict[str, Any] = {
    **dict.fromkeys(COLUMNS),
    **FIELDS,
    **FULL,
    "geo_location": "37.443604,-122.4124",
    "etl_tstamp": "2017-01-26T00:01:25.292Z",
    "collector_tstamp": "2013-11-26T00:02:05Z",
    "dvce_created_tstamp": "2013-11-26T00:03:57.885Z",
    "derived_tstamp": "2013-11-26T00:03:57.886Z",
    "true_tstamp": "2013-11-26T00:03:57.886Z",
    "txn_id": 41828,
    "domain_sessionidx": 3,
    "geo_latitude": 37.443604,
    "geo_longitude": -122.4124,
    "se_value": 100.0,
    "tr_total": 20.0,
    "br_features_pdf": True,
    "dvce_ismobile": False,
    "contexts_com_snowplowanalytics_snowplow_client_session_1": [{"_schema_version": "1-0-2", **SESSION[1]}],
    "contexts_org_schema_web_page_1": [{"_schema_version": "1-0-0", "genre": "blog", "big": -(2**63)}],
    "contexts_nl_basjes_yauaa_context_1": [{"_schema_version": "1-0-4", **YAUAA[1]}],
    "unstruct_event_com_acme_ad_click_1": {"cost": 0.5, "nothing": None},
}
for raw in ("contexts", "derived_contexts", "unstruct_event"):
    del SCALA[raw]
GO = {
    name: value if not isinstance(value, list) else [{k: v for k, v in one.items() if k[0] != "_"} for one in value]
    for name, value in SCALA.items()
    if value is not None
}
PYTHON = GO | {"se_value": "1E2", "tr_total": 20}


@pytest.mark.parametrize("form", [SCALA, GO, PYTHON], ids=["Scala", "Go", "Python"])
def test_the_line_and_the_json_of_an_event_give_the_same(form: dict[str, Any]) -> None:
    assert matches(form)
    made = event(to_mixpanel, form)
    assert made == event(to_mixpanel, line(**FULL))
    assert made["properties"]["cost"] == 0.5
    assert made["properties"]["contexts_org_schema_web_page_1"] == [{"genre": "blog", "big": -(2**63)}]


def test_a_line_decodes_to_what_the_sdks_make_of_it() -> None:
    times = {name for name in GO if name.endswith("_tstamp")}
    assert decode(line(**FULL)) == {
        name: str(value).replace("T", " ").rstrip("Z") if name in times else value
        for name, value in GO.items()
        if name != "geo_location"
    }


REJECTS: dict[str, tuple[bytes, str, str | None]] = {
    "the last tab is lost": (
        line().rstrip(b"\t"),
        "is no enriched event: it has 129 tab-separated fields, not 131",
        None,
    ),
    "something else": (b"Hello, world", "is no enriched event: it has 1 tab-separated fields, not 131", None),
    "not UTF-8": (line(page_title="\xe9").replace(b"\xc3\xa9", b"\xe9"), "is not UTF-8: byte 0xe9", None),
    "not JSON": (b'{"event_id":', "is not JSON", None),
    "contexts cut short": (
        line(contexts=contexts(SESSION)[:-3]),
        "is no enriched event: contexts is not self",
        "contexts",
    ),
    "contexts without schema": (
        line(contexts='{"data":[{"data":{}}]}'),
        "is no enriched event: contexts is not",
        "contexts",
    ),
    "a schema that is none": (
        line(contexts=contexts(("x", {}))),
        "is no enriched event: contexts has a schema",
        "contexts",
    ),
    "an event that is none": (
        line(unstruct_event="{}"),
        "is no enriched event: unstruct_event is not",
        "unstruct_event",
    ),
    "a number that is none": (line(tr_total="much"), "is no enriched event: tr_total is no number", "tr_total"),
    "an infinite number": (line(tr_total="1e999"), "is no enriched event: tr_total is no number", "tr_total"),
    "an integer that is none": (line(doc_width="1_0"), "is no enriched event: doc_width is no integer", "doc_width"),
    "a boolean that is none": (
        line(dvce_ismobile="yes"),
        "is no enriched event: dvce_ismobile is neither",
        "dvce_ismobile",
    ),
    "no name": (
        line(event="", event_name=""),
        "has no event name: event_name must be a text and is missing",
        "event_name",
    ),
    "a nameless event": (line(event="unstruct", event_name=""), "has no event name", "event_name"),
    "no action": (line(event="struct", event_name="event"), "has no event name: se_action", "se_action"),
    "no time": (
        line(collector_tstamp="", derived_tstamp=""),
        "has no usable time: collector_tstamp",
        "collector_tstamp",
    ),
    "too deep": (
        line(contexts=contexts(("a.b/c/jsonschema/1-0-0", {"a": {"b": {"c": {}}}}))),
        "has a property that Mixpanel would reject: contexts_a_b_c_1",
        "properties.contexts_a_b_c_1",
    ),
    "too many": (
        line(unstruct_event=self_describing("a.b/c/jsonschema/1-0-0", {str(n): n for n in range(255)})),
        "has 263 properties",
        "properties",
    ),
}


@pytest.mark.parametrize(("record", "reason", "field"), REJECTS.values(), ids=REJECTS)
def test_what_is_no_enriched_event_is_a_reject_with_a_reason(record: bytes, reason: str, field: str | None) -> None:
    found = rejected(to_mixpanel, record)
    assert found.reason.startswith(reason)
    assert found.field == field


def test_bad_rows_are_dropped() -> None:
    row = {"schema": "iglu:com.snowplowanalytics.snowplow.badrows/schema_violations/jsonschema/2-0-0", "data": {}}
    assert matches(row)
    assert dropped(to_mixpanel, row) == "bad row"


def test_a_line_may_end_as_windows_ends_it() -> None:
    assert event(to_mixpanel, line() + b"\r") == event(to_mixpanel, line())


FORMS = [SCALA, GO, {name: SCALA[name] for name in ("event_id", "event_name", "collector_tstamp", "v_collector")}]


@given(spoiled(FORMS))
def test_whatever_the_json_form_holds_keeps_the_rules_or_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)


@given(
    st.dictionaries(
        st.sampled_from(COLUMNS),
        st.text(st.characters(exclude_characters="\t\n", exclude_categories=["Cs"]))
        | st.sampled_from(list(FULL.values())),
        max_size=8,
    ),
    anything,
    anything,
)
def test_whatever_a_line_holds_keeps_the_rules_or_is_a_reject(fields: dict[str, str], own: Any, entity: Any) -> None:
    described = {
        "unstruct_event": self_describing("com.acme/ad/jsonschema/1-0-0", own),
        "contexts": contexts(("com.acme/ad/jsonschema/1-0-0", entity), SESSION),
    }
    record = line(**(described | fields))
    assert judge(to_mixpanel, record) == judge(to_mixpanel, record)


def test_made_up_events_are_the_same_in_both_forms() -> None:
    for happening in happenings(1001):
        record = made_up.line(happening)
        assert to_mixpanel(record) == to_mixpanel(made_up.as_json(happening))
        assert len(judge(to_mixpanel, record)) == (happening.number % 500 != 0)


@given(st.binary())
def test_whatever_comes_is_a_reject(record: bytes) -> None:
    assert judge(to_mixpanel, record) == []
