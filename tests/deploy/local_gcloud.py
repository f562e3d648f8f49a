"""A gcloud for the runbook's commands: Cloud Storage is the sandbox's bucket, the log a file of lines, and all the rest
the recorded project (`cloud`), whose own gcloud comes next on PATH.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

import requests

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.deploy.log_filter import matches

BUCKETS = os.environ["STORAGE_EMULATOR_HOST"]


def named(url: str) -> list[tuple[str, str]]:
    """Bucket and name of the objects that a URL with `*` and `**` means."""
    bucket, _, glob = url.removeprefix("gs://").partition("/")
    pattern = re.escape(glob).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    found = requests.get(f"{BUCKETS}/storage/v1/b/{bucket}/o", timeout=30).json().get("items", [])
    return [(bucket, item["name"]) for item in found if re.fullmatch(pattern, item["name"])]


def at(bucket: str, name: str) -> str:
    return f"{BUCKETS}/storage/v1/b/{bucket}/o/{quote(name, safe='')}"


def storage(verb: str, words: list[str]) -> None:
    places = [word for word in words if not word.startswith("--")]
    if verb == "cp":
        bucket, name = places[1].removeprefix("gs://").split("/", 1)
        query = {"uploadType": "media", "name": name}
        address = f"{BUCKETS}/upload/storage/v1/b/{bucket}/o"
        requests.post(address, params=query, data=sys.stdin.buffer.read(), timeout=30).raise_for_status()
        return
    objects = [found for url in places for found in named(url)]
    if not objects:
        sys.exit(f"ERROR: (gcloud.storage.{verb}) The following URLs matched no objects: {places}")
    for bucket, name in objects:
        if verb == "cat":
            sys.stdout.buffer.write(requests.get(at(bucket, name), params={"alt": "media"}, timeout=30).content)
        elif verb == "rm":
            requests.delete(at(bucket, name), timeout=30).raise_for_status()
        else:
            size = "100  2025-06-01T00:00:00Z  " if "--long" in words else ""
            print(f"{size}gs://{bucket}/{name}")


def read_log(text: str, words: list[str]) -> None:
    """Every entry that the filter lets through, newest first; of `value(…)` the fields, tabs between them."""
    lines = Path(os.environ["LOG"]).read_text().splitlines()
    (how,) = [word.partition("=")[2] for word in words if word.startswith("--format=")] or ["json"]
    for entry in filter(lambda entry: matches(text, entry), map(json.loads, reversed(lines))):
        values = []
        for field in how.partition("(")[2].removesuffix(")").split(","):
            found = entry
            for part in field.strip().split("."):
                found = found.get(part, {}) if isinstance(found, dict) else {}
            values.append(str(found))
        print("\t".join(values))


def main(words: list[str]) -> None:
    if words[0] == "storage" and words[1] in {"ls", "cat", "cp", "rm"}:
        storage(words[1], words[2:])
    elif words[:2] == ["logging", "read"]:
        read_log(words[2], words[3:])
    elif words[:3] == ["secrets", "versions", "access"]:
        print("the-secret")
    else:
        os.environ["PATH"] = os.environ["PATH"].partition(":")[2]
        os.execvp("gcloud", ["gcloud", *words])  # noqa: S606


main(sys.argv[1:])
