"""JSON arrays: a record is an element."""

from __future__ import annotations

from collections.abc import Iterator

from importer.errors import Unreadable
from importer.formats.detect import is_array
from importer.formats.elements import BrokenArray, elements
from importer.formats.reader import Head, Source
from importer.records import Block


def matches(head: Head) -> bool:
    """Whether this is a JSON array, or several in a row."""
    return is_array(head.content)


class Reader:
    """Reads an array's elements. See `formats.reader.Reader`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.mark = source.mark

    def blocks(self) -> Iterator[Block]:
        """See `formats.reader.Reader`."""
        source = self._source
        start = source.start
        try:
            for line, offset, record in elements(source.chunks, start.offset, start.line, opened=source.is_resumed):
                yield Block([record], line, offset, len(record) + 1)
        except BrokenArray as error:
            raise Unreadable(str(error)) from None
