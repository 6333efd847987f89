"""What a kernel computes in one tile away from all edges, whatever the chip.

A kernel computes whole tiles: what lies beyond an edge is computed and thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from emu.devices.tile_cost import moved_elements
from emu.ir.ops import Work
from emu.ir.regions import largest, trips
from emu.ir.tile import Compute, Operand, Placed, TileProgram
from emu.ir.types import TensorType
from emu.ir.work import tile_work


@dataclass(frozen=True)
class FullCompute:
    """One execution of a compute statement in a full tile, and how often it is executed there.

    ``moved`` elements are moved without computing.
    """

    ins: Sequence[TensorType | None]
    out: TensorType
    work: Work
    moved: int
    times: int


@lru_cache(maxsize=16384)
def full_tile(program: TileProgram) -> tuple[FullCompute | None, ...]:
    """What each statement computes in a full tile, None for those that only move bytes."""
    return tuple(_full(program, placed, placed.statement) for placed in program.statements)


def _full(program: TileProgram, placed: Placed, statement: object) -> FullCompute | None:
    if not isinstance(statement, Compute):
        return None
    buffer = program.buffers[statement.out]
    out = TensorType(program.views[buffer.value].type.dtype, largest(program, buffer))
    ins = [None if o is None else _read(program, o, out) for o in statement.ins]
    loops = (program.loops[n] for n in placed.loops)
    times = prod(trips(loop, {}) for loop in loops if not loop.parallel)
    work = tile_work(statement.op, statement.attrs, ins, out)
    return FullCompute(tuple(ins), out, work, moved_elements(statement, out), times)


def _read(program: TileProgram, operand: Operand, out: TensorType) -> TensorType:
    """The type of an operand in a full tile."""
    buffer = program.buffers[operand.buffer]
    lengths: list[int] = []
    for axis, extent in zip(operand.axes, largest(program, buffer), strict=True):
        low, high = (0, extent) if axis.of is None else axis.image(0, out.dims[axis.of])
        lengths.append(-(-(high - low) // (1 if axis.of is None else axis.step)))
    return TensorType(program.views[buffer.value].type.dtype, tuple(lengths))
