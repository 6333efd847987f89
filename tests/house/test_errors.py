"""The tree of errors is the one that its module draws, and each error is met in a test."""

import ast
import re
from collections.abc import Mapping

import pytest

from emu.ir import errors
from emu.ir.errors import EmuError

DRAWN = re.compile(r"^([│├└─ ]*)(\w+) +(\d)\b", re.MULTILINE)


def below(error: type[EmuError]) -> list[type[EmuError]]:
    """``error`` and all that derive from it within emu, parents first."""
    own = [child for child in error.__subclasses__() if child.__module__.startswith("emu.")]
    return [error, *(found for child in own for found in below(child))]


def expected(trees: Mapping[str, ast.Module]) -> set[str]:
    """Names in ``raises(...)``, and in the decorators (tables of cases) of a test that has one."""
    found: set[str] = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                found |= _expected_by(node)
    return found


def _expected_by(test: ast.FunctionDef) -> set[str]:
    calls = [node for node in ast.walk(test) if isinstance(node, ast.Call)]
    raises = [call.args[0] for call in calls if ast.unparse(call.func).endswith("raises")]
    places = [*raises, *test.decorator_list] if raises else []
    return {word for place in places for word in re.findall(r"\w+", ast.unparse(place))}


def raised(trees: Mapping[str, ast.Module]) -> set[str]:
    """Names of the errors that some line of emu raises or makes."""
    return {
        ast.unparse(node.func).rpartition(".")[2]
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }


def leaves() -> set[str]:
    return {error.__name__ for error in below(EmuError) if not error.__subclasses__()}


@pytest.mark.checkout
def test_every_error_is_raised_by_emu(trees: Mapping[str, ast.Module]) -> None:
    assert leaves() - raised(trees) == set()


@pytest.mark.checkout
def test_every_error_is_expected_by_a_test(trees_of_tests: Mapping[str, ast.Module]) -> None:
    assert leaves() - expected(trees_of_tests) == set()


@pytest.mark.checkout
def test_every_error_stands_in_the_one_file(trees: Mapping[str, ast.Module]) -> None:
    known = {error.__name__ for error in below(EmuError)}
    elsewhere = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and path != "ir/errors.py"
        if {ast.unparse(parent).rpartition(".")[2] for parent in node.bases} & known
    ]
    assert elsewhere == []


def test_an_error_counts_as_expected_in_raises_and_in_a_table_of_cases() -> None:
    table = "@parametrize('e', [A, errors.B])\ndef test(e):\n    with raises(e): run()"
    other = "@parametrize('e', [C])\ndef test(e): pass\ndef also():\n    raises((D, E), run)"
    found = expected({"table": ast.parse(table), "other": ast.parse(other)})
    assert found & set("ABCDE") == set("ABDE")


def test_the_drawn_tree_shows_each_class_with_its_exit_code() -> None:
    drawn = [(name, int(code), len(rail) // 4) for rail, name, code in _drawn()]
    depth = len(EmuError.__mro__)
    assert drawn == [(e.__name__, e.exit_code, len(e.__mro__) - depth) for e in below(EmuError)]


def _drawn() -> list[tuple[str, str, str]]:
    return DRAWN.findall(errors.__doc__ or "")
