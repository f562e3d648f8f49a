"""Sites: the places in a file where an operator, a bound, a boolean or a constant can be changed, and into what.

The changes are cosmic-ray's. Each place counts once, whatever the number of its changes (a `+` has eleven): a sample of
places is then one of the code, and not of its arithmetic. No place is what only a type checker reads, nor what says of
a class that nobody changes its instances, or how they lie in memory (`frozen`, `slots`, `gc`): no test could notice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

_SILENT = frozenset({"frozen", "slots", "gc"})

_KINDS = {
    "condition": r"AddNot",
    "not": r"ReplaceUnaryOperator_Delete_Not",
    "sign": r"ReplaceUnaryOperator_(Delete_)?(USub|UAdd|Invert)",
    "boolean": r"Replace(TrueWithFalse|FalseWithTrue)",
    "connective": r"Replace(AndWithOr|OrWithAnd)",
    "number": r"NumberReplacer",
    "comparison": r"ReplaceComparisonOperator_",
    "arithmetic": r"ReplaceBinaryOperator_",
    "jump": r"Replace(Break|Continue)With",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One of cosmic-ray's operators, and which of the places where it can be applied in the file."""

    operator: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class Site:
    """A place that can be changed.

    Attributes:
        file: where it is, from the root.
        line: 1-based.
        column: 0-based.
        kind: what stands there: one of the keys of `_KINDS`.
        changes: what can be made of it.
    """

    file: Path
    line: int
    column: int
    kind: str
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column} {self.kind}"


def sites(root: Path, file: Path) -> list[Site]:
    """The sites of a file, in its order."""
    text = (root / file).read_text()
    unread = list(_unread(ast.parse(text)))
    nodes = list(ast_nodes(get_ast(text)))
    found: dict[tuple[int, int, str], list[Change]] = {}
    for name, kind in _operators():
        operator = cosmic_ray.plugins.get_operator(name)()
        begins = [begin for node in nodes for begin, _ in operator.mutation_positions(node)]
        for occurrence, begin in enumerate(begins):
            if not any(first <= begin < last for first, last in unread):
                found.setdefault((*begin, kind), []).append(Change(name, occurrence))
    return [Site(file, *where, tuple(changes)) for where, changes in sorted(found.items())]


def mutated(text: str, change: Change) -> str:
    """The file with the change."""
    operator = cosmic_ray.plugins.get_operator(change.operator)()
    return str(mutate_code(text, operator, change.occurrence))


def _operators() -> Iterator[tuple[str, str]]:
    for name in sorted(cosmic_ray.plugins.operator_names()):
        for kind, pattern in _KINDS.items():
            if re.match(f"core/{pattern}", name):
                yield name, kind


def _unread(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations, unions of types (a `|` in them is no operator) and what is said of classes begin and end."""
    for node in ast.walk(tree):
        notes: list[ast.expr | None] = []
        if isinstance(node, ast.ClassDef):
            calls = [one for one in node.decorator_list if isinstance(one, ast.Call)]
            said = [*node.keywords, *(keyword for call in calls for keyword in call.keywords)]
            notes += [one.value for one in said if one.arg in _SILENT]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            notes.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            notes.append(node.annotation)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"isinstance", "issubclass", "cast"}:
            notes += node.args
        for note in notes:
            if note is not None and note.end_lineno is not None and note.end_col_offset is not None:
                yield (note.lineno, note.col_offset), (note.end_lineno, note.end_col_offset)
