"""The files of the checkout as the tests of the house read them."""

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

FLOW = ("models", "ir", "kernels", "devices", "emu")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sources(checkout: Path) -> Mapping[str, str]:
    """The text of every module of emu by its path, with slashes, from the root."""
    return _texts(checkout, FLOW)


@pytest.fixture(scope="session")
def tests(checkout: Path) -> Mapping[str, str]:
    """The text of every test and benchmark by its path from the root."""
    return _texts(checkout, ("tests", "benches"))


@pytest.fixture(scope="session")
def trees(sources: Mapping[str, str]) -> Mapping[str, ast.Module]:
    """Every module of emu, parsed."""
    return {path: ast.parse(text) for path, text in sources.items()}


@pytest.fixture(scope="session")
def trees_of_tests(tests: Mapping[str, str]) -> Mapping[str, ast.Module]:
    """Every test and benchmark, parsed."""
    return {path: ast.parse(text) for path, text in tests.items()}


def _texts(root: Path, folders: tuple[str, ...]) -> dict[str, str]:
    files = sorted(file for folder in folders for file in (root / folder).rglob("*.py"))
    return {file.relative_to(root).as_posix(): file.read_text("utf-8") for file in files}
