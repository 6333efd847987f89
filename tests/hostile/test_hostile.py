"""Every hostile file is refused in one line, or priced, within its limits."""

import gc
import itertools
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import pytest

import emu
from emu.ir.errors import EmuError, ModelError
from emu.models.limits import Limits
from tests.hostile import (
    attribute_cases,
    bomb_cases,
    external_cases,
    graph_cases,
    run_cases,
    wire_cases,
)
from tests.hostile.cases import Case, one
from tests.hostile.damage import seeds
from tests.models.small_models import saved

MOST_SECONDS = 5  # of this process, for the slowest file
# What counts by the thousand by default is a thirtieth here, so that the tests are quick.
FEWER = Limits(messages=100_000, fields=200_000, trips=150)
CASES = tuple(
    itertools.chain.from_iterable(
        family.cases()
        for family in (
            wire_cases,
            graph_cases,
            attribute_cases,
            external_cases,
            bomb_cases,
            run_cases,
        )
    )
)


def refused(path: Path) -> EmuError | None:
    """Why emu does not take a file; None if it does."""
    try:
        emu.compile(path, limits=FEWER)
    except EmuError as error:
        return error
    return None


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Import what reads and prices a model before a clock starts, whichever case comes first.

    What other tests left in this process is not searched for garbage while it runs.
    """
    for number, text in enumerate(seeds()):
        path = tmp_path_factory.mktemp("warm") / f"{number}.onnx"
        path.write_bytes(text)
        assert refused(path) is None
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_hostile_file_is_refused_or_priced(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path, before = case.save(folder), process_time()
    error = refused(path)
    assert error is None or (error.exit_code in (2, 3, 4) and str(error).strip())
    assert process_time() - before < MOST_SECONDS


@pytest.mark.parametrize("number", [2, -1, 1 << 62])
@pytest.mark.parametrize(("op", "name"), [("ReduceMean", "keepdims"), ("AveragePool", "ceil_mode")])
def test_a_truth_is_0_or_1(op: str, name: str, number: int, tmp_path: Path) -> None:
    attrs: dict[str, Any] = {"kernel_shape": [2, 2]} if op == "AveragePool" else {"axes": [0]}
    attrs[name] = number
    model = one(op, ([1, 1, 4, 4],), **attrs)
    with pytest.raises(ModelError, match=rf"attribute '{name}' is 0 or 1, not {number}"):
        emu.compile(saved(tmp_path / "m.onnx", model))
