"""Sizes stay small: a guard against decay, not an aim."""

import ast
from collections.abc import Iterator, Mapping
from statistics import median

import pytest

pytestmark = pytest.mark.checkout

FILE_LINES = 400
FUNCTION_LINES = 50
MEDIAN_LINES = 8
NESTED_BLOCKS = 3

BLOCKS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Trees = Mapping[str, ast.Module]


def functions(trees: Trees) -> Iterator[tuple[str, Function]]:
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{path}:{node.lineno} {node.name}", node


def lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def is_elif(node: ast.AST, parent: ast.AST) -> bool:
    if not (isinstance(node, ast.If) and isinstance(parent, ast.If)):
        return False
    return parent.orelse == [node] and node.col_offset == parent.col_offset


def nesting(node: ast.AST) -> int:
    """How many blocks stand inside each other below ``node``; functions inside count alone."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            continue
        own = isinstance(child, BLOCKS) and not is_elif(child, node)
        deepest = max(deepest, own + nesting(child))
    return deepest


def test_no_file_is_longer_than_its_budget(
    sources: Mapping[str, str], tests: Mapping[str, str]
) -> None:
    sizes = {path: len(text.splitlines()) for path, text in {**sources, **tests}.items()}
    assert {path: size for path, size in sizes.items() if size > FILE_LINES} == {}


def test_no_function_is_longer_than_its_budget(trees: Trees, trees_of_tests: Trees) -> None:
    sizes = {name: lines(node) for name, node in functions({**trees, **trees_of_tests})}
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES} == {}


def test_no_function_nests_its_blocks_too_deep(trees: Trees, trees_of_tests: Trees) -> None:
    depths = {name: nesting(node) for name, node in functions({**trees, **trees_of_tests})}
    assert {name: depth for name, depth in depths.items() if depth > NESTED_BLOCKS} == {}


def test_half_of_all_functions_are_short(trees: Trees) -> None:
    assert median(lines(node) for _, node in functions(trees)) <= MEDIAN_LINES


def test_nesting_counts_blocks_but_neither_elif_nor_inner_functions() -> None:
    chain = "if a:\n    b\nelif c:\n    d\nelse:\n    e"
    hidden = "if a:\n    b\nelse:\n    if c:\n        d"
    inner = "if a:\n    def f():\n        if b:\n            return c"
    assert [nesting(ast.parse(text)) for text in (chain, hidden, inner)] == [1, 2, 1]
