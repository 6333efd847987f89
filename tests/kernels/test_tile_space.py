"""Every step in the space of tilings stays in it, and every part of a tiling can change."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.kernels.libraries import LIBRARIES
from emu.kernels.menus import product_menu
from emu.kernels.tile_space import TileSpace, tile_space
from emu.kernels.tiling import Tiling
from tests.tiles import Sketch

GRID = Machine("grid", True, 108, 1 << 18, 1 << 30, 256, (1, 1))
CORES = Machine("cores", False, 16, 1 << 18, 1 << 30, 64, (16, 16))


def product() -> Body:
    """[48, 96] @ [96, 80]."""
    s = Sketch()
    s.op("MatMul", s.input(48, 96), s.weight(96, 80))
    return s.body()


@pytest.mark.parametrize("machine", [GRID, CORES])
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_a_walk_stays_in_the_space_and_on_what_can_be_cut(machine: Machine, seed: int) -> None:
    random, case = Random(seed), product()
    tiling = next(product_menu(case, machine, 1))
    space = tile_space(case, machine, tiling)
    library = LIBRARIES["generated"]
    kernel = next(k for k in library.kernels if k.claims(case) is None)

    for _ in range(10):
        tiling = space.neighbour(tiling, random)
        assert space.holds(tiling)
        assert library.program(kernel, case, tiling) is not None


@pytest.mark.parametrize("machine", [GRID, CORES])
def test_walks_change_every_part_of_a_tiling(machine: Machine) -> None:
    random, case = Random(3), product()
    tiling = start = next(product_menu(case, machine, 1))
    space = tile_space(case, machine, tiling)
    seen = [tiling := space.neighbour(tiling, random) for _ in range(300)]

    changing = {"tile", "k", "order", "depth", "threads" if machine.grid else "cores"}
    for name in changing:
        assert len({getattr(t, name) for t in seen}) > 1
    assert {t.load_width_bytes for t in seen} == {start.load_width_bytes}


def test_a_body_without_a_product_has_no_reduction_to_cut() -> None:
    s = Sketch()
    s.op("Relu", s.input(4, 8))
    case = s.body()

    assert tile_space(case, GRID, Tiling((1, 8), cores=0)) == TileSpace((4, 8), 0, GRID)


def test_a_tile_of_another_rank_is_bounded_by_the_largest_dimension() -> None:
    assert tile_space(product(), CORES, Tiling((64,), 64)).extents == (96,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tile": (8,)},
        {"tile": (0, 8)},
        {"order": (0, 0)},
        {"depth": 0},
        {"depth": 9},
        {"cores": 17},
        {"cores": 0},
        {"threads": 1},
        {"threads": 4096},
    ],
)
def test_a_tiling_of_another_form_is_not_in_the_space(wrong: dict[str, Any]) -> None:
    good = Tiling((8, 8), 16, (1, 0), 4)
    space = tile_space(product(), CORES, good)

    assert space.holds(good)
    assert not space.holds(replace(good, **wrong))
