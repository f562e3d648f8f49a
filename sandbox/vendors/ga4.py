"""Made-up rows of GA4's BigQuery export, in the forms they are extracted in.

The schema is https://support.google.com/firebase/answer/7029846.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from sandbox.vendors.shop import Happening, happenings

_encode = msgspec.json.Encoder().encode
_VALUES = ("string_value", "int_value", "float_value", "double_value")


def records(count: int, seed: int = 1) -> Iterator[bytes]:
    """Rows as an extract job writes them as JSON. Every seventh is of a visitor who did not consent to be told apart,
    and every tenth of the app.
    """
    return (_encode(extracted(row(happening))) for happening in happenings(count, seed))


def row(happening: Happening) -> dict[str, Any]:
    """The row as BigQuery holds it: integers as such, null where there is nothing."""
    in_app, known = happening.number % 10 == 0, happening.number % 7 != 0
    client, place = happening.client, happening.place
    params: dict[str, Any] = {
        "ga_session_id": happening.session // 1000,
        "ga_session_number": happening.session % 9 + 1,
        "page_location": happening.url,
        "page_title": happening.title,
        "page_referrer": happening.referrer or None,
        "engaged_session_event": 1,
        **{f"{'campaign' if part == 'name' else part}": value for part, value in happening.campaign.items()},
        "engagement_time_msec": happening.number * 37 % 30_000,
    }
    if in_app:
        params |= {
            "page_location": None,
            "firebase_screen_class": "ProductScreen",
            "firebase_screen_id": -5_164_663_614_086_310_235 + happening.number,
            "firebase_event_origin": "app",
        }
    if happening.name == "Order Completed":
        params |= {"transaction_id": happening.properties["order_id"], "value": happening.properties["revenue"]}
    return {
        "event_date": "20250601",
        "event_timestamp": happening.time * 1000 + happening.number % 1000,
        "event_name": _NAMES[happening.name],
        "event_params": [_param(name, value) for name, value in params.items() if value is not None],
        "event_previous_timestamp": None,
        "event_value_in_usd": params.get("value"),
        "event_bundle_sequence_id": happening.number // 3,
        "event_server_timestamp_offset": None,
        "user_id": (happening.user or None) if known else None,
        "user_pseudo_id": f"{hash_of(happening)}.{happening.session // 1000}" if known else None,
        "privacy_info": {
            "analytics_storage": "Yes" if known else "No",
            "ads_storage": "No",
            "uses_transient_token": "No",
        },
        "user_properties": [],
        "user_first_touch_timestamp": happening.session * 1000,
        "user_ltv": None,
        "device": {
            "category": "mobile" if client.width < 1000 else "desktop",
            "mobile_brand_name": "Google" if in_app else "<Other>",
            "mobile_model_name": "Pixel 9" if in_app else "<Other>",
            "operating_system": "Android" if in_app else client.os,
            "operating_system_version": "Android 15" if in_app else f"{client.os} {client.os_version}".strip(),
            "language": place.locale.lower(),
            "is_limited_ad_tracking": "No",
            "web_info": None
            if in_app
            else {
                "browser": client.browser,
                "browser_version": client.browser_version,
                "hostname": "www.example-shop.com",
            },
        },
        "geo": {
            "city": place.city,
            "country": place.country_name,
            "continent": "Europe",
            "region": place.region,
            "sub_continent": "Western Europe",
            "metro": "(not set)",
        },
        "app_info": {"id": "com.example.shop", "version": "4.2.0", "install_source": "(direct)"} if in_app else None,
        "traffic_source": {"name": "(direct)", "medium": "(none)", "source": "(direct)"},
        "stream_id": "1234567890",
        "platform": "ANDROID" if in_app else "WEB",
        "items": _items(happening),
        "collected_traffic_source": _collected(happening),
        "is_active_user": True,
        "batch_event_index": happening.number % 3 + 1,
        "batch_page_id": happening.session,
        "batch_ordering_id": happening.number % 5,
    }


def hash_of(happening: Happening) -> int:
    """The visitor's number as the cookie has it."""
    return int(happening.device.replace("-", "")[:8], 16)


def extracted(value: Any) -> Any:
    """As an extract job writes it: integers are texts, nulls are left out."""
    if isinstance(value, dict):
        return {name: extracted(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [extracted(inner) for inner in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def saved(value: Any) -> Any:
    """As the console saves it: integers are texts, and what is null is written so."""
    if isinstance(value, dict):
        found = {name: saved(inner) for name, inner in value.items()}
        return dict.fromkeys(_VALUES) | found if set(found) & set(_VALUES) else found
    if isinstance(value, list):
        return [saved(inner) for inner in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def of_table(value: Any) -> Any:
    """As a row of Parquet or Avro becomes a record: integers are such, and what is null is written so."""
    if isinstance(value, dict):
        found = {name: of_table(inner) for name, inner in value.items()}
        return dict.fromkeys(_VALUES) | found if set(found) & set(_VALUES) else found
    return [of_table(inner) for inner in value] if isinstance(value, list) else value


FORMS: dict[str, Callable[[Any], Any]] = {"extract": extracted, "console": saved, "table": of_table}


def _param(name: str, value: Any) -> dict[str, Any]:
    kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
    return {"key": name, "value": {kind: value}}


def _items(happening: Happening) -> list[dict[str, Any]]:
    told = happening.properties
    if happening.name not in ("Product Added", "Order Completed"):
        return []
    return [
        {
            "item_id": told["sku"],
            "item_name": told["product"],
            "item_brand": "(not set)",
            "item_variant": told["variant"],
            "price": told["price"],
            "quantity": 1,
            "item_params": [_param("shelf", told["position"])],
        }
    ]


def _collected(happening: Happening) -> dict[str, Any] | None:
    if not happening.campaign or happening.number % 2:
        return None
    return {
        "manual_source": happening.campaign["source"],
        "manual_medium": happening.campaign["medium"],
        "manual_campaign_name": happening.campaign["name"],
        "gclid": None,
    }


_NAMES = {
    "Page View": "page_view",
    "Product Viewed": "view_item",
    "Link Clicked": "click",
    "Search": "search",
    "Product Added": "add_to_cart",
    "Checkout Started": "begin_checkout",
    "Order Completed": "purchase",
}
