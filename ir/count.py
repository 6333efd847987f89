"""What a tile program moves and computes in all, in closed form.

A dimension of a slice follows one loop only, so a sum over all iterations of a product of lengths
is the product, over the loops, of sums of lengths. Work rules are additive over tiles in the same
way, so work is counted on the summed lengths. The literal executor counts the same one by one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

from emu.ir.layout import padded
from emu.ir.machine import Residency
from emu.ir.ops import Work
from emu.ir.regions import (
    Frame,
    Interval,
    Span,
    covered,
    loop_runs,
    runs,
    span,
    steps,
    touched,
    trips,
    within,
)
from emu.ir.tile import Axis, Compute, Gather, Load, Loop, Operand, Placed, Store, TileProgram
from emu.ir.types import TensorType
from emu.ir.work import tile_work


@dataclass(frozen=True)
class Counts:
    """Bytes by view and work by statement; the fields have the meanings of ``run_tiles.Moved``.

    ``unique`` are the bytes of each loaded view that are loaded at least once.
    """

    program: TileProgram
    loaded: dict[int, int]
    fetched: dict[int, int]
    unique: dict[int, int]
    stored: dict[int, int]

    @cached_property
    def computed(self) -> tuple[tuple[Work, int], ...]:
        """By statement, the work of all its executions and the bytes of buffers they touch."""
        return tuple(
            _computed(self.program, placed, placed.statement)
            if isinstance(placed.statement, Compute)
            else (Work(), 0)
            for placed in self.program.statements
        )

    @property
    def work(self) -> tuple[Work, ...]:
        """The work of each statement."""
        return tuple(work for work, _ in self.computed)

    @property
    def touched(self) -> int:
        """Bytes of buffers that computes read and write."""
        return sum(touched for _, touched in self.computed)

    @cached_property
    def fetched_bytes(self) -> int:
        """Bytes between the shared cache and device memory."""
        return sum(self.fetched.values()) + sum(self.stored.values())

    @cached_property
    def memory_bytes(self) -> int:
        """Bytes of device memory: those of ``fetched_bytes`` that are not kept on chip."""
        views = (*self.fetched.items(), *self.stored.items())
        return sum(size for view, size in views if not self.program.views[view].kept)

    @cached_property
    def moved_bytes(self) -> int:
        """Bytes into and out of cores."""
        return sum(self.loaded.values()) + sum(self.stored.values())

    @property
    def total_work(self) -> Work:
        """The work of all statements."""
        return sum(self.work, Work())


@lru_cache(maxsize=8192)
def count(program: TileProgram, block: tuple[tuple[int, int], ...] = ()) -> Counts:
    """Count ``program`` under a cache that holds ``block`` (the items of a Residency's block)."""
    residency = Residency(dict(block))
    counts = Counts(program, {}, {}, {}, {})
    for placed in program.statements:
        statement = placed.statement
        if isinstance(statement, Load):
            view = program.buffers[statement.buffer].value
            size = moved_bytes(program, placed, statement.buffer)
            _add(counts.loaded, view, size)
            _add(counts.fetched, view, _fetched(program, placed, statement.buffer, size, residency))
            _add(counts.unique, view, _unique(program, statement.buffer))
        elif isinstance(statement, Gather):
            size = moved_bytes(program, placed, statement.buffer)
            for sums in (counts.loaded, counts.fetched, counts.unique):
                _add(sums, statement.table, size)
        elif isinstance(statement, Store):
            _add(counts.stored, statement.view, moved_bytes(program, placed, statement.buffer))
    return counts


def moved_bytes(program: TileProgram, placed: Placed, number: int) -> int:
    """Bytes, in whole granules, that loads or stores of buffer ``number`` move in all."""
    buffer = program.buffers[number]
    view = program.views[buffer.value].type
    moved = (_summed(program, *each) for each in _dimensions(program, number))
    others = _unindexed(program, placed.loops, buffer.axes)
    return view.itemsize * prod(moved) * _trips(program, others)


def _dimensions(program: TileProgram, number: int) -> Iterable[tuple[Axis, int, int]]:
    """The axes of a buffer with extent and granule of each dimension."""
    buffer = program.buffers[number]
    view = program.views[buffer.value].type
    return zip(buffer.axes, view.dims, view.granule, strict=True)


def _computed(program: TileProgram, placed: Placed, statement: Compute) -> tuple[Work, int]:
    """The work of all executions of a compute, and the bytes of buffers that they touch."""
    out = program.buffers[statement.out]
    out_lengths = _lengths(program, statement.out)
    indexed = [*out.axes]
    ins: list[TensorType | None] = []
    for operand in statement.ins:
        if operand is not None:
            indexed += [*program.buffers[operand.buffer].axes]
        ins.append(_operand_type(program, operand, statement.out, out_lengths))
    result = TensorType(program.views[out.value].type.dtype, out_lengths)
    times = _trips(program, _unindexed(program, placed.loops, indexed))
    work = tile_work(statement.op, statement.attrs, ins, result) * times
    read = sum(
        _executions_bytes(program, placed, t, program.buffers[o.buffer].axes, o, out.axes)
        for t, o in zip(ins, statement.ins, strict=True)
        if t is not None and o is not None
    )
    written = result.bytes * _trips(program, _unindexed(program, placed.loops, out.axes))
    return work, read + written * (2 if statement.accumulate else 1)


def _executions_bytes(
    program: TileProgram,
    placed: Placed,
    summed: TensorType,
    axes: tuple[Axis, ...],
    operand: Operand,
    out: tuple[Axis, ...],
) -> int:
    """Bytes of an operand over all executions; loops that no length sums over repeat it."""
    follows = [
        have if need.of is None else out[need.of]
        for have, need in zip(axes, operand.axes, strict=True)
    ]
    return summed.bytes * _trips(program, _unindexed(program, placed.loops, follows))


def _operand_type(
    program: TileProgram, operand: Operand | None, out: int, out_lengths: tuple[int, ...]
) -> TensorType | None:
    """The type of an operand with each length summed over the loop that it follows."""
    if operand is None:
        return None
    have = _lengths(program, operand.buffer)
    out_axes = program.buffers[out].axes
    lengths = tuple(
        whole if axis.of is None else _image(program, axis, out_axes[axis.of], out_lengths[axis.of])
        for axis, whole in zip(operand.axes, have, strict=True)
    )
    return TensorType(program.views[program.buffers[operand.buffer].value].type.dtype, lengths)


def _image(program: TileProgram, axis: Axis, out: Axis, length: int) -> int:
    """The summed lengths of images (fill included) of intervals whose summed length is known."""
    if axis.step > 1:
        return length
    if axis.divide > 1:
        return length // axis.divide
    times = 1 if out.of is None else _trips(program, (out.of,))
    return length * axis.stride + times * (axis.window - axis.stride)


def _lengths(program: TileProgram, number: int) -> tuple[int, ...]:
    """The lengths of a buffer's region, each summed over the iterations of the loop it follows."""
    buffer = program.buffers[number]
    dims = program.views[buffer.value].type.dims
    return tuple(_summed(program, a, d) for a, d in zip(buffer.axes, dims, strict=True))


def _summed(program: TileProgram, axis: Axis, extent: int, granule: int = 1) -> int:
    """What the slices of all iterations have in one dimension, each rounded to whole granules."""
    if axis.of is None:
        return covered(Span(0, extent), granule)
    chain = tuple(program.loops[n] for n in program.lineage(axis.of))[::-1]
    return _along(axis, chain, (0, chain[0].extent), extent, granule)


@lru_cache(maxsize=65536)
def _along(axis: Axis, chain: tuple[Loop, ...], bounds: Interval, extent: int, granule: int) -> int:
    """The sum of an axis' slices over loops ``chain``, outermost first, the first in ``bounds``."""
    inner = chain[1:]
    return sum(
        run.count
        * (
            _along(axis, inner, run.interval, extent, granule)
            if inner
            else covered(within(axis, run.interval, extent), granule)
        )
        for run in loop_runs(chain[0], bounds, ((axis, extent, granule),))
    )


def frames(
    program: TileProgram, chain: tuple[int, ...], frame: Frame | None = None, times: int = 1
) -> Iterable[tuple[Frame, int]]:
    """Yield a frame of loops ``chain`` (outermost first) for each kind, and how often it occurs."""
    if not chain:
        yield frame or {}, times
        return
    for run in runs(program, chain[0], frame or {}):
        inner = {**(frame or {}), chain[0]: run.interval}
        yield from frames(program, chain[1:], inner, times * run.count)


def _unindexed(
    program: TileProgram, loops: tuple[int, ...], axes: Iterable[Axis]
) -> tuple[int, ...]:
    """The loops around a statement that none of the axes follows, directly or inside of them."""
    indexed = {number for axis in axes for number in program.lineage(axis.of)}
    return tuple(number for number in loops if number not in indexed)


def _trips(program: TileProgram, loops: tuple[int, ...]) -> int:
    """How many iterations loops have in all; a loop and its parent count as one chain."""
    if not loops:
        return 1
    chains = {tuple(program.lineage(n))[::-1] for n in loops}
    inner = [c for c in chains if not any(c != d and c == d[: len(c)] for d in chains)]
    return prod(sum(times for _, times in frames(program, chain)) for chain in inner)


def _unique(program: TileProgram, number: int) -> int:
    """Bytes of a buffer's value that are moved with at least one slice."""
    unions = (_unions(program, *each, Residency()) for each in _dimensions(program, number))
    return program.views[program.buffers[number].value].type.itemsize * prod(unions)


def _fetched(
    program: TileProgram, placed: Placed, number: int, moved: int, residency: Residency
) -> int:
    """Bytes, of all that a load has moved, that a cache of one block of tiles has to fetch."""
    if not residency.block:
        return moved
    buffer = program.buffers[number]
    unions = (_unions(program, *each, residency) for each in _dimensions(program, number))
    size = program.views[buffer.value].type.itemsize * prod(unions)
    for n in _unindexed(program, placed.loops, buffer.axes):
        if n not in residency.block:
            continue
        size *= -(-trips(program.loops[n], {}) // residency.block[n])
    return size


def _unions(
    program: TileProgram, axis: Axis, extent: int, granule: int, residency: Residency
) -> int:
    """The summed lengths, over blocks, of what the iterations of one block cover."""
    if axis.of is None:
        return padded(extent, granule)
    if granule > 1:
        return granule * _granules(program, axis, extent, granule, residency)
    if axis.window <= axis.stride:  # the slices of different iterations share nothing
        return _summed(program, axis, extent)
    outer = tuple(program.lineage(axis.of))[-1]
    loop = program.loops[outer]
    width = residency.block.get(outer, trips(loop, {}))
    wide = Loop(loop.extent, loop.step * width)
    return sum(
        span(axis, {axis.of: (start, min(start + wide.step, wide.extent))}, extent).length
        for start in range(0, wide.extent, wide.step)
    )


def _granules(
    program: TileProgram, axis: Axis, extent: int, granule: int, residency: Residency
) -> int:
    """How many granules the iterations of one block touch, summed over blocks.

    Steps that are no multiple of a granule share granules, so every iteration is looked at.
    """
    chain = tuple(program.lineage(axis.of))[::-1]
    loop = program.loops[chain[0]]
    width = residency.block.get(chain[0], trips(loop, {}))
    blocks: dict[int, set[int]] = {}
    for frame in _every(program, chain, {}):
        block = frame[chain[0]][0] // (loop.step * width)
        blocks.setdefault(block, set()).update(touched(span(axis, frame, extent), granule))
    return sum(map(len, blocks.values()))


def _every(program: TileProgram, chain: tuple[int, ...], frame: Frame) -> Iterable[Frame]:
    """Yield a frame for every iteration of loops ``chain``, outermost first."""
    if not chain:
        yield frame
        return
    for interval in steps(program.loops[chain[0]], frame):
        yield from _every(program, chain[1:], {**frame, chain[0]: interval})


def _add(counts: dict[int, int], key: int, amount: int) -> None:
    counts[key] = counts.get(key, 0) + amount
