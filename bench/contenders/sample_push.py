"""The published sample's way with messages: one import request for each, made while a thread waits for it."""

from __future__ import annotations

import base64
import json
import os

import functions_framework
import requests
from flask import Request


@functions_framework.http
def sample_push(request: Request) -> tuple[str, int]:
    """Imports the event that a push brings."""
    data = base64.b64decode(request.get_json()["message"]["data"])
    answer = requests.post(
        os.environ["MIXPANEL_API_URL"] + "/import",
        params={"strict": "1"},
        auth=(os.environ["MIXPANEL_PROJECT_TOKEN"], ""),
        json=[json.loads(data)],
        timeout=60,
    )
    answer.raise_for_status()
    return "", 204
