"""Kernels that only move elements put each of them in its place, and move what is counted."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.ir.body import Body
from emu.ir.count import count
from emu.kernels.movement import build_movement
from emu.kernels.slicing import Untileable
from emu.kernels.tiling import Tiling
from tests.tiles import Sketch, blocks, check_program, tilings


def concat() -> Body:
    s = Sketch()
    x = s.input(2, 3, 5)
    s.op("Concat", x, s.input(2, 4, 5), x, s.weight(2, 1, 5), axis=1)
    return s.body()


def concat_of_the_last_axis() -> Body:
    s = Sketch()
    s.op("Concat", s.input(3, 4), s.input(3, 7), axis=-1)
    return s.body()


def split() -> Body:
    s = Sketch()
    return s.body(*s.ops("Split", s.input(2, 9, 4), sizes=(3, 2, 4), axis=1))


def split_that_is_read_in_part() -> Body:
    s = Sketch()
    first, _, last = s.ops("Split", s.input(9, 4), sizes=(3, 2, 4))
    return s.body(first, last)


def gather_of_rows() -> Body:
    s = Sketch()
    s.op("Gather", s.weight(11, 6), s.input(2, 5, dtype="i64"))
    return s.body()


def gather_in_the_middle() -> Body:
    s = Sketch()
    s.op("Gather", s.input(3, 7, 4, 2), s.input(5, dtype="i32"), axis=-3)
    return s.body()


def gather_of_one() -> Body:
    s = Sketch()
    s.op("Gather", s.input(3, 7, 4), s.input(dtype="i64"), axis=1)
    return s.body()


def upsampling() -> Body:
    s = Sketch()
    s.op("Resize", s.input(1, 2, 4, 3), scales=(1.0, 1.0, 2.0, 4.0))
    return s.body()


def reshape() -> Body:
    s = Sketch()
    s.op("Reshape", s.input(4, 6, 3), shape=(6, 12))
    return s.body()


def flatten_of_integers() -> Body:
    s = Sketch()
    s.op("Flatten", s.input(4, 6, 3, dtype="i64"))
    return s.body()


def unsqueeze() -> Body:
    s = Sketch()
    s.op("Unsqueeze", s.input(5, 3), axes=(1,))
    return s.body()


def squeeze_to_a_scalar() -> Body:
    s = Sketch()
    s.op("Squeeze", s.input(1, 1))
    return s.body()


BODIES = (
    concat,
    concat_of_the_last_axis,
    split,
    split_that_is_read_in_part,
    gather_of_rows,
    gather_in_the_middle,
    gather_of_one,
    upsampling,
    reshape,
    flatten_of_integers,
    unsqueeze,
    squeeze_to_a_scalar,
)


@pytest.mark.parametrize("make", BODIES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_movement_puts_every_element_in_its_place_and_moves_what_is_counted(
    make: Callable[[], Body], data: st.DataObject
) -> None:
    body = make()
    program = build_movement(body, data.draw(tilings(body)), make.__name__)
    check_program(body, program, data.draw(blocks(program)))


@pytest.mark.parametrize("make", [concat, split, reshape, flatten_of_integers, unsqueeze])
def test_a_movement_reads_and_writes_each_element_once(make: Callable[[], Body]) -> None:
    body = make()
    rank = len(body.types[body.nodes[0].out].shape)
    counts = count(build_movement(body, Tiling((2,) * rank), make.__name__))
    node = body.nodes[0]
    assert sum(counts.loaded.values()) == sum(body.types[v].bytes for v in node.ins)
    assert counts.stored == {v: body.types[v].bytes for v in node.outs}


def test_a_gather_fetches_a_row_again_for_each_index_that_names_it() -> None:
    counts = count(build_movement(gather_of_rows(), Tiling((1, 2, 6)), "gather"))
    assert counts.fetched == {0: 2 * 5 * 6 * 4, 1: 2 * 5 * 8}


def test_what_is_no_movement_is_refused() -> None:
    s = Sketch()
    s.op("Relu", s.input(3))
    with pytest.raises(Untileable, match="Relu is not one of Concat"):
        build_movement(s.body(), Tiling((2,)), "relu")
