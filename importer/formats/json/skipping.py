"""A JSON value that is too long to be held: passed over to its end, or to its line's, whichever comes first."""

from __future__ import annotations

import re

_TOKEN_OR_LINE_END = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"|["{}\[\],\n]')
_rest_of_string = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+').match


class Skip:
    """Passes over a value.

    Args:
        depth: the brackets that are open within it where this begins.
        over_lines: whether it is spread over lines, so that its end alone ends it.
        in_array: whether a comma or a bracket follows its end; if not, it ends with the bracket that it began with.
        only_line: whether its line is all that is passed over, since its structure is broken.
    """

    def __init__(
        self, depth: int = 0, *, over_lines: bool = False, in_array: bool = True, only_line: bool = False
    ) -> None:
        self._depth = depth
        self._over_lines = over_lines
        self._in_array = in_array
        self._only_line = only_line
        self._in_string = False

    def pass_over(self, text: bytes, at: int) -> tuple[int, bool]:
        """Goes on, from `at` in the text.

        Returns:
            Where it got to, and whether the value ended there.
        """
        if self._only_line:
            end = text.find(b"\n", at)
            return (len(text), False) if end < 0 else (end + 1, True)
        while at < len(text):
            if not self._in_string:
                at, ended = self._pass_tokens(text, at)
                if ended:
                    return at, True
                continue
            rest = _rest_of_string(text, at)
            at = rest.end() if rest else at
            if text[at:] in {b"", b"\\"}:
                break
            # Here is a quote, or the line's end, perhaps after a backslash.
            self._in_string = False
            at += not text.startswith(b"\n", at)
        return at, False

    def _pass_tokens(self, text: bytes, at: int) -> tuple[int, bool]:
        """Goes on to its end or its line's, or into a string that nothing closes in the text."""
        for token in _TOKEN_OR_LINE_END.finditer(text, at):
            mark = token[0]
            if mark in b"{[":
                self._depth += 1
            elif mark == b"\n":
                if not self._over_lines:
                    return token.end(), True
            elif not self._depth and mark in b",]" and self._in_array:
                return token.end() - (mark == b"]"), True  # that one closes the array
            elif mark in b"}]":
                self._depth -= self._depth > 0
                if not self._depth and not self._in_array:
                    return token.end(), True
            elif mark == b'"':
                self._in_string = True
                return token.end(), False
        return len(text), False
