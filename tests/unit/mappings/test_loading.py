"""The user's own mapping: found by its name, or refused with a sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from importer.errors import SettingsError
from importer.mappings.loading import load

Write = Callable[[str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module that lies on the path, and says its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str) -> str:
        name = f"mapping_{abs(hash(source))}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


def test_a_function_is_found_by_its_module_and_name(module: Write) -> None:
    name = module("def to_mixpanel(record):\n    return {**record, 'mapped': True}\n")
    assert load(f"{name}:to_mixpanel")({"a": 1}) == {"a": 1, "mapped": True}


def test_whatever_can_be_called_is_a_function(module: Write) -> None:
    name = module("class Mapping:\n    def __call__(self, record):\n        return None\nmapping = Mapping()\n")
    assert load(f"{name}:mapping")({}) is None


def test_a_package_may_lie_around_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_mappings").mkdir()
    (tmp_path / "shop_mappings" / "orders.py").write_text("f = dict\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load("shop_mappings.orders:f") is dict
    for name in [name for name in sys.modules if name.startswith("shop_mappings")]:
        del sys.modules[name]


BROKEN = {
    "a syntax error": ("def f(:\n", "failed: SyntaxError: "),
    "an import that fails": ("import no_such_module_at_all\n", "failed: ModuleNotFoundError: No module named"),
    "an exception": ("raise RuntimeError('not today')\n", "failed: RuntimeError: not today"),
    "another name": ("def g(record): ...\n", "has no function f"),
    "no function": ("f = 7\n", "has no function f"),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_module_that_cannot_be_used_is_named_with_the_reason(module: Write, source: str, reason: str) -> None:
    name = module(source)
    with pytest.raises(SettingsError) as raised:
        load(f"{name}:f")
    assert str(raised.value).startswith(f"IMPORT_TRANSFORM is '{name}:f', and ")
    assert reason in str(raised.value)


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"IMPORT_TRANSFORM is 'no_such_module:f', and importing no_such_module"):
        load("no_such_module:f")
