"""A message of Kafka's, made one that is imported."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from confluent_kafka import Message

from importer.messages import Message as Imported


def of_kafka(message: Message) -> Imported:
    """What is imported of it. Its source is the partition and the offset: `kafka://TOPIC/PARTITION#OFFSET`."""
    name = f"kafka://{message.topic()}/{message.partition()}"
    value = message.value()
    data = value if isinstance(value, bytes) else b""
    attributes = b"" if data else _attributes(message)
    return Imported(data, attributes, f"{name}#{message.offset()}", name, _published(message))


def _attributes(message: Message) -> bytes:
    """What a reject of a message without a value carries."""
    key = message.key()
    return json.dumps({"key": key.decode(errors="replace") if isinstance(key, bytes) else key}).encode()


def _published(message: Message) -> str:
    kind, milliseconds = message.timestamp()
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat() if kind and milliseconds > 0 else ""
