"""Where the slices of a tile program lie: intervals of loops and regions of buffers."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TypeAlias

from emu.ir.layout import ROW_MAJOR, padded
from emu.ir.machine import Machine
from emu.ir.tile import Axis, Buffer, Follower, Loop, TileProgram

Interval: TypeAlias = tuple[int, int]
Frame: TypeAlias = Mapping[int, Interval]  # the current interval of each loop


@dataclass(frozen=True, slots=True)
class Span:
    """The elements of one dimension that a slice takes: start, stop (exclusive) and step."""

    start: int
    stop: int
    step: int = 1

    @property
    def length(self) -> int:
        """Number of elements, 0 if empty."""
        return max(0, -(-(self.stop - self.start) // self.step))


def span(axis: Axis, frame: Frame, extent: int) -> Span:
    """The part of [0, extent) that a slice takes in ``frame``."""
    return Span(0, extent) if axis.of is None else within(axis, frame[axis.of], extent)


def within(axis: Axis, interval: Interval, extent: int) -> Span:
    """The part of [0, extent) that a slice takes while the loop of its axis is in ``interval``."""
    low, high = axis.image(*interval)
    # Below 0 the elements keep their distance, and an image outside of the domain is empty.
    start = low % axis.step if low < 0 else min(low, extent)
    return Span(start, max(start, min(high, extent)), axis.step)


def region(program: TileProgram, buffer: Buffer, frame: Frame) -> tuple[Span, ...]:
    """The spans of a buffer's value that the buffer holds in ``frame``."""
    dims = program.views[buffer.value].type.dims
    return tuple(span(axis, frame, d) for axis, d in zip(buffer.axes, dims, strict=True))


def shape(spans: tuple[Span, ...]) -> tuple[int, ...]:
    """Number of elements of each span."""
    return tuple(s.length for s in spans)


def covered(s: Span, granule: int) -> int:
    """Elements of all granules that a span touches: what is moved to have its elements."""
    if granule == 1 or not s.length:
        return s.length
    if s.step >= granule:
        return s.length * granule
    last = s.start + (s.length - 1) * s.step
    return (last // granule - s.start // granule + 1) * granule


def touched(s: Span, granule: int) -> Sequence[int]:
    """The numbers of the granules that a span touches; those between far elements stay out."""
    if s.step >= granule:
        return [element // granule for element in range(s.start, s.stop, s.step)]
    first = s.start // granule
    return range(first, first + covered(s, granule) // granule)


def moved_slice(program: TileProgram, buffer: Buffer, frame: Frame) -> int:
    """Elements that a load or store of a buffer moves in ``frame``: whole granules of its view."""
    granules = program.views[buffer.value].type.granule
    return prod(map(covered, region(program, buffer, frame), granules))


def steps(loop: Loop, frame: Frame) -> Iterator[Interval]:
    """The intervals that a loop takes, one after the other, inside of its parent's interval."""
    low, high = (0, loop.extent) if loop.parent is None else frame[loop.parent]
    for start in range(low, high, loop.step):
        yield start, min(start + loop.step, high)


def trips(loop: Loop, frame: Frame) -> int:
    """Number of iterations of a loop in ``frame``."""
    low, high = (0, loop.extent) if loop.parent is None else frame[loop.parent]
    return -(-(high - low) // loop.step)


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` neighbouring iterations whose slices all have the sizes that ``interval`` gives."""

    interval: Interval
    count: int


def runs(
    program: TileProgram, number: int, frame: Frame, first_alone: bool = False
) -> tuple[Run, ...]:
    """Cut the iterations of loop ``number`` into runs of equal ones.

    Only iterations whose slices are clipped at an edge differ, and the last, shorter one, so all
    between the first and the last full and unclipped iteration are one run. Where a step is no
    multiple of a granule, each iteration is alone. ``first_alone`` keeps the first iteration apart
    in any case.
    """
    loop = program.loops[number]
    bounds = (0, loop.extent) if loop.parent is None else frame[loop.parent]
    return loop_runs(loop, bounds, program.followers[number], int(first_alone))


def aligned(axis: Axis, step: int, granule: int) -> bool:
    """Whether slices that are ``step`` apart on the loop of an axis lie alike in granules."""
    shift, left = divmod(step * axis.stride, axis.divide)
    return granule == 1 or (not left and not shift % granule)


@lru_cache(maxsize=16384)
def loop_runs(
    loop: Loop, bounds: Interval, axes: tuple[Follower, ...], alone: int = 0
) -> tuple[Run, ...]:
    """Cut the iterations of a loop in ``bounds`` into runs of equal ones, as its axes see them.

    The first ``alone`` iterations are runs of their own in any case.
    """
    low, high = bounds
    count = -(-(high - low) // loop.step)

    def interval(j: int) -> Interval:
        return low + j * loop.step, min(low + (j + 1) * loop.step, high)

    def unclipped_below(j: int) -> bool:
        return all(axis.image(*interval(j))[0] >= 0 for axis, _, _ in axes)

    def clipped_above(j: int) -> bool:
        start, stop = interval(j)
        return stop - start < loop.step or any(
            axis.image(start, stop)[1] > extent for axis, extent, _ in axes
        )

    first = bisect_left(range(count), True, key=unclipped_below)
    last = bisect_right(range(count), False, key=clipped_above)
    first, last = max(first, alone), max(last, alone)
    if first >= last or not all(aligned(axis, loop.step, granule) for axis, _, granule in axes):
        return tuple(Run(interval(j), 1) for j in range(count))
    edges_before = (Run(interval(j), 1) for j in range(first))
    edges_after = (Run(interval(j), 1) for j in range(last, count))
    return (*edges_before, Run(interval(first), last - first), *edges_after)


def taken_bytes(program: TileProgram, machine: Machine) -> int:
    """On-chip bytes of one core that the buffers of a program take on a machine, in its banks."""
    return footprint_bytes(program, machine.bank_bytes)


@lru_cache(maxsize=16384)
def footprint_bytes(program: TileProgram, bank: int = 1) -> int:
    """On-chip bytes that the buffers of one core need, all versions of each at its largest."""
    return held_bytes(program, range(len(program.buffers)), bank)


def held_bytes(program: TileProgram, buffers: Iterable[int], bank: int = 1) -> int:
    """On-chip bytes of the buffers of these numbers, all versions of each at its largest.

    Each version takes whole banks of ``bank`` bytes.
    """
    found = (program.buffers[number] for number in buffers)
    return sum(buffer.depth * padded(room_bytes(program, buffer), bank) for buffer in found)


def room_bytes(program: TileProgram, buffer: Buffer) -> int:
    """Bytes of one version of a buffer; what moves comes in whole granules, the rest is dense."""
    view = program.views[buffer.value]
    lengths = largest(program, buffer)
    if view.role != "local" and view.type.layout != ROW_MAJOR:
        whole = zip(buffer.axes, lengths, view.type.dims, view.type.granule, strict=True)
        lengths = tuple(_room(program, *each) for each in whole)
    return prod(lengths) * view.type.itemsize


def _room(program: TileProgram, axis: Axis, length: int, extent: int, granule: int) -> int:
    """The elements of the most granules that a slice of ``length`` can touch."""
    if axis.step >= granule:
        return length * granule
    reach = (length - 1) * axis.step + 1
    loops = program.lineage(axis.of)
    starts = all(aligned(axis, program.loops[n].step, granule) for n in loops)
    inside = 0 if starts and not axis.offset % granule else granule - 1
    return min(padded(reach + inside, granule), padded(extent, granule))


def largest(program: TileProgram, buffer: Buffer) -> tuple[int, ...]:
    """The shape of a buffer in a full iteration, away from all edges."""
    dims = program.views[buffer.value].type.dims
    return tuple(
        extent if axis.of is None else min(extent, _full(axis, program.loops[axis.of]))
        for axis, extent in zip(buffer.axes, dims, strict=True)
    )


def _full(axis: Axis, loop: Loop) -> int:
    low, high = axis.image(0, min(loop.step, loop.extent))
    return -(-(high - low) // axis.step)
