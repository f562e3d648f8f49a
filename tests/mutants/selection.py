"""Which tests may notice a change: those that run its line, the most particular first."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

from coverage import CoverageData


class Selection:
    """Knows from a recorded run which test runs which line.

    Args:
        root: the tree that was recorded.
        data: what was recorded there, a context for each test; its files are named from the root.
        able: the tests that can say something: they pass where nothing is changed.
    """

    def __init__(self, root: Path, data: CoverageData, able: Collection[str]) -> None:
        self._root = root
        self._lines: dict[Path, dict[int, list[str]]] = {}
        covered: Counter[str] = Counter()
        for name in data.measured_files():
            by_line = {
                line: [one for one in tests if one in able] for line, tests in data.contexts_by_lineno(name).items()
            }
            self._lines[Path(name)] = by_line
            covered.update(test for tests in by_line.values() for test in tests)
        self._covered = covered

    def tests(self, file: Path, line: int, column: int) -> list[str]:
        """The tests that may notice a change there, in the order in which they are to be tried."""
        nearest, is_called = None, False
        for node in ast.walk(_tree(self._root / file)):  # from the outside in
            if isinstance(node, ast.stmt) and _begins(node) <= (line, column) < _ends(node):
                is_called = is_called or isinstance(nearest, ast.FunctionDef | ast.AsyncFunctionDef)
                nearest = node
        if nearest is not None:
            run = self._run(file, range(_begins(nearest)[0], _header_ends(nearest) + 1))
            if run or is_called:
                return self._by_particularity(run)
        # It runs when the file is imported: what may notice are those who use its name, then all of the file's.
        tiers = (self._users(file, nearest), self._run(file, self._lines.get(file, ())))
        return [*dict.fromkeys(test for tier in tiers for test in self._by_particularity(tier))]

    def mirror(self, file: Path) -> list[str]:
        """The test files of the same place under tests/unit, there being no test that is known to run a line."""
        folder = self._root / "tests/unit" / file.relative_to("importer").parent
        names = (f"test_{file.stem}.py", f"test_{file.parent.name}.py")
        found = [one for parent in (folder, folder.parent) for name in names if (one := parent / name).exists()]
        return [str(one.relative_to(self._root)) for one in dict.fromkeys(found)]

    def _run(self, file: Path, lines: Iterable[int]) -> set[str]:
        by_line = self._lines.get(file, {})
        return {test for line in lines for test in by_line.get(line, ())}

    def _users(self, file: Path, statement: ast.stmt | None) -> set[str]:
        """Those that run a line in which one of the names is that the statement gives."""
        names = set(_names(statement)) if statement is not None else set()
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            tests = self._run(file, range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
        else:
            tests = set()
        if names:
            pattern = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
            for other in self._lines if not all(name.startswith("_") for name in names) else [file]:
                text = (self._root / other).read_text().split("\n")
                tests |= self._run(other, (n for n, one in enumerate(text, 1) if pattern.search(one)))
        return tests

    def _by_particularity(self, tests: Iterable[str]) -> list[str]:
        """Those that run the fewest lines first: they say most about each."""
        return sorted(tests, key=lambda test: (self._covered[test], test))


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _begins(node: ast.stmt) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", ())
    first = min((*decorators, node), key=lambda one: one.lineno)
    return first.lineno, first.col_offset


def _ends(node: ast.stmt) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _header_ends(node: ast.stmt) -> int:
    """The last line of a statement, without those of its body."""
    body = getattr(node, "body", None)
    return max(node.lineno, body[0].lineno - 1) if body else _ends(node)[0]


def _names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
