"""A Parquet file as DuckDB reads it: the database may read this one file, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from importer.errors import SettingsError, Unreadable
from importer.formats.parquet.columns import Column, event, quoted, row, weight
from importer.formats.parquet.random_access import File, Pieces
from importer.formats.reader import Source
from importer.formats.rows import without_events
from importer.records import Malformed

if TYPE_CHECKING:
    import duckdb

if TYPE_CHECKING:
    import duckdb

ROWS = 2_048
"""Rows in a block: DuckDB's own measure, a vector."""

_MAX_MEMORY = "256MB"
"""What DuckDB may take for one file: many times what it needs for pages of the usual size (1 MB, uncompressed)."""

_LONG_BYTES = 1 << 14
_MAX_LONG_BYTES = 4 << 20
"""A row that is long, and how many bytes of such are made at once: of 2,048 rows that are not there are no more."""

T = TypeVar("T")

_ROW_NUMBER = "file_row_number"

_PATH = "stored://file"
_EARLIER = datetime(2000, 1, 1, tzinfo=UTC)
_SETTINGS = (
    "SET GLOBAL disable_parquet_prefetching = true",  # it would hold a whole row group
    "SET enable_external_file_cache = false",
    "SET GLOBAL TimeZone = 'UTC'",
    f"SET allowed_paths = ['{_PATH}']",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


_COUNT_ROWS = f"SELECT sum(num_rows)::BIGINT FROM parquet_file_metadata('{_PATH}')"  # noqa: S608 (a constant)
_COUNT_LEAVES = f"SELECT count(*) FROM parquet_schema('{_PATH}') WHERE coalesce(num_children, 0) = 0"  # noqa: S608
_SCHEMA = f"SELECT name, num_children FROM parquet_schema('{_PATH}')"  # noqa: S608
_DESCRIBE = f"SELECT * FROM read_parquet('{_PATH}') LIMIT 0"  # noqa: S608
_READ = f"FROM read_parquet('{_PATH}', file_row_number = true) WHERE file_row_number >="


def _top_names(schema: list[tuple[str, int | None]]) -> list[str]:
    """The names of a table's columns, of all names in its schema, each with how many come within it."""
    names: list[str] = []
    within = 0
    for name, children in schema[1:]:
        if not within:
            names.append(name)
        within += (children or 0) - (1 if within else 0)
    return names


def _select(statement: str, first: int, end: int | None) -> str:
    """With an end it stops there, and does not look through all rows that a file says it has."""
    until = "" if end is None else f" AND file_row_number < {end} LIMIT {end - first}"
    return f"{statement} {first}{until}"


class Undecodable(Exception):
    """DuckDB could not decode some rows: why, in one line."""


class Table:
    """One file as DuckDB reads it.

    Attributes:
        rows: how many there are.
    """

    def __init__(self, source: Source) -> None:
        self._name = source.stored.name
        self._longest = source.longest
        self._pieces = Pieces(source.stored)
        self._database = _database(self._pieces)
        try:
            self.rows: int = self._ask(_COUNT_ROWS)[0][0]
            leaves: int = self._ask(_COUNT_LEAVES)[0][0]
            described = self._run(_DESCRIBE).description
            names = _top_names(self._database.cursor().execute(_SCHEMA).fetchall())
        except Undecodable as error:
            raise Unreadable(f"the Parquet file cannot be read: {error}") from None
        self._pieces.share(leaves)
        if len(names) != len(described) or len(set(names)) < len(names) or not all(names):
            raise Unreadable(
                f"the Parquet file has columns without a name, or of the same name: {', '.join(names)}"[:400]
            )
        # A database tells no names apart that differ in case alone: what it calls a column need not be its name.
        self._columns = columns = [
            Column(name, type_, quoted(called)) for name, (called, type_, *_) in zip(names, described, strict=True)
        ]
        if _ROW_NUMBER in (column.name.lower() for column in columns):
            raise Unreadable(
                f"the Parquet file has a column {_ROW_NUMBER}, which is what its reader calls the numbers of rows: "
                "give the column another name"
            )
        made = event(columns) if source.rows == "events" else row(columns)
        if made is None:
            raise without_events(column.name for column in columns)
        self._made = f"SELECT {made} {_READ}"
        weighed = weight(columns)
        self._weighed = f"SELECT CASE WHEN {weighed} < {_LONG_BYTES} THEN {made} END, {weighed} {_READ}"

    def records(self, first: int, end: int | None = None) -> Iterator[list[bytes]]:
        """The rows from `first` on (up to `end`) as JSON, some at a time.

        The database makes 2,048 rows at once, whatever their size: so those that are long are only weighed, and made
        by themselves then.

        Raises:
            Undecodable: a row after those that came cannot be decoded.
        """
        rows = self._run(_select(self._weighed, first, end))
        while found := self._fetch(rows):
            if all(made for made, _ in found):
                yield [made.encode() for made, _ in found]
            else:
                yield from self._with_long(found, first)
            first += len(found)

    def _with_long(self, found: list[tuple[str | None, int]], first: int) -> Iterator[list[bytes]]:
        """The same rows, where some are only weighed."""
        start = 0
        while start < len(found):
            made, weight = found[start]
            end = start + 1
            if made is None and weight < self._longest:
                while end < len(found) and found[end][0] is None and weight + found[end][1] < _MAX_LONG_BYTES:
                    weight += found[end][1]
                    end += 1
                rows = self._run(_select(self._made, first + start, first + end))
                yield [text.encode() for (text,) in self._fetch(rows)]
            elif made is None:
                yield [Malformed(b"", f"is too long: it has {self._longest / 1e6:g} MB or more")]
            else:
                while end < len(found) and found[end][0] is not None:
                    end += 1
                yield [text.encode() for text, _ in found[start:end] if text is not None]
            start = end

    def undecodable_column(self, number: int) -> str:
        """Which column of a row cannot be decoded, if one by itself cannot: to be put before the reason."""
        columns = self._columns
        while len(columns) > 1:
            some = columns[: len(columns) // 2]
            try:
                self._fetch(self._run(_select(f"SELECT {row(some)} {_READ}", number, number + 1)))
                columns = columns[len(some) :]
            except Undecodable:
                columns = some
        return f"column {columns[0].name!r}: "

    def close(self) -> None:
        """Lets go of what is held."""
        self._database.close()

    def _ask(self, statement: str) -> list[tuple[Any, ...]]:
        return self._fetch(self._run(statement))

    def _run(self, statement: str) -> duckdb.DuckDBPyConnection:
        return self._guarded(lambda: self._database.cursor().execute(statement))

    def _fetch(self, rows: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return self._guarded(lambda: rows.fetchmany(ROWS))

    def _guarded(self, do: Callable[[], T]) -> T:
        import duckdb  # noqa: PLC0415

        try:
            return do()
        except (duckdb.Error, UnicodeDecodeError) as error:
            if self._pieces.failure is not None:
                raise self._pieces.failure from None
            raise Undecodable(str(error).partition("\n")[0].replace(_PATH, self._name)) from None


def _database(pieces: Pieces) -> duckdb.DuckDBPyConnection:
    """A database that can read these pieces, and nothing else.

    Raises:
        SettingsError: the packages that it takes are not installed.
    """
    try:
        import duckdb  # noqa: PLC0415
        from fsspec import AbstractFileSystem  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"Parquet needs the packages duckdb and fsspec: pip install 'mixpanel-importer[formats]' ({error})."
        ) from None

    class Stored(AbstractFileSystem):  # type: ignore[misc]
        protocol = "stored"
        cachable = False

        def open(self, *_: object, **__: object) -> File:
            return File(pieces)

        def info(self, path: str, **_: object) -> dict[str, object]:
            return {"name": path, "size": pieces.size, "type": "file"}

        def modified(self, _: str) -> datetime:
            return _EARLIER

        def glob(self, path: str, **_: object) -> list[str]:
            return [path]

    database = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": _MAX_MEMORY,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    database.register_filesystem(Stored())
    for statement in _SETTINGS:
        database.execute(statement)
    return database
