"""What every test of the command line needs."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    """A command turns the collection of garbage off, since its process ends soon."""
    yield
    gc.enable()
