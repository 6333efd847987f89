"""Kernels of narrow numbers: sums are kept wide, rounded once, and all that moves is counted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body
from emu.ir.machine import Machine
from emu.ir.regions import footprint_bytes
from emu.ir.tile import Compute
from emu.ir.types import TensorType
from emu.kernels.attention import build_attention
from emu.kernels.build import build
from emu.kernels.menus import product_menu
from emu.kernels.tiling import Tiling
from tests.narrow import BODIES, attention
from tests.tiles import Sketch, blocks, check_program, tilings


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_program_computes_its_narrow_body_and_moves_what_is_counted(
    name: str, data: st.DataObject
) -> None:
    body = BODIES[name]()
    program = build(body, data.draw(tilings(body)), name)
    check_program(body, program, data.draw(blocks(program)))


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("tile", [(4, 8), (12, 20), (5, 3)])
def test_online_softmax_of_narrow_scores_is_that_of_its_body(
    dtype: str, tile: tuple[int, int]
) -> None:
    body = attention(dtype)
    program = build_attention(body, Tiling(tile[:1], tile[1], cores=0), "attention")
    check_program(body, program)
    states = [view.type.dtype for view in program.views if view.value is None]
    assert set(states) == {"f32"}


def matmul() -> Body:
    s = Sketch()
    s.op("MatMul", s.input(64, 96), s.weight(96, 64))
    return s.body()


def product_of(dtype: str) -> tuple[int, list[Compute]]:
    s = Sketch()
    x, w = s.input(64, 96, dtype=dtype), s.weight(96, 64, dtype=dtype)
    s.op("MatMulInteger" if dtype == "i8" else "MatMul", x, w)
    program = build(s.body(), Tiling((32, 32), 16, cores=0), "product")
    computes = [p.statement for p in program.statements if isinstance(p.statement, Compute)]
    return footprint_bytes(program), computes


def test_the_sums_of_a_narrow_product_need_room_in_f32_and_a_rounding() -> None:
    tiles, sums = 2 * (32 * 16 + 16 * 32), 32 * 32  # a tile of a grid keeps its sums once
    room, computes = product_of("f16")
    assert room == tiles * 2 + sums * 4 + sums * 2
    assert [c.op for c in computes] == ["MatMul", "Cast"]
    assert product_of("f32")[0] == tiles * 4 + sums * 4


def test_cores_with_tiles_in_turn_keep_the_sums_of_two_of_them() -> None:
    body = matmul()
    in_turn, at_once = (
        footprint_bytes(build(body, Tiling((32, 32), 16, cores=cores), "product"))
        for cores in (1, 0)
    )
    assert in_turn == at_once + 32 * 32 * 4


def test_the_sums_of_eight_bit_integers_are_those_of_the_node() -> None:
    tiles, sums = 2 * (32 * 16 + 16 * 32), 32 * 32
    room, computes = product_of("i8")
    assert room == tiles * 1 + sums * 4
    assert [c.op for c in computes] == ["MatMulInteger"]


def test_steps_of_a_reduction_are_as_many_bytes_in_any_element_type() -> None:
    grid = Machine("grid", True, 8, 2**18, 2**30, 256, (1, 1))
    steps: dict[str, list[int]] = {}
    for dtype in ("f32", "f16", "i8"):
        s = Sketch()
        s.op("MatMul", s.input(64, 96, dtype=dtype), s.weight(96, 64, dtype=dtype))
        size = TensorType(dtype, ()).itemsize
        steps[dtype] = [tiling.k * size for tiling in product_menu(s.body(), grid, 4)]
    assert steps["f32"] == steps["f16"] == steps["i8"]
