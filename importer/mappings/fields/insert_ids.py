"""The `$insert_id` that a vendor's own id becomes: legal, and the same every time.

Mixpanel takes 1 to 36 of A-Z a-z 0-9 and - (https://developer.mixpanel.com/reference/import-events#propertiesinsert_id).
An id that it would not take is hashed whole: cut or stripped of characters, two could become one.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from importer.mappings.fields.identity import as_id

MAX_LENGTH = 36
_is_legal = re.compile(r"[A-Za-z0-9-]+").fullmatch
_encode = msgspec.json.Encoder().encode
_sha256 = hashlib.sha256


def insert_id(vendor_id: object) -> str | None:
    """The vendor's id where Mixpanel takes it, else a hash of all of it; None where there is none.

    Values that betray a mistake (`null`, `0`, `undefined` …) are no id. With None, leave `$insert_id` out of the
    event: it is then made from the record as it came.
    """
    text = as_id(vendor_id)
    if not text:
        return None
    return text if len(text) <= MAX_LENGTH and _is_legal(text) else _sha256(text.encode()).hexdigest()[:32]


def hashed(*parts: object) -> str:
    """32 characters of 0-9a-f for what is in `parts` (JSON values), in this order.

    Raises:
        TypeError: a part is no JSON value.
    """
    return _sha256(_encode(parts)).hexdigest()[:32]
