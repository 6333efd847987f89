"""What every test of the command line needs."""

import gc
from collections.abc import Iterator

import pytest

from emu.cli import main
from tests.emu.cases import Call


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    """A command turns the collection of garbage off, since its process ends soon."""
    yield
    gc.enable()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Call:
    """A command: its exit code, and what it printed and complained of."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return call
