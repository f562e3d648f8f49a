"""Calls of the Segment family, as far as Segment and RudderStack agree: their fields, and what their context tells.

https://segment.com/docs/connections/spec/common/, https://www.rudderstack.com/docs/event-spec/standard-events/
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from importer.errors import InvalidRecord
from importer.mappings import reasons
from importer.mappings.decoding import Shape, as_object
from importer.mappings.fields.addresses import client_ip
from importer.mappings.fields.countries import country_code
from importer.mappings.fields.identity import as_id, identify
from importer.mappings.fields.insert_ids import insert_id
from importer.mappings.fields.properties import is_scalar, too_many
from importer.mappings.fields.user_agents import client
from importer.mappings.outcome import Event
from importer.times import from_iso

NOT_EVENTS = {"identify": "identify call", "group": "group call", "alias": "alias call"}
"""Types that say who somebody is rather than what happened: Mixpanel's /import takes events alone."""

Object = dict[str, Any]


class Page(Struct, gc=False):
    """`context.page`."""

    url: str | None = None
    referrer: str | None = None
    title: str | None = None


class Library(Struct, gc=False):
    """`context.library`."""

    name: str | None = None
    version: str | None = None


class Screen(Struct, gc=False):
    """`context.screen`."""

    width: int | float | None = None
    height: int | float | None = None
    density: int | float | None = None


class Context(Struct, gc=False):
    """What of a call's context is looked at."""

    page: Page | None = None
    library: Library | None = None
    screen: Screen | None = None
    ip: str | None = None
    userAgent: str | None = None  # noqa: N815 (the record's name, as are those below)
    locale: str | None = None
    timezone: str | None = None
    groupId: Any = None  # noqa: N815
    sessionId: Any = None  # noqa: N815
    campaign: Object | None = None
    location: Object | None = None
    os: Object | None = None
    app: Object | None = None
    device: Object | None = None
    network: Object | None = None


class Call(Struct, gc=False):
    """What of a call is looked at."""

    type: Any = None
    event: Any = None
    name: Any = None
    properties: Object | None = None
    timestamp: Any = None
    originalTimestamp: Any = None  # noqa: N815
    userId: Any = None  # noqa: N815
    anonymousId: Any = None  # noqa: N815
    messageId: Any = None  # noqa: N815
    request_ip: Any = None
    context: Context | None = None


CALL = Shape(Call)
TYPES = frozenset({"track", "page", "screen", *NOT_EVENTS})
NO_CONTEXT = Context()

_OS = {"name": "$os", "version": "$os_version"}
_APP = {
    "version": "$app_version_string",
    "build": "$app_build_number",
    "name": "app_name",
    "namespace": "app_namespace",
}
_DEVICE = {
    "manufacturer": "$manufacturer",
    "brand": "$brand",
    "model": "$model",
    "name": "device_name",
    "type": "device_type",
}
_NETWORK = {"carrier": "$carrier", "wifi": "$wifi", "bluetooth": "$bluetooth_enabled", "cellular": "cellular"}
_MAX_PIXELS = 100_000
_LOCATION = {"city": "$city", "region": "$region"}


def is_call(record: Object) -> bool:
    """Whether it is a call of the family."""
    kind = record.get("type")
    return (
        isinstance(kind, str)
        and kind in TYPES
        and "messageId" in record
        and ("anonymousId" in record or "userId" in record)
    )


def is_rudderstacks(record: Object) -> bool:
    """Whether it is a call that RudderStack has seen, and not Segment."""
    if "rudderId" in record or "request_ip" in record:
        return True
    library = as_object(as_object(record.get("context")).get("library")).get("name")
    return isinstance(library, str) and "rudder" in library.lower()


def describe(found: Object, context: Context, maker: str = "") -> None:  # noqa: PLR0912 (a line a field)
    """Puts among the properties what a call's context gives, by Mixpanel's names where there is one."""
    if context.userAgent:
        found.update(client(context.userAgent))
    if page := context.page:
        if page.url:
            found["$current_url"] = page.url
        if page.title:
            found["page_title"] = page.title
        if page.referrer:  # "" on direct visits
            found["$referrer"] = page.referrer
            if domain := _host(page.referrer):
                found["$referring_domain"] = domain
    if context.timezone:
        found["timezone"] = context.timezone
    if context.locale:
        found["locale"] = context.locale
    if context.ip and (ip := client_ip(context.ip)):
        found["ip"] = ip
    if library := context.library:
        if library.name:
            found["mp_lib"] = maker + library.name
        if library.version:
            found["$lib_version"] = library.version
    if screen := context.screen:
        if screen.width is not None and 0 < screen.width < _MAX_PIXELS:
            found["$screen_width"] = screen.width
        if screen.height is not None and 0 < screen.height < _MAX_PIXELS:
            found["$screen_height"] = screen.height
    if context.campaign:
        _put_campaign(found, context.campaign)
    if context.os or context.app or context.device or context.network or context.location:
        _put_device(found, context)


def finish(name: Any, call: Call, properties: Object) -> Event | InvalidRecord:
    """The call's event: gives it its time, its user and its id, or says why it cannot."""
    if name.__class__ is not str or not name or name.isspace():
        return reasons.no_name("event", name)
    time = from_iso(call.timestamp)
    if time is None and (call.timestamp is not None or (time := from_iso(call.originalTimestamp)) is None):
        return reasons.no_time("timestamp", call.timestamp)
    properties["time"] = time
    if not identify(properties, call.userId, call.anonymousId):
        return reasons.no_user("userId", "anonymousId")
    if identifier := insert_id(call.messageId):
        properties["$insert_id"] = identifier
    return too_many(properties) or {"event": name, "properties": properties}


def link(call: Call, name: str) -> Event | None:
    """For an identify call with both ids: the event of this name that links them in Mixpanel; None for all else."""
    if call.type != "identify" or not as_id(call.userId) or not as_id(call.anonymousId):
        return None
    made = finish(name, call, {})
    return made if isinstance(made, dict) else None


def _put_campaign(found: Object, campaign: Object) -> None:
    for name, value in campaign.items():
        if is_scalar(value):
            found["utm_campaign" if name == "name" else "utm_" + name] = value


def _put_device(found: Object, context: Context) -> None:
    for section, names in (
        (context.os, _OS),
        (context.app, _APP),
        (context.device, _DEVICE),
        (context.network, _NETWORK),
        (context.location, _LOCATION),
    ):
        if section:
            for name, target in names.items():
                if is_scalar(value := section.get(name)):
                    found[target] = value
    if context.location and is_scalar(country := context.location.get("country")):
        code = country_code(country)
        found["mp_country_code" if code else "country"] = code or country


def _host(url: str) -> str | None:
    """The host of an absolute web address, without port and user."""
    scheme, _, rest = url.partition("://")
    if scheme not in {"https", "http"}:
        return None
    host = rest.partition("/")[0]
    if "?" in host or "#" in host or "@" in host or ":" in host:
        host = host.partition("?")[0].partition("#")[0].rpartition("@")[2].partition(":")[0]
    return host or None
