"""A topic with a push subscription, for where Google's Pub/Sub emulator is not installed.

What is posted to it, in any form, is one message's data. It is wrapped and pushed to a function as Pub/Sub does, and
again until that is acknowledged: https://cloud.google.com/pubsub/docs/push. It takes Google's own way to publish as
well, `POST /v1/projects/PROJECT/topics/TOPIC:publish`, which `gcloud pubsub topics publish` uses. Run as a program, it
prints one line of JSON with its "url" when it is ready:

    python -m sandbox.topic --port 8085 --function-url http://127.0.0.1:8082
    curl --data-binary @my-event.json http://127.0.0.1:8085/
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.delivery import Deliverer
from sandbox.serve import serve

PROJECT = "sandbox"
NAME = "events"
TOPIC = f"projects/{PROJECT}/topics/{NAME}"
SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/{NAME}"
MAX_MESSAGE_BYTES = 10_000_000
"""Bytes of a message, at most: https://cloud.google.com/pubsub/quotas#resource_limits"""

_TIMEOUT = 60.0
"""Seconds that a push may go without an answer."""
_IN_FLIGHT = 50


class _Message(Struct):
    data: bytes = b""
    attributes: dict[str, str] = {}


class _Publish(Struct):
    messages: list[_Message]


class Topic:
    """The topic as an ASGI application, which pushes by `deliverer`."""

    def __init__(self, deliverer: Deliverer) -> None:
        self._deliverer = deliverer
        self._ids = itertools.count(time.time_ns() // 1_000_000)

    def app(self) -> Starlette:
        """Its routes."""
        return Starlette(
            routes=[
                Route("/", self.publish_body, methods=["POST"]),
                Route(f"/v1/{TOPIC}:publish", self.publish, methods=["POST"]),
                Route("/sandbox/deliveries", self.deliveries),
                Route("/sandbox/function", self.send_to, methods=["POST"]),
            ]
        )

    async def publish_body(self, request: Request) -> JSONResponse:
        """Takes a request's body as one message."""
        return self._take([_Message(await request.body())])

    async def publish(self, request: Request) -> JSONResponse:
        """https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish"""
        try:
            return self._take(msgspec.json.decode(await request.body(), type=_Publish).messages)
        except msgspec.DecodeError as error:
            return _refused(str(error))

    async def deliveries(self, _: Request) -> JSONResponse:
        """The messages, and what became of each."""
        return JSONResponse(self._deliverer.deliveries())

    async def send_to(self, request: Request) -> JSONResponse:
        """Says which function gets the messages."""
        self._deliverer.send_to((await request.json())["url"])
        return JSONResponse({})

    def _take(self, messages: list[_Message]) -> JSONResponse:
        if not messages or any(not (message.data or message.attributes) for message in messages):
            return _refused("A message needs data or an attribute.")
        if any(len(message.data) > MAX_MESSAGE_BYTES for message in messages):
            return _refused(f"A message has at most {MAX_MESSAGE_BYTES} bytes; publish each event as one of its own.")
        identifiers = [str(next(self._ids)) for _ in messages]
        for identifier, message in zip(identifiers, messages, strict=True):
            body = wrapped(message.data, message.attributes, identifier)
            self._deliverer.deliver({"Content-Type": "application/json"}, body, id=identifier)
        return JSONResponse({"messageIds": identifiers})


def wrapped(
    data: bytes,
    attributes: Mapping[str, str],
    identifier: str,
    subscription: str = SUBSCRIPTION,
    published: str | None = None,
) -> bytes:
    """The body of the push that brings a message: https://cloud.google.com/pubsub/docs/push#receive_push

    `published` is its time (RFC 3339, UTC); now, if it is not given.
    """
    published = published or datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message: dict[str, Any] = {
        "data": base64.b64encode(data).decode(),
        "messageId": identifier,
        "message_id": identifier,
        "publishTime": published,
        "publish_time": published,
    }
    if attributes:
        message["attributes"] = dict(attributes)
    return json.dumps({"message": message, "subscription": subscription}).encode()


def _refused(text: str) -> JSONResponse:
    return JSONResponse({"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}, 400)


def main() -> None:
    """Serves the topic as the command line says until SIGTERM or Ctrl-C."""
    arguments = argparse.ArgumentParser(prog="python -m sandbox.topic", description="A topic with a push subscription.")
    arguments.add_argument("--port", type=int, default=8085, help="0 is any free one (default: %(default)s)")
    arguments.add_argument("--function-url", metavar="URL", help="where messages are pushed")
    given = arguments.parse_args()
    deliverer = Deliverer(given.function_url, in_flight=_IN_FLIGHT, timeout=_TIMEOUT)
    serve(Topic(deliverer).app(), "127.0.0.1", given.port)


if __name__ == "__main__":
    main()
