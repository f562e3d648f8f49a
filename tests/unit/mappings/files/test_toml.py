"""A mapping file, read: what is wrong in it is told with file, line and key, before anything is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from importer.errors import SettingsError
from importer.mappings.files import paths, toml
from importer.mappings.loading import load_mapping

WHOLE = """\
event = "name"
time = { path = "at", unit = "s" }
distinct_id = "user"
"""


def error(text: str, tmp_path: Path) -> str:
    (tmp_path / "shop.toml").write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_mapping(str(tmp_path / "shop.toml"), {})
    return str(raised.value)


ERRORS: list[tuple[str, str, str]] = [
    ("no TOML", "event = \n", "line 1: this is no TOML: Invalid value"),
    ("not closed", 'event = "a', "line 1: this is no TOML: "),
    ("a key that is misspelt", "evnt = 'x'\n" + WHOLE, "line 1: evnt is not known: did you mean event?"),
    ("a key that is nothing", WHOLE + "\nzzz = 1\n", "line 5: zzz is not known: there are use, explode, where"),
    ("no event", 'time = "at"\nuser_id = "u"\n', "line 1: the file has no event: without use, it has to say"),
    ("no time", 'event = "e"\nuser_id = "u"\n', "line 1: the file has no time"),
    ("nobody", 'event = "e"\ntime = "at"\n', "line 1: the file has none of distinct_id, user_id, device_id"),
    ("a base that is none", 'use = "segmnt"\n', "line 1: use must be "),
    ("a path that is none", WHOLE.replace('"user"', '"a..b"'), "line 3: distinct_id must be a path such as"),
    ("a path that is empty", WHOLE.replace('"user"', '""'), "line 3: distinct_id must be a text"),
    ("a value of nothing", WHOLE.replace('"user"', "{}"), "line 3: distinct_id must have one of path, first, join"),
    ("a value of two", WHOLE.replace('"user"', '{ path = "a", value = 1 }'), "line 3: distinct_id must have one of"),
    ("a number for a path", WHOLE.replace('"user"', "7"), "line 3: distinct_id must be a path, a list of paths, or"),
    ("an empty list", WHOLE.replace('"user"', "[]"), "line 3: distinct_id must not be empty"),
    (
        "a path in a list over lines",
        WHOLE.replace('"user"', '[\n  "a",\n  "b..",\n]'),
        "line 3: distinct_id[1] must be a path",
    ),
    ("a unit that is none", WHOLE.replace('"s"', '"h"'), "line 2: time.unit must be s, ms, us or ns"),
    ("unit and zone", WHOLE.replace('"s"', '"s", zone = "UTC"'), "line 2: time.zone is for texts, and unit is for"),
    (
        "a zone that is none",
        WHOLE.replace('unit = "s"', 'zone = "Europe/Berlon"'),
        "line 2: time.zone must be the name of a time zone",
    ),
    (
        "a format that is none",
        WHOLE.replace('unit = "s"', 'format = "%Q"'),
        "line 2: time.format is no format",
    ),
    (
        "a reserved property",
        WHOLE + '[properties]\na = "b"\ntoken = "x"\n',
        "line 6: properties.token is not free: Mixpanel reserves the name.",
    ),
    (
        "a property that has a key",
        WHOLE + '[properties]\n"$insert_id" = "x"\n',
        'line 5: properties."$insert_id" is not free: Mixpanel reserves the name: the key insert_id says it',
    ),
    ("a reserved new name", WHOLE + '[rename]\na = "time"\n', "line 5: rename.a is not free"),
    (
        "a function that is none",
        WHOLE + '[properties]\na = { path = "b", do = ["lowr"] }\n',
        "line 5: properties.a.do[0] must be one of lower, upper",
    ),
    (
        "a function with a wrong argument",
        WHOLE + '[properties]\na = { path = "b", do = [{ url = "hots" }] }\n',
        "line 5: properties.a.do[0].url must be one of scheme, host",
    ),
    (
        "a function with two meanings",
        WHOLE + '[properties]\na = { path = "b", do = [{ url = "host", split = "," }] }\n',
        "line 5: properties.a.do[0] must have one of split, join and url",
    ),
    ("a condition of nothing", WHOLE + '[[where]]\npath = "a"\n', "line 4: where[0] must have one of is, is_not"),
    (
        "the second condition",
        WHOLE + '[[where]]\npath = "a"\nis = 1\n\n[[where]]\npath = "b"\nis_nt = 1\n',
        "line 10: where[1].is_nt is not known: did you mean is_not?",
    ),
    (
        "a bound that is no number",
        WHOLE + '[[where]]\npath = "a"\nat_least = "x"\n',
        "line 6: where[0].at_least must be",
    ),
    ("others of another kind", 'others = "drop"\n' + WHOLE, "line 1: others must be keep or leave out"),
    ("a separator that could spell a reserved name", 'flatten = "$"\n' + WHOLE, "line 1: flatten must be ., _"),
    ("identify calls of none", 'identify = "Identified"\n' + WHOLE, "line 1: identify is for a ready mapping with"),
    ("a hash of nothing", WHOLE + "insert_id = { hash = [] }\n", "line 4: insert_id.hash must not be empty"),
    ("a table where a text should be", WHOLE + "leave_out = [{}]\n", "line 4: leave_out[0] must be a text"),
]


@pytest.mark.parametrize(("text", "reason"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, text: str, reason: str) -> None:
    assert error(text, tmp_path).startswith(f"shop.toml, {reason}")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"IMPORT_MAPPING is '.*none.toml', and that file cannot be read"):
        load_mapping(str(tmp_path / "none.toml"), {})


LINES = '''\
# [not] = a header
use = "segment"  # use = "twice"

[properties]
"odd [name]" = "x"   # 5
a.b = "dotted"
text = """
[properties2]
x = 1
"""
after = [
  "one",
  "two", # ]
]
last = { path = "p", do = ["lower"] }

[[where]]
path = "first"
[[where]]
path = "second"
[filters.events]
deny = ["x"]
'''
KEYS: list[tuple[toml.Key, int]] = [
    (("use",), 2),
    (("properties",), 4),
    (("properties", "odd [name]"), 5),
    (("properties", "a", "b"), 6),
    (("properties", "text"), 7),
    (("properties", "after"), 11),
    (("properties", "last", "do", 0), 15),
    (("where", 0), 17),
    (("where", 0, "path"), 18),
    (("where", 1, "path"), 20),
    (("filters", "events", "deny"), 22),
    (("nothing",), 1),
    ((), 1),
]


@pytest.mark.parametrize(("key", "line"), KEYS, ids=[str(row[0]) for row in KEYS])
def test_the_line_of_a_key_is_found_in_the_text(key: toml.Key, line: int) -> None:
    root = toml.parse("shop.toml", LINES)
    node = toml.Node(root._file, key, None)
    assert str(node.error("is wrong")).startswith(f"shop.toml, line {line}: ")


PATHS: dict[str, paths.Path | None] = {
    "a": ("a",),
    "a.b.c": ("a", "b", "c"),
    "a[0].b": ("a", 0, "b"),
    "a[0][12]": ("a", 0, 12),
    '"a.b".c': ("a.b", "c"),
    'a."b\\"c"': ("a", 'b"c'),
    "$os": ("$os",),
    "a b": ("a b",),
    "": None,
    ".": None,
    "a.": None,
    ".a": None,
    "a..b": None,
    "[0]": None,
    "a[x]": None,
    "a[0": None,
    'a"b"': None,
}


@pytest.mark.parametrize(("text", "path"), PATHS.items(), ids=PATHS)
def test_a_path_is_read_or_is_none(text: str, path: paths.Path | None) -> None:
    assert paths.parse(text) == path
    if path:
        assert paths.parse(paths.shown(path)) == path


@pytest.mark.parametrize("at", ["-1000", "0", "7"])
def test_a_part_may_be_any_of_a_thousand_from_either_end(at: str, tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(WHOLE + f'[properties]\na = {{ path = "b", do = [{{ split = ",", at = {at} }}] }}\n')
    assert load_mapping(str(file), {}).mapping


@pytest.mark.parametrize("at", ["-1001", "true", "1.0", '"1"'])
def test_a_part_that_is_no_such_number_is_said(at: str, tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(WHOLE + f'[properties]\na = {{ path = "b", do = [{{ split = ",", at = {at} }}] }}\n')
    with pytest.raises(SettingsError, match="must be a whole number, at least -1000"):
        load_mapping(str(file), {})
