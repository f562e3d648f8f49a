"""Messages of SQS that hold events, many in common batches (`importer.messages`)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from importer import log, messages
from importer.core.batching.memory_budget import BudgetExceeded
from importer.errors import DeliveryError
from importer.messages import MessageImporter
from importer.settings import Settings
from importer.sources.s3.notification import text_within
from importer.sources.s3.queue import Message

_RETRY_SECONDS = 10.0
_GZIP_IN_BASE64 = "H4sI"


class QueueMessages:
    """Imports the messages of one call after those of the other, in an event loop that stands still meanwhile."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        self._importer: MessageImporter | None = None

    def close(self) -> None:
        """Ends what it has running."""
        if self._importer:
            self._importer.close()
        self._loop.close()

    def import_all(self, found: Sequence[Message], seconds: float) -> list[Message]:
        """Imports messages, and writes one summary of them to the log.

        Args:
            seconds: that it may take.

        Returns:
            Those that are handed back: of the others, everything is imported, dropped, or kept as a reject.
        """
        return self._loop.run_until_complete(self._import_all(found, seconds))

    async def _import_all(self, found: Sequence[Message], seconds: float) -> list[Message]:
        if self._importer is None:
            self._importer = MessageImporter(self._settings, "SQS", "queue", _RETRY_SECONDS, self._clock)
        tasks = [asyncio.ensure_future(self._settles(self._importer, one)) for one in found]
        _, late = await asyncio.wait(tasks, timeout=max(seconds, 0))
        for task in late:
            task.cancel()
        settled = await asyncio.gather(*tasks, return_exceptions=True)
        self._importer.pause()
        return [one for one, is_settled in zip(found, settled, strict=True) if is_settled is not True]

    async def _settles(self, importer: MessageImporter, message: Message) -> bool:
        try:
            with importer.opened() as opened:
                data = _data(message.body)
                opened.take(len(data))
                await opened.settle(
                    messages.Message(data, b"", message.source, message.queue, _published(message.sent))
                )
        except (DeliveryError, BudgetExceeded):
            return False
        except Exception as error:  # it costs this message alone
            told = f"{type(error).__name__}: {error}"
            log.get().exception(f"{message.source} is handed back to SQS: {told}", kind="handed back", reason=told)
            return False
        return True


def _data(body: str) -> bytes:
    """The bytes that were sent: what is gzipped can only come in base64."""
    text = text_within(body)
    if text.startswith(_GZIP_IN_BASE64):
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            pass
    return text.encode(errors="surrogatepass")


def _published(sent: int) -> str:
    return datetime.fromtimestamp(sent / 1_000, UTC).isoformat() if 0 < sent < 1 << 45 else ""
