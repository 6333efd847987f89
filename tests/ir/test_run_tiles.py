"""The literal executor: it computes what the program says, counts, and refuses broken programs."""

from collections.abc import Sequence

import numpy as np
import pytest

from emu.ir.body import FrozenAttrs
from emu.ir.errors import VerifyError
from emu.ir.machine import Residency
from emu.ir.ops import Work
from emu.ir.run_tiles import Moved, plain_meaning, program_outputs, run_tiles, view_arrays
from emu.ir.tile import (
    WHOLE,
    Axes,
    Axis,
    Buffer,
    Compute,
    Fill,
    Gather,
    Load,
    Loop,
    Nest,
    Operand,
    Step,
    Store,
    TileProgram,
    View,
)
from emu.ir.types import Array, TensorType
from tests.tiles import Sketch

ROW = TensorType("f32", (10,))


def copies(loop: Loop, axes: Axes, *body: Step) -> TileProgram:
    """One loop over a row, with buffer 0 of the input and buffer 1 of the output."""
    views = (View(ROW, "input", 0), View(ROW, "output", 1))
    return TileProgram("p", views, (loop,), (Buffer(0, axes), Buffer(1, axes)), (Nest(0, body),))


def compute(op: str, operand: Operand, accumulate: bool = False) -> Compute:
    return Compute(op, (), (operand,), 1, "vector", 0, accumulate)


def row() -> Array:
    return np.arange(10, dtype=np.float32)


def test_tiles_are_loaded_computed_and_stored_one_after_the_other() -> None:
    negated = compute("Neg", Operand(0, (Axis(0),)))
    made = copies(Loop(10, 4), (Axis(0),), Load(0, 0), negated, Store(1, 1, 0))
    moved = Moved()
    np.testing.assert_array_equal(run_tiles(made, {0: row()}, moved=moved)[1], -row())
    assert (moved.loaded, moved.stored, moved.fetched) == ({0: 40}, {1: 40}, {0: 40})
    assert (moved.touched, moved.work) == (80, Work(10))


def test_what_a_program_does_not_write_stays_visible() -> None:
    made = copies(Loop(10, 20), (Axis(0),), Load(0, 0))
    assert np.isnan(run_tiles(made, {0: row()})[1]).all()


def test_an_operand_reads_fill_where_its_image_leaves_the_domain() -> None:
    shifted = Operand(0, (Axis(0, offset=-12),), fill=7.0)
    made = copies(Loop(10, 20), (WHOLE,), Load(0, 0), compute("Identity", shifted), Store(1, 1, 0))
    np.testing.assert_array_equal(run_tiles(made, {0: row()})[1], np.full(10, 7))


def test_accumulation_adds_to_what_the_buffer_holds() -> None:
    summed = compute("Identity", Operand(0, (Axis(0),)), accumulate=True)
    made = copies(Loop(10, 5), (WHOLE,), Load(0, 0), summed, Store(1, 1, 0))
    filled = TileProgram(
        made.name, made.views, made.loops, made.buffers, (Fill(1, 1.0), *made.steps)
    )
    moved = Moved()
    np.testing.assert_array_equal(run_tiles(filled, {0: row()}, moved=moved)[1], 2 * row() + 1)
    assert moved.touched == 2 * 3 * 40


def test_a_cache_fetches_each_element_once_a_block() -> None:
    made = copies(Loop(10, 1, parallel=True), (Axis(0, 1, -1, 3),), Load(0, 0))
    moved = Moved()
    run_tiles(made, {0: row()}, moved=moved, residency=Residency({0: 5}))
    assert moved.loaded == {0: 4 * 28}
    assert moved.fetched == {0: 4 * (6 + 6)}


def test_a_gather_fetches_rows_by_index_and_counts_from_the_end_below_zero() -> None:
    views = (
        View(TensorType("f32", (1, 4, 2)), "weight", 0),
        View(TensorType("i64", (3,)), "input", 1),
        View(TensorType("f32", (1, 3, 2)), "output", 2),
    )
    buffers = (Buffer(1, (WHOLE,)), Buffer(2, (WHOLE, WHOLE, WHOLE)))
    steps = (Load(0, 0), Gather(0, 0, 1, 0), Store(1, 2, 0))
    table = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    inputs = {0: table, 1: np.array([2, -1, 2])}
    moved = Moved()
    made = run_tiles(TileProgram("g", views, (), buffers, steps), inputs, moved=moved)
    np.testing.assert_array_equal(made[2], table[:, [2, 3, 2]])
    assert moved.fetched == {0: 3 * 2 * 4, 1: 3 * 8}


def test_another_meaning_can_stand_in_for_the_op_table() -> None:
    def louder(op: str, attrs: FrozenAttrs, ins: Sequence[Array | None]) -> Array:
        return 10 * plain_meaning(op, attrs, ins)

    negated = compute("Neg", Operand(0, (Axis(0),)))
    made = copies(Loop(10, 4), (Axis(0),), Load(0, 0), negated, Store(1, 1, 0))
    np.testing.assert_array_equal(run_tiles(made, {0: row()}, louder)[1], -10 * row())


def test_a_buffer_that_lacks_what_is_read_is_an_error_that_says_what() -> None:
    ahead = compute("Neg", Operand(0, (Axis(0, offset=1),)))
    made = copies(Loop(10, 4), (Axis(0),), Load(0, 0), ahead, Store(1, 1, 0))
    with pytest.raises(VerifyError, match=r"p: \[1, 5\) is needed .* holds \[0, 4\)"):
        run_tiles(made, {0: row()})


def test_a_compute_that_does_not_fill_its_buffer_is_an_error() -> None:
    whole = compute("Neg", Operand(0, (WHOLE,)))
    views = (View(ROW, "input", 0), View(TensorType("f32", (1,)), "output", 1))
    buffers = (Buffer(0, (WHOLE,)), Buffer(1, (WHOLE,)))
    with pytest.raises(VerifyError, match="p"):
        run_tiles(TileProgram("p", views, (), buffers, (Load(0, 0), whole)), {0: row()})


def test_views_are_reshapes_of_the_values_of_a_body() -> None:
    s = Sketch()
    s.op("Reshape", s.input(2, 6), shape=(3, 4))
    body = s.body()
    flat = TensorType("f32", (12,))
    views = (View(flat, "input", 0), View(flat, "output", 1), View(flat, "local", None))
    steps = (Load(0, 0), Store(0, 1, 0))
    made = TileProgram("flat", views, (), (Buffer(0, (WHOLE,)),), steps)
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    arrays = view_arrays(made, {0: x})
    assert [(i, a.shape) for i, a in arrays.items()] == [(0, (12,))]
    outputs = program_outputs(made, body, run_tiles(made, arrays))
    np.testing.assert_array_equal(outputs[1], x.reshape(3, 4))
