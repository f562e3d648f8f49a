"""The part of Cloud Logging's query language that monitoring/ uses, evaluated against entries made up by tests.

https://cloud.google.com/logging/docs/view/logging-query-language: comparisons with `=`, `!=`, `<`, `>`, `>=`, `:`
(has), `=~` (RE2); lists of values with OR; AND, OR, NOT, parentheses; `log_id(…)`; and `:*` for a field that is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Entry = dict[str, Any]
Test = Callable[[Entry], bool]

_TOKENS = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\(|\)|=~|!=|>=|<=|[=:<>]|[^\s()=:<>!"]+)')
_SEVERITIES = ["DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]


def matches(text: str, entry: Entry) -> bool:
    """Whether a filter lets an entry through."""
    parser = _Parser(text)
    test = parser.any_of(parser.expression)
    assert parser.peek() is None, f"not understood from {parser.peek()} on: {text}"
    return test(entry)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKENS.findall(text)
        self._at = 0

    def peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def take(self) -> str:
        token: str = self._tokens[self._at]
        self._at += 1
        return token

    def any_of(self, part: Callable[[], Test]) -> Test:
        tests = [part()]
        while self.peek() == "OR":
            self.take()
            tests.append(part())
        return lambda entry: any(test(entry) for test in tests)

    def expression(self) -> Test:
        tests = [self.term()]
        while self.peek() == "AND":
            self.take()
            tests.append(self.term())
        return lambda entry: all(test(entry) for test in tests)

    def term(self) -> Test:
        token = self.take()
        if token == "NOT":
            inner = self.term()
            return lambda entry: not inner(entry)
        if token == "(":
            grouped = self.any_of(self.expression)
            assert self.take() == ")"
            return grouped
        if token == "log_id":
            assert self.take() == "("
            name = _unquoted(self.take())
            assert self.take() == ")"
            return lambda entry: entry.get("logName", "").endswith("/logs/" + name.replace("/", "%2F"))
        return self.comparison(token)

    def comparison(self, field: str) -> Test:
        operator = self.take()
        if self.peek() != "(":
            return _comparison(field, operator, _unquoted(self.take()))
        self.take()
        values = [_unquoted(self.take())]
        while self.peek() == "OR":
            self.take()
            values.append(_unquoted(self.take()))
        assert self.take() == ")"
        return lambda entry: any(_comparison(field, operator, value)(entry) for value in values)


def _unquoted(token: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", token[1:-1]) if token.startswith('"') else token


def _value(entry: Entry, field: str) -> Any:
    found: Any = entry
    for part in field.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _comparison(field: str, operator: str, wanted: str) -> Test:
    def test(entry: Entry) -> bool:
        found = _value(entry, field)
        if operator == ":" and wanted == "*":
            return found is not None
        if found is None:
            return False
        if operator in {">=", "<", ">"}:
            ranked = (
                (_SEVERITIES.index(found), _SEVERITIES.index(wanted)) if field == "severity" else (found, float(wanted))
            )
            return bool(
                {">=": ranked[0] >= ranked[1], "<": ranked[0] < ranked[1], ">": ranked[0] > ranked[1]}[operator]
            )
        if operator == "=~":
            return bool(re.search(wanted, str(found)))
        if isinstance(found, int | float) and operator == "=":
            return found == float(wanted)
        text, low = str(found), str(found).lower()
        return {"=": text == wanted, "!=": text != wanted, ":": wanted.lower() in low}[operator]

    return test
