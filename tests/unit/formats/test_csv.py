"""CSV and TSV: each row becomes one event, its texts what they are, and a row that is none costs itself alone."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from importer.errors import Unreadable
from importer.formats.content import Content
from importer.formats.csv.cells import is_plain_value
from importer.formats.csv.dialect import matches
from importer.formats.held import Held, Stream
from importer.formats.reader import Head
from importer.records import Malformed, Position, Record
from sandbox.vendors import records as made_up

HEADER = "event,time,distinct_id,plan\n"


def records(content: bytes | str, name: str = "t.csv", size: int | None = None, **options: Any) -> list[Record]:
    data = content.encode() if isinstance(content, str) else content
    stored = Held(data, name) if size is None else Stream((data[n : n + size] for n in range(0, len(data), size)), name)
    found = [one for block in Content(stored, **options).blocks() for one in block]
    return [one for one in found if one[2] or isinstance(one[2], Malformed)]


def objects(content: bytes | str, **options: Any) -> list[dict[str, Any]]:
    return [json.loads(record) for _, _, record in records(content, **options) if not isinstance(record, Malformed)]


def reasons(content: bytes | str, **options: Any) -> dict[int, str]:
    return {line: one.reason for line, _, one in records(content, **options) if isinstance(one, Malformed)}


def test_a_row_becomes_an_event_whose_other_columns_are_properties() -> None:
    assert objects(HEADER + "Signup,1748736000123,u-1,pro\nLogin,1748736000124,u-2,\n") == [
        {"event": "Signup", "properties": {"time": 1748736000123, "distinct_id": "u-1", "plan": "pro"}},
        {"event": "Login", "properties": {"time": 1748736000124, "distinct_id": "u-2"}},
    ]


def test_for_a_mapping_a_row_is_an_object_of_its_columns() -> None:
    found = objects("name,insert_id,n,empty\nx,i-1,5,\n", rows="records")
    assert found == [{"name": "x", "insert_id": "i-1", "n": 5}]


def test_a_column_insert_id_is_the_insert_id() -> None:
    assert objects("event,insert_id\nx,007\n") == [{"event": "x", "properties": {"$insert_id": "007"}}]


def test_a_table_without_events_is_told_what_to_set() -> None:
    with pytest.raises(Unreadable, match=r"no column `event`.*set IMPORT_MAPPING.*columns are name, ts"):
        records("name,ts\nx,1\n")


@pytest.mark.parametrize(
    "cell",
    ["12", "0", "-7", "1.5", "-0.25", "true", "false", "123456789012345", "0.1", "100.5"],
)
def test_a_text_becomes_a_number_or_a_boolean_where_that_changes_nothing(cell: str) -> None:
    found = objects(f"event,x\ne,{cell}\n")[0]["properties"]["x"]
    assert not isinstance(found, str)
    assert json.dumps(found) == cell


@pytest.mark.parametrize(
    "cell",
    ["007", "1e5", "+4912345", "1.50", "-0", "-0.0", ".5", "5.", "1,000", "TRUE", "True", "1234567890123456",
     "0x10", "NaN", "inf", "null", "1_000", "٣", " 12", "2025-06-01", "12:30", "1.2.3", "123456789012345.5"],
)  # fmt: skip
def test_any_other_text_stays_one(cell: str) -> None:
    assert objects(f'event,x\ne,"{cell}"\n')[0]["properties"]["x"] == cell


@given(st.text(st.sampled_from("0123456789.-+eE tfrue"), max_size=18))
def test_what_is_no_text_any_more_is_the_same_text(cell: str) -> None:
    if is_plain_value(cell):
        assert json.dumps(json.loads(cell)) == cell


def test_names_and_ids_stay_texts_and_a_time_is_a_number_with_all_its_digits() -> None:
    found = objects("event,time,distinct_id,$insert_id,$user_id,$device_id\n12,1748736000123456789,34,56,78,90\n")
    assert found[0]["event"] == "12"
    assert found[0]["properties"] == {
        "time": 1748736000123456789, "distinct_id": "34", "$insert_id": "56", "$user_id": "78", "$device_id": "90"
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["2025-06-01 00:00:00.123 UTC", "2025-06-01T02:00:00.123+02:00", "2025-06-01 00:00:00.1239"]
)
@pytest.mark.parametrize("rows", [1, 500])
def test_a_time_in_words_is_epoch_milliseconds_in_an_event_alone(text: str, rows: int) -> None:
    """As BigQuery, Snowflake and Python write it."""
    content = "event,time,at\n" + f"x,{text},{text}\n" * rows
    assert objects(content) == [{"event": "x", "properties": {"time": 1748736000123, "at": text}}] * rows
    assert objects(content, rows="records")[0]["time"] == text
    assert objects("event,time\nx,yesterday\ny,\n")[0]["properties"] == {"time": "yesterday"}


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "with a mark"])
def test_delimiters_and_line_ends_are_found_by_looking(delimiter: str, end: str, mark: bytes) -> None:
    rows = [["event", "time", "a,b;c|d"], ["x", "5", "1"], ["y z", "6", "two"]]
    text = end.join(delimiter.join(f'"{c}"' if set(c) & set(",;|") else c for c in row) for row in rows) + end
    assert objects(mark + text.encode()) == [
        {"event": "x", "properties": {"time": 5, "a,b;c|d": 1}},
        {"event": "y z", "properties": {"time": 6, "a,b;c|d": "two"}},
    ]


def test_content_tells_that_it_is_csv_whatever_it_is_called() -> None:
    content = (HEADER + "Signup,5,u,pro\n" * 50).encode()
    assert len(objects(content, name="export.dat")) == 50
    assert len(objects(gzip.compress(content), name="export")) == 50


@pytest.mark.parametrize(
    "content",
    [
        b"Dear customer,\n\nwe are sorry.\n",
        b"1,2,3\n4,5,6\n",
        b"a,b,a\n1,2,3\n",
        b"<p>a,b</p>\n<p>c,d</p>\n",
        b"hello\n",
    ],
)
def test_what_is_no_table_is_not_taken_for_one(content: bytes) -> None:
    with pytest.raises(Unreadable, match="no event data"):
        records(content, name="words.txt")


@pytest.mark.parametrize("name", ["output-1.txt", "enriched.tsv", "enriched.tsv.gz"])
def test_snowplows_lines_are_no_table_whatever_they_are_called(name: str) -> None:
    """They have no header: each is a record by itself, which a mapping reads."""
    content = b"\n".join(made_up("snowplow", 20))
    assert not matches(Head(content, name, is_all=True))
    assert matches(Head(b"event\ttime\nSignup\t5\n", name, is_all=True))
    assert [record for _, _, record in records(content, name, rows="records")] == list(made_up("snowplow", 20))


def test_quotes_hold_delimiters_line_breaks_and_doubled_quotes() -> None:
    content = HEADER + 'a,1,u,"x, ""y""\nz\\"\nb,2,"",plain\n\nc,3,w,"tab\t"\r\n'
    found = records(content)
    assert [(line, offset) for line, offset, _ in found] == [
        (2, 28),
        (4, content.index("b,2")),
        (6, content.index("c,3")),
    ]
    assert [json.loads(one)["properties"].get("plan") for _, _, one in found] == ['x, "y"\nz\\', "plain", "tab\t"]


@pytest.mark.parametrize(
    "odd", ["\r", "a\rb", "\x01", "a\x01b", "a,b", 'a"b', "a\\b", "\t", "é\x1f", "²", "1,000", "\xa0"]
)
def test_an_odd_cell_among_very_many_plain_ones_stays_what_it_is(odd: str) -> None:
    """Cells of a column are decided on together, and a column of ids in another way than one of few values."""
    rows = [["x", f"id-{n}", str(n), f"{n}.5", "pro", "1,5" if n % 3 else ""] for n in range(2_000)]
    rows[1_500] = ["x", *[odd] * 5]
    rows.insert(0, ["event", "id", "n", "f", "plan", "price"])
    quoted = '"{}"'.format
    lines = (",".join(quoted(c.replace('"', '""')) if set(c) & set(',"\r') else c for c in row) for row in rows)
    content = "".join(f"{line}\n" for line in lines)
    found = [one["properties"] for one in objects(content, size=16_384)]
    assert found[1_500] == dict.fromkeys(("id", "n", "f", "plan", "price"), odd)
    assert found[1_499] == {"id": "id-1499", "n": 1_499, "f": 1_499.5, "plan": "pro", "price": "1,5"}
    assert found[1_998] == {"id": "id-1998", "n": 1_998, "f": 1_998.5, "plan": "pro"}
    assert len(found) == 2_000


def test_rows_that_are_not_as_the_header_says_are_rejected_alone() -> None:
    content = HEADER + "a,1,u,p\nb,2\nc,3,u,p,q\nd,4,u,p,\ne,5,u,p\n"
    assert reasons(content) == {
        3: "has 2 cells, and the header has 4",
        4: "has 5 cells, and the header has 4",
    }
    assert [one["event"] for one in objects(content)] == ["a", "d", "e"]
    assert [bytes(one) for _, _, one in records(content) if isinstance(one, Malformed)] == [b"b,2", b"c,3,u,p,q"]


def test_a_row_that_is_not_utf8_is_rejected_alone() -> None:
    content = HEADER.encode() + b"a,1,u,p\nb,2,u,\xff\nc,3,u,\xc3\xbc\n"
    assert reasons(content) == {3: "is not UTF-8"}
    assert [one["event"] for one in objects(content)] == ["a", "c"]


def test_a_quote_that_is_out_of_place_costs_its_row_alone() -> None:
    content = HEADER + 'a,1,u,p\nb,2,u,"x"y\nc,3,u,5" pipe\n'
    assert list(reasons(content)) == [3]
    assert "is no CSV" in reasons(content)[3]
    assert [one["event"] for one in objects(content)] == ["a", "c"]


@pytest.mark.parametrize("size", [None, 100, 4_096])
def test_a_quote_that_nothing_closes_costs_its_line_alone(size: int | None) -> None:
    rows = [f'e{n},{n},"u",{"x" * 100}\n' for n in range(30_000)]
    rows[10] = 'bad,1,"u,p\n'
    content = HEADER + "".join(rows)
    found = reasons(content, size=size)
    assert found == {12: "has a quote that nothing closes"}
    assert len(objects(content)) == 29_999


def test_columns_without_a_name_or_with_one_twice_are_told() -> None:
    with pytest.raises(Unreadable, match="names 'plan' more than once"):
        records("event,plan,time,plan\nx,1,2,3\n")
    with pytest.raises(Unreadable, match="no name for column 2"):
        records("event,,time\nx,1,2\n")


def test_a_first_line_may_say_what_separates_cells() -> None:
    """As Excel wants to be told."""
    found = records("sep=;\r\nevent;time;x\r\ne;1;a,b\r\n")
    assert [(line, json.loads(one)) for line, _, one in found] == [
        (3, {"event": "e", "properties": {"time": 1, "x": "a,b"}})
    ]


def test_a_header_alone_and_nothing_at_all_have_no_records() -> None:
    assert records(HEADER) == []
    assert records(HEADER.rstrip()) == []


def test_a_last_line_without_an_end_is_a_row() -> None:
    assert len(objects(HEADER + "a,1,u,p\nb,2,u,p")) == 2


def made(rows: int) -> list[list[str]]:
    choose = random.Random(7)
    texts = ["", "plain", 'qu"ote', "com,ma", "line\nbreak", "ünï", "12", "1.50", "true", "back\\slash", "\ttab"]
    return [["event", "time", "$insert_id", "a", "b c"]] + [
        [f"e{n % 5}", str(1748736000000 + n), f"id-{n}", choose.choice(texts), choose.choice(texts)]
        for n in range(rows)
    ]


def written(rows: list[list[str]], **options: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out, **options).writerows(rows)
    return out.getvalue().encode()


def expected(rows: list[list[str]]) -> list[dict[str, Any]]:
    converted: dict[str, Any] = {"12": 12, "true": True}
    return [
        {
            "event": row[0],
            "properties": {
                "time": int(row[1]),
                "$insert_id": row[2],
                **{name: converted.get(cell, cell) for name, cell in zip(rows[0][3:], row[3:], strict=True) if cell},
            },
        }
        for row in rows[1:]
    ]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("size", [None, 1, 777])
def test_what_was_written_is_read_however_the_bytes_come(quoting: Any, end: str, size: int | None) -> None:
    rows = made(600)
    content = written(rows, quoting=quoting, lineterminator=end)
    wanted = expected(rows)
    if end == "\r\n":
        content = content.replace(b"line\r\nbreak", b"line\nbreak")
    assert objects(content, size=size) == wanted


def test_what_another_wrote_is_the_same() -> None:
    rows = made(500)
    columns = list(zip(*rows[1:], strict=True))
    out = io.BytesIO()
    pyarrow.csv.write_csv(pa.table({name: list(cells) for name, cells in zip(rows[0], columns, strict=True)}), out)
    assert objects(out.getvalue()) == expected(rows)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=8), min_size=3, max_size=3),
        min_size=1,
        max_size=20,
    )
)
def test_any_cells_come_through(cells: list[list[str]]) -> None:
    rows = [["event", "$device_id", "$user_id"], *[["e", *row[1:]] for row in cells]]
    found = objects(written(rows, quoting=csv.QUOTE_ALL, lineterminator="\n"))
    assert [(one["properties"].get("$device_id", ""), one["properties"].get("$user_id", "")) for one in found] == [
        (row[1], row[2]) for row in rows[1:]
    ]


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_reading_goes_on_from_any_row(gzipped: bool) -> None:
    rows = made(400)
    content = written(rows, lineterminator="\n")
    stored = Held(gzip.compress(content) if gzipped else content, "t.csv")
    reading = Content(stored)
    whole = [one for block in reading.blocks() for one in block if one[2]]
    for nth in (0, 1, 57, 200, 399):
        line, offset, _ = whole[nth]
        position = msgspec.json.decode(msgspec.json.encode(reading.mark(line, offset)), type=Position)
        rest = [one for block in Content(stored, position).blocks() for one in block if one[2]]
        assert rest == whole[nth:]


def test_a_line_too_long_to_be_held_is_let_go() -> None:
    content = HEADER + "a,1,u,p\n" + "b,2,u," + "x" * 3_000_000 + "\nc,3,u,p\n"
    assert reasons(content, size=65_536) == {3: "is one line of more than 1048576 bytes"}
    found = records(content, size=65_536)
    assert [(line, offset) for line, offset, _ in found] == [(2, 28), (3, 36), (4, 3_000_043)]


def test_an_unclosed_quote_before_very_much_takes_little_memory() -> None:
    import tracemalloc

    def pieces() -> Iterator[bytes]:
        yield HEADER.encode() + b'a,1,u,"p\n'
        for _ in range(100):
            yield (b"b,2,u," + b"p" * 4_000 + b"\n") * 100

    tracemalloc.start()
    count = bad = 0
    for block in Content(Stream(pieces(), "t.csv")).blocks():
        for _, _, record in block:
            count += bool(record)
            bad += isinstance(record, Malformed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, bad) == (10_001, 1)
    assert peak < 20_000_000
