"""Whatever the layouts of values, programs mean the same and move the granules that are counted."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body
from emu.ir.count import count
from emu.ir.layout import ROW_MAJOR, STORED
from emu.kernels.build import build
from emu.kernels.granules import reductions, whole_granules
from emu.kernels.movement import build_movement
from emu.kernels.tiling import Tiling
from tests.bodies import BODIES
from tests.tiles import Sketch, blocks, check_program, tilings


def laid(body: Body, *layouts: str) -> Body:
    """The body with a layout for each of its values, those of a rank that it cannot have left."""
    pairs = zip(body.types, layouts, strict=True)
    types = tuple(
        replace(t, layout=layout) if STORED[layout].stores(len(t.shape)) else t
        for t, layout in pairs
    )
    return replace(body, types=types)


def layouts_of(body: Body) -> st.SearchStrategy[list[str]]:
    one = st.sampled_from(tuple(STORED))
    return st.lists(one, min_size=len(body.types), max_size=len(body.types))


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_a_program_means_its_body_and_moves_what_is_counted_in_any_layout(
    name: str, data: st.DataObject
) -> None:
    plain = BODIES[name]()
    body = laid(plain, *data.draw(layouts_of(plain)))
    tiling = data.draw(tilings(body))
    rounded = whole_granules(body, tiling) if data.draw(st.booleans()) else tiling
    program = build(body, rounded, name)
    check_program(body, program, data.draw(blocks(program)))


def relayout(have: str, want: str, *dims: int) -> Body:
    s = Sketch()
    s.op("Relayout", s.input(*dims), layout=want)
    body = s.body()
    return laid(body, have, want)


def test_a_conversion_reads_one_layout_and_writes_the_other() -> None:
    body = relayout(ROW_MAJOR, "nchw16c", 1, 20, 7, 7)
    tiling = whole_granules(body, Tiling((1, 5, 7, 7)))
    program = build_movement(body, tiling, "move")

    assert tiling.tile == (1, 16, 7, 7)
    check_program(body, program)
    assert sum(count(program).loaded.values()) == 4 * 20 * 49
    assert sum(count(program).stored.values()) == 4 * 32 * 49


def test_tiles_that_share_granules_move_them_again() -> None:
    body = relayout("t8x128", ROW_MAJOR, 16, 128)
    program = build(body, Tiling((4, 128), cores=0), "halves")
    check_program(body, program)
    counts = count(program)
    # 4 tiles of 4 rows each move a granule of 8 rows, which every second one had moved before.
    assert counts.loaded == {0: 4 * 32 * 128}
    assert counts.unique == {0: 4 * 16 * 128}
    assert count(program, ((0, 2),)).fetched == {0: 4 * 16 * 128}


def test_steps_of_a_reduction_are_tried_in_the_largest_and_the_smallest_granule() -> None:
    s = Sketch()
    s.op("MatMul", s.input(40, 300), s.weight(300, 50))
    body = laid(s.body(), *("t8x128",) * 3)
    wide, narrow = (whole_granules(body, t) for t in reductions(body, Tiling((20, 32), 12)))
    assert (wide.tile, wide.k) == ((24, 128), 128)
    assert (narrow.tile, narrow.k) == ((24, 128), 16)
    assert reductions(body, wide) == (wide,)
    # Rows of B come in granules of 8, columns of A in granules of 128: two tiles of rows read B.
    assert count(build(body, wide, "wide")).loaded == {0: 4 * 40 * 384, 1: 4 * 304 * 128 * 2}
    assert count(build(body, narrow, "narrow")).loaded[0] == 4 * 40 * 128 * 19


def test_where_dimensions_turn_all_steps_take_the_largest_granule() -> None:
    s = Sketch()
    s.op("Transpose", s.input(2, 40, 300), perm=(0, 2, 1))
    body = laid(s.body(), "t8x128", "t8x128")
    assert whole_granules(body, Tiling((1, 9, 130))).tile == (1, 128, 256)


def test_row_major_bodies_keep_their_tilings() -> None:
    body, tiling = BODIES["matmul"](), Tiling((5, 3), 7)
    assert whole_granules(body, tiling) is tiling
    assert reductions(body, tiling) == (tiling,)
