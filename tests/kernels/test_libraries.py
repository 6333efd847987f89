"""Depth: what a library claims, how many tilings it tries and how wide it loads, nothing else."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.kernels.libraries import DEPTHS, GENERATOR, LIBRARIES
from emu.kernels.library import Kernel, Library
from emu.kernels.menus import product_menu
from tests.bodies import BODIES
from tests.tiles import Sketch

GRID = Machine("grid", True, 16, 1 << 18, 1 << 30, 64, (1, 1))
CORES = Machine("cores", False, 4, 1 << 20, 1 << 30, 64, (4, 4))
PAIRS = list(pairwise(DEPTHS))


def reads_a_prologue() -> Body:
    s = Sketch()
    s.op("MatMul", s.op("Relu", s.input(4, 6)), s.weight(6, 5))
    return s.body()


def square() -> Body:
    s = Sketch()
    s.op("MatMul", s.input(3840, 64), s.weight(64, 3840))  # a multiple of all sizes of tiles
    return s.body()


def queries_and_keys() -> Body:
    s = Sketch()
    x = s.input(4, 6)
    return s.body(*(s.op("Relu", s.op("MatMul", x, s.weight(6, 5))) for _ in range(2)))


def elementwise_siblings() -> Body:
    s = Sketch()
    return s.body(*(s.op("Relu", s.input(4, 6)) for _ in range(2)))


EVERY: dict[str, Callable[[], Body]] = {
    **BODIES,
    **{make.__name__: make for make in (reads_a_prologue, queries_and_keys, elementwise_siblings)},
}


def claimed(library: Library) -> set[str]:
    """The bodies that a library has a kernel for that can really cut them."""
    return {
        name
        for name, make in EVERY.items()
        if any(computes(library, kernel, make()) for kernel in library.kernels)
    }


def computes(library: Library, kernel: Kernel, body: Body) -> bool:
    return kernel.refusal(body) is None and any(library.programs(kernel, body, GRID))


@pytest.mark.parametrize(("shallow", "deep"), PAIRS, ids=lambda library: library.name)
def test_a_deeper_library_claims_all_that_a_shallower_one_does(
    shallow: Library, deep: Library
) -> None:
    assert claimed(shallow) <= claimed(deep)


def test_each_depth_brings_something_that_the_one_before_does_not_claim() -> None:
    reference, basic, epilogue, deep, vendor = map(claimed, DEPTHS)
    assert reference == basic < epilogue < deep < vendor
    assert "queries_and_keys" in deep - epilogue
    assert "reads_a_prologue" in vendor - deep


@pytest.mark.parametrize(("shallow", "deep"), PAIRS, ids=lambda library: library.name)
@pytest.mark.parametrize("machine", [GRID, CORES], ids=lambda machine: machine.name)
def test_a_deeper_library_tries_all_tilings_that_a_shallower_one_tries(
    shallow: Library, deep: Library, machine: Machine
) -> None:
    for kernel in set(shallow.kernels) & set(deep.kernels):
        for body in (BODIES["matmul"](), BODIES["softmax"]()):
            short = set(kernel.menu(body, machine, shallow.menu_length))
            assert short <= set(kernel.menu(body, machine, deep.menu_length))
    assert shallow.menu_length < deep.menu_length
    assert shallow.load_width_bytes <= deep.load_width_bytes


@pytest.mark.parametrize("machine", [GRID, CORES], ids=lambda machine: machine.name)
def test_a_menu_gives_the_same_programs_one_by_one(machine: Machine) -> None:
    for library in DEPTHS:
        for kernel in library.kernels:
            for body in (make() for make in BODIES.values() if kernel.refusal(make()) is None):
                found = [program for _, program in library.programs(kernel, body, machine)]
                one_by_one = [made for _, made in library.one_by_one(kernel, body, machine)]
                assert list(dict.fromkeys(one_by_one)) == found


def test_tiles_between_powers_of_two_are_on_the_full_menu_of_units_that_have_them() -> None:
    body = square()
    fine = replace(GRID, fine_tiles=True)
    tiles = {
        (machine, length): {tiling.tile for tiling in product_menu(body, machine, length)}
        for machine in (GRID, fine)
        for length in (16, 32)
    }
    assert tiles[fine, 32] - tiles[GRID, 32] >= {(128, 192), (192, 128), (128, 160)}
    assert tiles[GRID, 16] == tiles[fine, 16] <= tiles[GRID, 32] <= tiles[fine, 32]


@pytest.mark.parametrize(
    ("tile", "warps"),
    [((16, 16), 1), ((32, 32), 4), ((128, 128), 4), ((256, 128), 8), ((64, 256), 4)],
)
def test_a_tile_has_a_warp_for_each_scheduler_and_more_for_its_sums(
    tile: tuple[int, int], warps: int
) -> None:
    wide = replace(GRID, warp_threads=64)
    for machine in (GRID, wide):
        threads = {t.tile: t.threads for t in product_menu(square(), machine, 32)}
        assert threads[tile] == warps * machine.warp_threads


def test_only_the_full_menu_goes_beyond_double_buffers() -> None:
    body = BODIES["matmul"]()
    deepest = {
        library.name: max(
            tiling.depth
            for kernel in library.kernels
            if kernel.refusal(body) is None
            for tiling in kernel.menu(body, GRID, library.menu_length)
        )
        for library in DEPTHS
    }
    assert deepest == {"reference": 2, "basic": 2, "epilogue": 2, "deep": 2, "vendor": 3}


def test_the_generator_leaves_products_and_siblings_to_libraries() -> None:
    assert "matmul" not in claimed(GENERATOR)
    assert "queries_and_keys" not in claimed(GENERATOR)
    assert "elementwise_siblings" not in claimed(GENERATOR)
    assert {"queries_and_keys", "elementwise_siblings"} <= claimed(LIBRARIES["generated"])


def test_every_library_has_its_own_name_and_kernels_with_different_names() -> None:
    assert all(name == library.name for name, library in LIBRARIES.items())
    for library in LIBRARIES.values():
        names = [kernel.name for kernel in library.kernels]
        assert len(set(names)) == len(names)


def test_a_kernel_refuses_element_types_and_layouts_that_it_does_not_take() -> None:
    body = BODIES["where_of_a_comparison"]()  # f32, and a mask that every kernel takes
    (loops,) = (kernel for kernel in GENERATOR.kernels if kernel.name == "loops")

    assert replace(loops, dtypes=frozenset(("f32",))).refusal(body) is None
    half = replace(loops, dtypes=frozenset(("f16", "bf16")))
    assert half.refusal(body) == "takes element type bf16 or f16, not f32"
    tiled = replace(loops, layouts=frozenset(("t8x128",)))
    assert tiled.refusal(body) == "takes layout t8x128, not row-major"
    assert replace(loops, layouts=frozenset(("row-major",))).refusal(body) is None
