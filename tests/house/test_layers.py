"""Imports go one way, and only what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

MAY_IMPORT = {
    "ir": ("emu.ir",),
    "models": ("emu.ir", "emu.models"),
    "kernels": ("emu.ir", "emu.kernels"),
    "devices": ("emu.ir", "emu.devices"),
    "emu": ("emu",),
}
IMPORT_NAMES = {"protobuf": "google"}
Trees = Mapping[str, ast.Module]


def imported(node: ast.AST) -> list[str]:
    """Names that an import statement may bind to modules; a relative one starts with a dot."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        return [f"{module}.{alias.name}" for alias in node.names]
    return []


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        yield from imported(node)


def allowed(path: str, name: str) -> bool:
    if name.split(".")[0] != "emu":
        return not name.startswith(".")
    homes = MAY_IMPORT[path.split("/")[0]]
    return any(f"{name}.".startswith(f"{home}.") for home in homes)


def module_name(path: str) -> str:
    dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return dotted if path.startswith("emu/") else f"emu.{dotted}"


def test_each_folder_imports_only_what_stands_before_it(trees: Trees) -> None:
    wrong = [
        f"{path} imports {name}"
        for path, tree in trees.items()
        for name in imports(tree)
        if not allowed(path, name)
    ]
    assert wrong == []


def test_the_rule_of_layers_catches_a_sibling_a_relative_and_a_bare_import() -> None:
    assert allowed("kernels/claim.py", "emu.ir.tile.Loop")
    assert allowed("kernels/claim.py", "numpy.typing")
    assert not allowed("kernels/claim.py", "emu.devices.clock")
    assert not allowed("ir/graph.py", "emu.compile")
    assert not allowed("ir/graph.py", ".types.Array")
    assert imported(ast.parse("from emu import kernels").body[0]) == ["emu.kernels"]


def test_nothing_is_imported_under_a_bare_folder_name(trees: Trees, trees_of_tests: Trees) -> None:
    bare = {"ir", "models", "kernels", "devices"}
    wrong = [
        f"{path} imports {name}"
        for path, tree in {**trees, **trees_of_tests}.items()
        for name in imports(tree)
        if name.split(".")[0] in bare
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle(trees: Trees) -> None:
    names = {module_name(path): tree for path, tree in trees.items()}
    needs: dict[str, set[str]] = {
        name: {
            wanted if wanted in names else wanted.rpartition(".")[0]
            for statement in tree.body
            for wanted in imported(statement)
            if wanted.startswith("emu.")
        }
        for name, tree in names.items()
    }
    assert set(TopologicalSorter(needs).static_order()) == set(names)


def test_the_packages_that_are_declared_are_those_that_are_imported(
    trees: Trees, checkout: Path
) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {re.split(r"[^\w-]", wanted)[0] for wanted in project["dependencies"]}
    expected = {IMPORT_NAMES.get(name, name) for name in declared}
    used = {name.split(".")[0] for tree in trees.values() for name in imports(tree)}
    assert used - sys.stdlib_module_names - {"emu"} == expected
