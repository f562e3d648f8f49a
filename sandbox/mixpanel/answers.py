"""What /import answers, in the shapes that Mixpanel publishes.

See the responses under https://developer.mixpanel.com/reference/import-events.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from importer.mixpanel.judge import Rejected
from sandbox.mixpanel.store import Reject

_STATUS = {413: "Request Entity Too Large"}
_ERROR = {
    429: "Project exceeded rate limits. Please retry the request with exponential backoff.",
    500: "internal server error",
    502: "bad gateway",
    503: "service unavailable",
    504: "gateway timeout",
}
_PAGE = b"<!doctype html><title>Please wait</title><p>The service will be back soon.</p>"


class Answer(Struct, kw_only=True):
    """An answer, and what was done for it: events and uncompressed bytes that came in, events taken and refused; the
    reason, where it is no success."""

    status: int
    body: bytes
    content_type: str = "application/json"
    events: int = 0
    bytes: int = 0
    imported: int = 0
    duplicates: int = 0
    rejects: Sequence[Reject] = ()
    reason: str = ""


def ok(imported: int) -> Answer:
    """All that came in was taken, or what was not is passed over in silence."""
    body = {"code": 200, "num_records_imported": imported, "status": "OK"}
    return Answer(status=200, body=msgspec.json.encode(body), imported=imported)


def partial(imported: int, refused: Sequence[Rejected], id_spelling: str) -> Answer:
    """Some events were refused, each named, the others taken; `id_spelling` is what a refused event's id goes by."""
    body = {
        "code": 400,
        "error": "some data points in the request failed validation",
        "failed_records": [
            {"index": each.index, id_spelling: each.insert_id, **msgspec.to_builtins(each.problem)} for each in refused
        ],
        "num_records_imported": imported,
        "status": "Bad Request",
    }
    first = refused[0].problem.message
    reason = first if len(refused) == 1 else f"{first}; and {len(refused) - 1:,} more"
    return Answer(status=400, body=msgspec.json.encode(body), imported=imported, reason=reason)


def error(status: int, text: str | None = None) -> Answer:
    """Nothing was taken."""
    words = _STATUS.get(status) or HTTPStatus(status).phrase
    body: dict[str, Any] = {"code": status, "error": text or _ERROR.get(status, words), "status": words}
    return Answer(status=status, body=msgspec.json.encode(body), reason=body["error"])


def page() -> Answer:
    """A web page where an answer should be, as a proxy in the way might give."""
    return Answer(status=200, body=_PAGE, content_type="text/html")


def in_old_form(answer: Answer, *, verbose: bool) -> Answer:
    """The same answer to a request in the old form: `{"status": 1, "error": null}`, or a bare 1 where not verbose."""
    if answer.status not in {200, 400, 401}:
        return answer
    text = msgspec.json.decode(answer.body).get("error")
    status = 0 if text else 1
    answer.body = msgspec.json.encode({"error": text, "status": status} if verbose else status)
    return answer
