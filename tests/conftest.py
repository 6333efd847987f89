"""Golden files: compare text with a file, or rewrite the file with --update-golden."""

import re
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A check of text against golden/NAME.txt beside the test, NAME being that of the test."""
    # pytest leaves the type of request.node open.
    item: pytest.Item = attrgetter("node")(request)
    name = re.sub(r"[^\w.]+", "-", item.name).strip("-")
    file = Path(str(request.path)).parent / "golden" / f"{name}.txt"

    def check(text: str) -> None:
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == file.read_text(encoding="utf-8")

    return check
