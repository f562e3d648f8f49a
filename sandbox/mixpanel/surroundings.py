"""What the program around the stand-in (`python -m sandbox`) says of what it runs, and what it is asked to do.

The stand-in alone has none of that: then nothing here is known, and what is picked on its page is for previews alone.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from msgspec import Struct

from importer.mappings import ready

State = Literal["unknown", "starting", "running", "down"]
"""Of the functions. `unknown` where somebody else runs them, if anybody does."""


class Functions(Struct, frozen=True):
    """The functions.

    Attributes:
        state: of both.
        why: the importer's own sentence, where they are down.
    """

    state: State = "unknown"
    why: str | None = None


class Surroundings(Struct, forbid_unknown_fields=True, kw_only=True):
    """As last told.

    Attributes:
        functions: whether they run.
        mapping: the mapping that they use, and previews with them; None for Mixpanel's own events.
        transform: the same, `module:function`.
        environment: their settings. They may hold secrets: nothing shows them.
        topic: where a message is published by a POST of its data; None where nothing takes it so.
        gcloud_topic: where it is published as Google's own API has it; None where there is none.
        rejects: the address that rejects are stored under, `gs://bucket/prefix`; None where the log alone has them.
    """

    functions: Functions = Functions()
    mapping: str | None = "auto"
    transform: str | None = None
    environment: dict[str, str] = {}
    topic: str | None = None
    gcloud_topic: str | None = None
    rejects: str | None = None

    def __repr__(self) -> str:
        return f"Surroundings({self.functions.state})"

    def shown(self) -> dict[str, Any]:
        """What the page is told."""
        return {
            "state": self.functions.state,
            "why": self.functions.why,
            "mapping": self.mapping,
            "transform": self.transform,
            "topic": bool(self.topic or self.gcloud_topic),
            "rejects": self.rejects,
        }


MAPPINGS = [
    {"name": "", "title": "none: Mixpanel\u2019s own events"},
    {"name": "auto", "title": "auto: each record by its shape"},
    *({"name": name, "title": vendor.title} for name, vendor in ready.VENDORS.items()),
]
"""What can be picked on the page, a mapping file's path apart."""


def ask_for_mapping(name: str | None) -> None:
    """Asks the program around, which reads our standard output, to have the functions use this mapping."""
    print(json.dumps({"mapping": name}), flush=True)
