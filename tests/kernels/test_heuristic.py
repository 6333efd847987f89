"""The rule that picks one tiling by shape: busy cores first, then large tiles, on chip."""

from collections.abc import Callable
from dataclasses import replace

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.ir.regions import footprint_bytes
from emu.ir.tile import TileProgram
from emu.kernels.heuristic import heuristic
from emu.kernels.libraries.reference import MOVE, PRODUCT
from emu.kernels.tiling import Tiling
from tests.tiles import Sketch

GRID = Machine("grid", True, 16, 1 << 18, 1 << 30, 64, (1, 1))
CORES = Machine("cores", False, 4, 1 << 20, 1 << 30, 64, (32, 32))


def within(machine: Machine) -> Callable[[TileProgram], bool]:
    return lambda program: footprint_bytes(program) <= machine.onchip_bytes


def product(m: int, n: int, k: int = 64) -> Body:
    s = Sketch()
    s.op("MatMul", s.input(m, k), s.weight(k, n))
    return s.body()


def picked(body: Body, machine: Machine, length: int = 16) -> Tiling:
    found = heuristic(PRODUCT, body, machine, length, within(machine))
    assert found is not None
    return found


def test_a_large_product_gets_the_largest_tile_that_leaves_no_core_idle() -> None:
    assert picked(product(2048, 2048), GRID).tile == (128, 128)


def test_a_small_product_gets_smaller_tiles_so_that_all_cores_have_one() -> None:
    assert picked(product(128, 128), GRID).tile == (32, 32)


def test_a_product_too_small_for_all_cores_gets_the_tiles_that_keep_most_busy() -> None:
    assert picked(product(16, 64), GRID).tile == (8, 32)


def test_tiles_that_do_not_fit_on_chip_are_not_picked() -> None:
    small = replace(GRID, onchip_bytes=1 << 15)
    assert picked(product(2048, 2048), small).tile == (64, 64)


def test_a_tile_that_fits_only_without_double_buffers_is_picked_so() -> None:
    k, tight = 64, replace(GRID, onchip_bytes=10 * 1024)  # 4 of sums, 8 of two versions
    assert picked(product(2048, 2048, k), tight, length=1).depth == 1


def test_cores_with_arrays_get_tiles_of_whole_arrays_on_every_core() -> None:
    body = product(512, 512, 512)
    found = picked(body, CORES)
    assert found.tile[0] % 32 == found.tile[1] % 32 == 0
    assert found.cores == CORES.cores


def test_the_rule_picks_nothing_where_nothing_fits_or_nothing_can_be_cut() -> None:
    small = replace(GRID, onchip_bytes=16)
    assert heuristic(PRODUCT, product(64, 64), small, 16, within(small)) is None
    assert heuristic(MOVE, product(64, 64), GRID, 16, within(GRID)) is None


def test_a_shorter_menu_leaves_the_rule_less_to_pick_from() -> None:
    assert picked(product(2048, 2048), GRID, length=1).tile == (32, 32)
