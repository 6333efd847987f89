"""Closed-form counts, worked out by hand; that they equal the executor's is tested with kernels."""

from emu.ir.count import count, frames, moved_bytes
from emu.ir.ops import Work
from emu.ir.tile import (
    WHOLE,
    Axis,
    Buffer,
    Compute,
    Fill,
    Load,
    Loop,
    Nest,
    Operand,
    Store,
    TileProgram,
    View,
)
from emu.ir.types import TensorType

M, N, K = 10, 6, 8


def matmul() -> TileProgram:
    """[10,8] @ [8,6] in tiles of 4 x 3 with steps of 3 along K."""
    shapes = (("input", (M, K)), ("weight", (K, N)), ("output", (M, N)))
    views = tuple(View(TensorType("f32", s), role, i) for i, (role, s) in enumerate(shapes))
    loops = (Loop(M, 4, parallel=True), Loop(N, 3, parallel=True), Loop(K, 3))
    buffers = (
        Buffer(0, (Axis(0), Axis(2)), 2),
        Buffer(1, (Axis(2), Axis(1)), 2),
        Buffer(2, (Axis(0), Axis(1))),
    )
    ins = (Operand(0, (Axis(0), WHOLE)), Operand(1, (WHOLE, Axis(1))))
    product = Compute("MatMul", (), ins, 2, "matrix", 0, accumulate=True)
    inner = Nest(2, (Load(0, 0), Load(1, 0), product))
    return TileProgram(
        "matmul",
        views,
        loops,
        buffers,
        (Nest(0, (Nest(1, (Fill(2, 0.0), inner, Store(2, 2, 0))),)),),
    )


def test_operands_are_loaded_once_for_each_tile_that_needs_them() -> None:
    counts = count(matmul())
    assert counts.loaded == {0: 4 * M * K * 2, 1: 4 * K * N * 3}
    assert counts.unique == {0: 4 * M * K, 1: 4 * K * N}
    assert counts.stored == {2: 4 * M * N}


def test_work_is_that_of_the_whole_and_belongs_to_its_statement() -> None:
    counts = count(matmul())
    assert counts.total_work == Work(2 * M * N * K)
    assert counts.work == (Work(), Work(), Work(), Work(2 * M * N * K), Work())


def test_computes_touch_their_operands_and_their_result_twice_if_they_accumulate() -> None:
    reads = M * K * 2 + K * N * 3
    assert count(matmul()).touched == 4 * (reads + 2 * M * N * 3)


def test_without_a_cache_every_load_is_fetched() -> None:
    counts = count(matmul())
    assert counts.fetched == counts.loaded


def test_a_block_of_tiles_fetches_each_operand_once() -> None:
    assert count(matmul(), ((0, 2), (1, 2))).fetched == {0: 4 * M * K, 1: 4 * K * N * 2}
    assert count(matmul(), ((0, 1), (1, 2))).fetched == {0: 4 * M * K, 1: 4 * K * N * 3}
    assert count(matmul(), ((0, 9),)).fetched == {0: 4 * M * K, 1: 4 * K * N}


def test_frames_come_once_for_each_kind_with_the_number_of_times_they_occur() -> None:
    found = [(dict(frame), times) for frame, times in frames(matmul(), (0, 1))]
    assert sum(times for _, times in found) == 3 * 2
    assert len(found) == len({tuple(sorted(frame.items())) for frame, _ in found}) < 6
    assert sum(times for _, times in frames(matmul(), (0, 1, 2))) == 3 * 2 * 3


def test_bytes_of_one_statement_are_summed_over_its_loops() -> None:
    made = matmul()
    load = next(p for p in made.statements if isinstance(p.statement, Load))
    assert moved_bytes(made, load, 0) == 4 * M * K * 2


def test_slices_with_gaps_between_them_leave_the_gaps_out() -> None:
    row = TensorType("f32", (20,))
    views = (View(row, "input", 0),)
    buffers = (Buffer(0, (Axis(0, 5, 0, 2),)),)
    made = TileProgram(
        "gaps", views, (Loop(4, 2, parallel=True),), buffers, (Nest(0, (Load(0, 0),)),)
    )
    # Two tiles of [0, 7) and [10, 17): within a tile the gap is loaded too.
    assert count(made, ((0, 2),)).fetched == count(made).unique == {0: 4 * 14}
