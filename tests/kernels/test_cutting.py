"""How a tiling becomes loops, and what a group does to the steps that were asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body
from emu.ir.count import count
from emu.ir.tile import WHOLE, Axis, Load, Loop, Store
from emu.kernels.build import build
from emu.kernels.cutting import cut, fit
from emu.kernels.slicing import Untileable, slices
from emu.kernels.tiling import Tiling, spread
from tests import bodies
from tests.tiles import Sketch


def test_a_dimension_that_is_one_tile_has_no_loop() -> None:
    made = cut((8, 6), Tiling((8, 2)))
    assert (made.loops, made.dims) == ((Loop(6, 2),), (1,))
    assert made.axes == (WHOLE, Axis(0))


def test_on_a_grid_every_tile_is_parallel() -> None:
    made = cut((8, 6), Tiling((4, 2), cores=0))
    assert made.loops == (Loop(8, 4, parallel=True), Loop(6, 2, parallel=True))


def test_a_dimension_over_several_cores_has_a_loop_over_cores_and_one_over_rounds() -> None:
    made = cut((12,), Tiling((2,), cores=3))
    assert made.loops == (Loop(12, 4, parallel=True), Loop(12, 2, parent=0))
    assert made.axes == (Axis(1),)


def test_parallel_loops_stand_outermost_in_the_order_that_was_asked_for() -> None:
    made = cut((6, 5, 4), Tiling((1, 1, 1), order=(2, 1, 0), cores=5), first=7)
    assert made.loops == (Loop(4, 1), Loop(5, 1, parallel=True), Loop(6, 1))
    assert made.nest == (8, 7, 9)


@settings(max_examples=100, deadline=None)
@given(trips=st.lists(st.integers(1, 12), min_size=1, max_size=3), cores=st.integers(1, 20))
def test_more_cores_never_need_more_rounds(trips: list[int], cores: int) -> None:
    def rounds(cores: int) -> int:
        parts = spread(tuple(trips), cores)
        assert all(1 <= p <= n for n, p in zip(trips, parts, strict=True))
        total = 1
        for n, p in zip(trips, parts, strict=True):
            total *= -(-n // p)
        return total

    assert rounds(cores + 1) <= rounds(cores)


def test_a_core_that_would_have_no_tile_of_its_own_is_left_out() -> None:
    assert spread((5,), 4) == (3,)
    assert spread((4, 4), 16) == (4, 4)


def loops_of(body: Body, tiling: Tiling) -> tuple[Loop, ...]:
    return build(body, tiling, "k").loops


def test_steps_grow_to_what_a_reshape_allows() -> None:
    body = bodies.heads_merged_after_attention()  # [2, 6, 3 heads of 4]
    assert loops_of(body, Tiling((2, 6, 1))) == (Loop(3, 1),)


def test_a_dimension_that_a_node_needs_whole_is_not_cut() -> None:
    assert loops_of(bodies.softmax(), Tiling((1, 3, 5, 2))) == (Loop(2, 1),)


def test_a_value_that_leaves_is_never_computed_twice() -> None:
    body = bodies.output_that_does_not_follow_every_loop()
    program = build(body, Tiling((2, 2)), "k")
    stored = count(program).stored
    assert stored == {v: body.types[v].bytes for v in body.outputs}
    assert program.loops == (Loop(8, 2),)


def test_halos_are_computed_again_and_loaded_again() -> None:
    body = bodies.convs_with_halos_of_halos()
    whole, tiled = (count(build(body, Tiling((1, 2, rows, 11)), "k")) for rows in (13, 4))
    assert tiled.total_work.flops > whole.total_work.flops
    assert tiled.loaded[0] > whole.loaded[0] == tiled.unique[0]


def test_an_input_is_loaded_where_its_slice_changes_last() -> None:
    program = build(bodies.matmul(), Tiling((4, 5)), "k")
    placed = {
        p.statement.buffer: p.loops for p in program.statements if isinstance(p.statement, Load)
    }
    assert sorted(placed.values()) == [(0,), (0, 1)]
    stores = [p for p in program.statements if isinstance(p.statement, Store)]
    assert [p.loops for p in stores] == [(0, 1)]


def test_a_group_of_several_ends_cannot_be_cut() -> None:
    s = Sketch()
    x = s.input(4)
    body = s.body(s.op("Relu", x), s.op("Neg", x))
    with pytest.raises(Untileable, match="Relu does not lead to the last node"):
        build(body, Tiling((2,)), "k")


def test_a_node_of_several_outputs_cannot_be_cut() -> None:
    s = Sketch()
    body = s.body(*s.ops("Split", s.input(4), sizes=(1, 3)))
    with pytest.raises(Untileable, match="Split has several outputs"):
        build(body, Tiling((2,)), "k")


def test_a_refusal_says_which_loop_and_which_granule() -> None:
    body = bodies.heads_merged_after_attention()
    with pytest.raises(Untileable, match="steps of 4") as refused:
        slices(body, (WHOLE, WHOLE, Axis(0)))
    assert (refused.value.loop, refused.value.granule) == (0, 4)


def test_a_cut_that_nothing_accepts_is_refused() -> None:
    def never(made: object) -> None:
        raise Untileable("never", 0, 1)

    with pytest.raises(Untileable, match="never"):
        fit((), Tiling(()), never)
    with pytest.raises(Untileable, match="no way to cut"):
        fit((4,), Tiling((1,)), never)
