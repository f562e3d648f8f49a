"""The importer's face: what it exports, what that costs, and that both say the same."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import importer
from importer import errors
from sandbox.processes import ROOT


def typed() -> set[str]:
    """The names that a type checker sees."""
    tree = ast.parse((ROOT / "importer" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_the_face_has_what_it_says_and_a_type_checker_sees_the_same() -> None:
    assert importer.__all__ == sorted(importer.__all__)
    assert typed() == {*importer.__all__}
    assert {*importer.__all__} <= {*dir(importer)}
    for name in importer.__all__:
        assert getattr(importer, name).__name__ == name
    assert {name for names in importer._ROOMS.values() for name in names} <= {*importer.__all__}


def test_all_that_the_library_raises_is_in_the_face() -> None:
    inside = {"InvalidRecord", "StalePosition"}
    tree = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Exception)}
    assert tree - inside <= {*importer.__all__}


def test_what_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'importer' has no attribute 'import_everything'$"):
        importer.import_everything  # noqa: B018
    assert not hasattr(importer, "_import_file")


def test_importing_it_imports_nothing_else() -> None:
    code = (
        "import sys; before = {*sys.modules}; import importer; "
        "print(*sorted(name for name in {*sys.modules} - before if 'importer' in name or 'msgspec' in name))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "importer\n"
