"""What a load or a store moves: a slice of a value, as it lies in device memory.

No rate of a chip counts here. Slices of one size are one object, wherever they lie, so that equal
iterations of a loop have equal parts; that they start in different places is in their ``grain``.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd, prod
from typing import TypeAlias

from emu.ir.index_map import extents
from emu.ir.layout import STORED
from emu.ir.regions import Frame, covered, region
from emu.ir.tile import Axis, Gather, Load, Store, TileProgram
from emu.ir.types import TensorType

Steps: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a slice has of one dimension: ``count`` elements in whole granules, ``step`` apart.

    Slices start at multiples of ``grain`` elements; 0 is a dimension that none of them divides.
    """

    count: int
    step: int = 1
    grain: int = 0


@dataclass(frozen=True)
class Box:
    """Where the bytes of a slice lie: runs of ``run`` bytes without a gap.

    ``steps`` are, innermost first, how many there are and the bytes from one to the next. They
    start at multiples of ``grain`` bytes, 0 if all start where their value does.
    """

    run: int
    steps: Steps
    grain: int


@dataclass(frozen=True, eq=False)
class Slice:
    """A part of a value of type ``type``, ``rows`` times, each wherever an index says.

    Equal ones are one object (``slice_of``), so a slice is a key that need not be looked into.
    """

    type: TensorType
    taken: tuple[Taken, ...]
    rows: int = 1

    @cached_property
    def bytes(self) -> int:
        """Bytes that it has."""
        return self.type.itemsize * self.rows * prod(one.count for one in self.taken)

    @cached_property
    def box(self) -> Box:
        """Where the bytes of one of its ``rows`` lie."""
        return _box(self.type, self.taken)


@lru_cache(maxsize=65536)
def slice_of(type: TensorType, taken: tuple[Taken, ...], rows: int = 1) -> Slice:
    """Return the slice that has this of every dimension."""
    return Slice(type, taken, rows)


def slice_in(program: TileProgram, statement: Load | Gather | Store, frame: Frame) -> Slice:
    """The slice that a statement moves in ``frame``."""
    buffer = program.buffers[statement.buffer]
    type = program.views[buffer.value].type
    taken = tuple(
        Taken(covered(span, granule), max(1, span.step // granule), grain)
        for span, granule, grain in zip(
            region(program, buffer, frame),
            type.granule,
            _grains(program, statement.buffer),
            strict=True,
        )
    )
    if not isinstance(statement, Gather):
        return slice_of(type, taken)
    before, rows, *behind = taken  # [P, I, S], each of I wherever an index says
    return slice_of(type, (before, Taken(1, grain=1), *behind), rows.count)


@lru_cache(maxsize=16384)
def _grains(program: TileProgram, number: int) -> tuple[int, ...]:
    """Of each dimension of a buffer, what all slices start at multiples of, in elements."""
    return tuple(_grain(program, axis) for axis in program.buffers[number].axes)


def _grain(program: TileProgram, axis: Axis) -> int:
    steps = [program.loops[loop].step for loop in program.lineage(axis.of)]
    distance = gcd(axis.offset, *(step * axis.stride for step in steps))
    if distance % axis.divide:
        return 1
    return distance // axis.divide


def _box(type: TensorType, taken: tuple[Taken, ...]) -> Box:
    """The box of a slice: its dimensions as blocks, in the order in which they are stored."""
    apart = run = type.itemsize
    grain, steps = 0, list[tuple[int, int]]()
    block = [1] * len(taken)  # elements of a dimension in the blocks inside of the next
    for axis, extent in extents(STORED[type.layout].map, type.dims):
        one, inside = taken[axis], block[axis]
        outermost = inside == type.granule[axis]
        count = -(-one.count // inside) if outermost else extent
        between = apart * (one.step if outermost else 1)
        if outermost and one.grain:
            grain = gcd(grain, apart * (one.grain // inside if one.grain % inside == 0 else 1))
        if between == run and not steps:
            run *= count
        elif count > 1:
            steps.append((count, between))
        apart, block[axis] = apart * extent, inside * extent
    return Box(run, tuple(steps), grain)
