"""Copies that turn: what lies densely along one dimension lies so along another where it goes.

``words`` (int64, ``WORDS``) say how; strides are in bytes, elements have 4. Blocks of SIDE by SIDE
elements are turned in registers, so that both sides are read and written in whole vectors. Where
``across`` or ``along`` is no multiple, the last block begins early enough to be whole.
"""

from typing import Any

import numba

from emu.ir.types import Array
from emu.kernels.native.rows import at_row, next_row
from emu.kernels.native.stamp import STAMP
from emu.kernels.native.tiles import INDEX, WORD, cgutils, intrinsic, ir, types

njit: Any = numba.njit
SIDE = 8
BYTES = 4
WORDS = (
    "first",  # line that a call begins with: for each outer index, SIDE places of ``across``
    "end",
    "across",  # elements along which the source is dense, but for the result; 1 if there are none
    "along",  # elements along which the result is dense
    "out_step",  # of the result from one place of ``across`` to the next
    "x_step",  # of the source from one place of ``along`` to the next
    *("size_1", "size_2"),  # the outer index counts over three dimensions, the last two of these
    *(f"{side}_by_{i}" for side in ("out", "x") for i in range(3)),
)
LINE = ir.VectorType(INDEX, SIDE)


def _interleaved(b: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """Lanes of two vectors in turn: the lower halves, the upper halves."""
    places = [lane for i in range(SIDE) for lane in (i, SIDE + i)]
    halves = (places[:SIDE], places[SIDE:])
    masks = (ir.Constant(ir.VectorType(INDEX, SIDE), half) for half in halves)
    first, second = (b.shuffle_vector(low, high, mask) for mask in masks)
    return first, second


@intrinsic
def turn_block(context: Any, given: Any) -> Any:
    """Turn one whole block: (result, its step, source, its step)."""
    del context

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, out_step, x, x_step = cgutils.unpack_tuple(builder, arguments[0], 4)

        def place(start: Any, step: Any, i: int) -> Any:
            address = builder.add(start, builder.mul(step, WORD(i)))
            return builder.inttoptr(address, LINE.as_pointer())

        lines = [builder.load(place(x, x_step, i), align=BYTES) for i in range(SIDE)]
        for _ in range(SIDE.bit_length() - 1):  # each round moves one bit of a lane to its line
            pairs = zip(lines[: SIDE // 2], lines[SIDE // 2 :], strict=True)
            lines = [line for pair in pairs for line in _interleaved(builder, *pair)]
        for i, line in enumerate(lines):
            builder.store(line, place(out, out_step, i), align=BYTES)
        return context.get_dummy_value()

    return types.void(given), write


@intrinsic
def move_one(context: Any, out: Any, x: Any) -> Any:
    """Copy one element between addresses."""
    del context

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, come = (builder.inttoptr(a, INDEX.as_pointer()) for a in arguments)
        builder.store(builder.load(come, align=BYTES), to, align=BYTES)
        return context.get_dummy_value()

    return types.void(out, x), write


@njit
def line(words: Array, out: int, x: int, first: int) -> None:
    """Copy SIDE places of ``across``, from ``first`` on, or fewer if there are no more."""
    across, along, out_step, x_step = words[2:6]
    if across == 1 and x_step == BYTES:
        for j in range(along):
            move_one(out + j * BYTES, x + j * BYTES)
        return
    if across < SIDE or along < SIDE:
        for i in range(first, min(first + SIDE, across)):
            for j in range(along):
                move_one(out + i * out_step + j * BYTES, x + i * BYTES + j * x_step)
        return
    i = min(first, across - SIDE)
    for block in range(0, along, SIDE):
        j = min(block, along - SIDE)
        turn_block((out + i * out_step + j * BYTES, out_step, x + i * BYTES + j * x_step, x_step))


def _compiled(stamp: str) -> Any:
    """The function that copies; what numba keeps on disk is for one ``stamp`` only."""

    @njit(cache=True, nogil=True)
    def run_turn(words: Array, out: int, x: int) -> None:
        assert len(stamp) > 0  # closed over, which numba looks at; at other files it does not
        lines = max(1, -(-words[2] // SIDE))
        size_1, size_2 = words[6], words[7]
        outer, within = words[0] // lines, words[0] % lines
        index = at_row(outer, size_1, size_2)
        for _ in range(words[0], words[1]):
            i, j, k = index
            to = out + i * words[8] + j * words[9] + k * words[10]
            line(words, to, x + i * words[11] + j * words[12] + k * words[13], SIDE * within)
            within += 1
            if within == lines:
                index, within = next_row(index, size_1, size_2), 0

    return run_turn


run_turn = _compiled(STAMP)
