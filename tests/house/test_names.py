"""Public names are documented, and nothing is left half done or switched off."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import TypeGuard

import pytest

pytestmark = pytest.mark.checkout

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

# Each word is spelled with a class of one letter so that this file does not find itself.
UNFINISHED = re.compile(r"TOD[O]|FIXM[E]|XX[X]|NotImplementedErro[r]")
SWITCHED_OFF = re.compile(r"# *type: *ignor[e]|# *noq[a]|# *pyright: *ignor[e]|pragma: *n[o]")
VAGUE = {"utils", "util", "helpers", "helper", "base", "manager", "common", "misc"}


def public(path: str, node: Documented) -> Iterator[tuple[str, Documented]]:
    """``node`` and the public classes and functions in it, with the place of each."""
    yield path, node
    if not isinstance(node, ast.Module | ast.ClassDef):
        return
    for child in node.body:
        named = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if named and not child.name.startswith("_"):
            yield from public(f"{path}:{child.lineno} {child.name}", child)


def test_every_public_name_has_a_docstring(trees: Mapping[str, ast.Module]) -> None:
    names = [found for path, tree in trees.items() for found in public(path, tree)]
    assert [place for place, node in names if not ast.get_docstring(node)] == []


def test_nothing_is_left_unfinished(sources: Mapping[str, str], tests: Mapping[str, str]) -> None:
    texts = {**sources, **tests}
    assert [path for path, text in texts.items() if UNFINISHED.search(text)] == []


def test_no_check_is_switched_off_in_a_line(
    sources: Mapping[str, str], tests: Mapping[str, str]
) -> None:
    texts = {**sources, **tests}
    assert [path for path, text in texts.items() if SWITCHED_OFF.search(text)] == []


def test_no_module_has_a_name_that_says_nothing(sources: Mapping[str, str]) -> None:
    words = {path: set(re.split(r"[/_.]", path)) for path in sources}
    assert [path for path, parts in words.items() if parts & VAGUE] == []


def test_every_test_is_a_sentence(trees_of_tests: Mapping[str, ast.Module]) -> None:
    assert [place for place, test in every_test(trees_of_tests) if test.name.count("_") < 3] == []


def test_every_test_asserts_or_expects_an_error(trees_of_tests: Mapping[str, ast.Module]) -> None:
    functions = [n for t in trees_of_tests.values() for n in ast.walk(t) if is_function(n)]
    checking = {node.name for node in functions if checks(node, set())}
    wrong = [place for place, test in every_test(trees_of_tests) if not checks(test, checking)]
    assert wrong == []


def is_function(node: ast.AST) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef)


def every_test(trees: Mapping[str, ast.Module]) -> Iterator[tuple[str, ast.FunctionDef]]:
    for path, tree in trees.items():
        for node in filter(is_function, ast.walk(tree)):
            if node.name.startswith("test_"):
                yield f"{path}:{node.lineno} {node.name}", node


def checks(function: ast.FunctionDef, checking: set[str]) -> bool:
    """Whether it asserts, expects an error or calls one of the ``checking`` functions."""
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    return bool(names & (checking | {"raises", "assert_allclose", "assert_array_equal"}))
