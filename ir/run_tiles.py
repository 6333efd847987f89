"""Execute a tile program literally: load slices, compute on them, store them, count what moved."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

from emu.ir.body import Body, FrozenAttrs
from emu.ir.errors import VerifyError
from emu.ir.machine import Residency
from emu.ir.ops import OPS, Work
from emu.ir.ops.indexing import check_indices
from emu.ir.regions import (
    Frame,
    Interval,
    Span,
    covered,
    moved_slice,
    region,
    shape,
    span,
    steps,
    touched,
)
from emu.ir.tile import (
    Axis,
    Compute,
    Fill,
    Gather,
    Load,
    Nest,
    Operand,
    Step,
    Store,
    TileProgram,
)
from emu.ir.types import NUMPY, REALS, Array, TensorType, type_of
from emu.ir.work import tile_attrs

Meaning = Callable[[str, FrozenAttrs, Sequence[Array | None]], Array]


def plain_meaning(op: str, attrs: FrozenAttrs, ins: Sequence[Array | None]) -> Array:
    """Compute one op by the op table."""
    return OPS[op].run(*ins, **dict(attrs))


@dataclass
class Moved:
    """What an execution really did: bytes per level and operations; grows while it runs.

    ``loaded`` and ``stored`` are bytes by view that crossed the border of on-chip memory,
    ``fetched`` those of them that a shared cache did not hold, ``touched`` the bytes of buffers
    that computes read and wrote.
    """

    loaded: dict[int, int] = field(default_factory=dict[int, int])
    stored: dict[int, int] = field(default_factory=dict[int, int])
    fetched: dict[int, int] = field(default_factory=dict[int, int])
    touched: int = 0
    work: Work = field(default_factory=Work)


def run_tiles(
    program: TileProgram,
    inputs: Mapping[int, Array],
    meaning: Meaning = plain_meaning,
    moved: Moved | None = None,
    residency: Residency | None = None,
) -> dict[int, Array]:
    """Return the output views by number, given the arrays of the input and weight views.

    Arrays have the shapes of the views. With ``moved`` it also counts, under ``residency``.
    """
    machine = _Interpreter(program, dict(inputs), meaning, moved, residency or Residency())
    machine.run(program.steps, {})
    return {i: machine.arrays[i] for i, v in enumerate(program.views) if v.role == "output"}


@dataclass
class _Held:
    """The contents of a buffer and the region of the value that they are."""

    array: Array
    spans: tuple[Span, ...]


class _Interpreter:
    """The state of one execution."""

    def __init__(
        self,
        program: TileProgram,
        arrays: dict[int, Array],
        meaning: Meaning,
        moved: Moved | None,
        residency: Residency,
    ) -> None:
        self.program = program
        self.arrays = arrays
        self.meaning = meaning
        self.moved = moved
        self.cache = _Cache(program, residency) if moved is not None else None
        self.held: dict[int, _Held] = {}
        for i, view in enumerate(program.views):
            if view.role == "output":
                arrays[i] = _unwritten(view.type)

    def run(self, body: tuple[Step, ...], frame: dict[int, Interval]) -> None:
        for step in body:
            if isinstance(step, Nest):
                for interval in steps(self.program.loops[step.loop], frame):
                    self.run(step.body, {**frame, step.loop: interval})
            else:
                self.step(step, frame)

    def step(self, step: Load | Gather | Store | Fill | Compute, frame: Frame) -> None:
        match step:
            case Load():
                self.load(step, frame)
            case Gather():
                self.gather(step, frame)
            case Store():
                self.store(step, frame)
            case Fill():
                spans = self.region(step.buffer, frame)
                dtype = NUMPY[self.type(step.buffer).dtype]
                self.held[step.buffer] = _Held(np.full(shape(spans), step.number, dtype), spans)
            case Compute():
                self.compute(step, frame)

    def type(self, buffer: int) -> TensorType:
        return self.program.views[self.program.buffers[buffer].value].type

    def region(self, buffer: int, frame: Frame) -> tuple[Span, ...]:
        return region(self.program, self.program.buffers[buffer], frame)

    def moved_bytes(self, buffer: int, frame: Frame) -> int:
        """Bytes of all granules of device memory that the slice of a buffer touches."""
        where = self.program.buffers[buffer]
        return moved_slice(self.program, where, frame) * self.type(buffer).itemsize

    def load(self, step: Load, frame: Frame) -> None:
        view, spans = self.program.buffers[step.buffer].value, self.region(step.buffer, frame)
        array = self.arrays[view][_index(spans)]
        self.held[step.buffer] = _Held(array, spans)
        if self.moved is not None and self.cache is not None:
            _add(self.moved.loaded, view, self.moved_bytes(step.buffer, frame))
            fetched = self.cache.fetch(step.buffer, spans, frame) * array.itemsize
            _add(self.moved.fetched, view, fetched)

    def gather(self, step: Gather, frame: Frame) -> None:
        index, spans = self.held[step.index].array, self.region(step.buffer, frame)
        rows, place = spans[0], spans[2]
        table = self.arrays[step.table]
        check_indices(index, table.shape[1])
        wanted = np.where(index < 0, index + table.shape[1], index)
        array = table[_slice(rows), wanted, _slice(place)]
        self.held[step.buffer] = _Held(array, spans)
        if self.moved is not None:
            _add(self.moved.loaded, step.table, array.nbytes)
            _add(self.moved.fetched, step.table, array.nbytes)

    def store(self, step: Store, frame: Frame) -> None:
        held = self.held[step.buffer]
        self.arrays[step.view][_index(held.spans)] = held.array
        if self.moved is not None:
            _add(self.moved.stored, step.view, self.moved_bytes(step.buffer, frame))

    def compute(self, step: Compute, frame: Frame) -> None:
        spans = self.region(step.out, frame)
        ins = [None if operand is None else self.operand(operand, spans) for operand in step.ins]
        attrs = tile_attrs(
            step.op, step.attrs, [a.shape if a is not None else () for a in ins], shape(spans)
        )
        result = self.meaning(step.op, attrs, ins)
        if result.shape != shape(spans):
            raise VerifyError(
                f"tile program {self.program.name}: {step.op} made {result.shape} "
                f"where its buffer has {shape(spans)}"
            )
        if step.accumulate:
            result = self.held[step.out].array + result
        self.held[step.out] = _Held(result, spans)
        if self.moved is not None:
            self.count(step, attrs, ins, result)

    def operand(self, operand: Operand, out: tuple[Span, ...]) -> Array:
        """The elements that the image of the output region names, with fill outside the domain."""
        held, view = self.held[operand.buffer], self.type(operand.buffer)
        frame = {d: (s.start, s.stop) for d, s in enumerate(out)}
        index: list[slice] = []
        pads: list[tuple[int, int]] = []
        for axis, have, extent in zip(operand.axes, held.spans, view.dims, strict=True):
            need = have if axis.of is None else span(axis, frame, extent)
            index.append(self.within(need, have))
            pads.append((0, 0) if axis.of is None else _outside(axis, frame[axis.of], need.length))
        array = held.array[tuple(index)]
        if not any(low or high for low, high in pads):
            return array
        return np.pad(array, pads, constant_values=operand.fill)

    def within(self, need: Span, have: Span) -> slice:
        """The slice of a buffer that holds ``have`` which gives ``need``."""
        start = (need.start - have.start) // have.step
        if need.length and (need.start < have.start or need.stop > have.stop):
            raise VerifyError(
                f"tile program {self.program.name}: [{need.start}, {need.stop}) is needed "
                f"but the buffer holds [{have.start}, {have.stop})"
            )
        step = max(1, need.step // have.step)
        return slice(start, start + (need.length - 1) * step + 1 if need.length else start, step)

    def count(
        self, step: Compute, attrs: FrozenAttrs, ins: Sequence[Array | None], result: Array
    ) -> None:
        assert self.moved is not None
        types = [type_of(a) if a is not None else None for a in ins]
        done = OPS[step.op].work(types, (type_of(result),), dict(attrs))
        self.moved.work += done
        read = sum(a.nbytes for a in ins if a is not None)
        self.moved.touched += read + result.nbytes * (2 if step.accumulate else 1)


class _Cache:
    """The granules that the loads of each buffer fetched in each block of tiles."""

    def __init__(self, program: TileProgram, residency: Residency) -> None:
        self.program = program
        self.block = residency.block
        self.seen: dict[object, NDArray[np.bool_]] = {}

    def fetch(self, buffer: int, spans: tuple[Span, ...], frame: Frame) -> int:
        """Return how many of the elements were not there, and keep them."""
        type = self.program.views[self.program.buffers[buffer].value].type
        if not self.block:
            return math.prod(map(covered, spans, type.granule))
        around = {number: width for number, width in self.block.items() if number in frame}
        where = (
            (number, frame[number][0] // (self.program.loops[number].step * width))
            for number, width in around.items()
        )
        key = (buffer, *where)
        if key not in self.seen:
            granules = (-(-d // g) for d, g in zip(type.dims, type.granule, strict=True))
            self.seen[key] = np.zeros(tuple(granules), np.bool_)
        mask, where = self.seen[key], np.ix_(*map(_positions, spans, type.granule))
        new = np.count_nonzero(~mask[where])
        mask[where] = True
        return int(new) * math.prod(type.granule)


def _positions(s: Span, granule: int) -> NDArray[np.int64]:
    return np.array(touched(s, granule), np.int64)


def _slice(s: Span) -> slice:
    return slice(s.start, s.stop, s.step)


def _index(spans: tuple[Span, ...]) -> tuple[EllipsisType | slice, ...]:
    """The index of a region; with the ellipsis, that of a scalar is a view too."""
    return (..., *(_slice(s) for s in spans))


def _outside(axis: Axis, interval: Interval, inside: int) -> tuple[int, int]:
    """How many elements of an image lie below and above the domain, which has ``inside`` of it."""
    low, high = axis.image(*interval)
    wanted = -(-(high - low) // axis.step)
    below = min(wanted, max(0, -(low // axis.step)))
    return below, wanted - below - inside


def _unwritten(type: TensorType) -> Array:
    """An output before the program has written it; a NaN that stays is a bug of the program."""
    dtype = NUMPY[type.dtype]
    return np.full(type.dims, np.nan if type.dtype in REALS else 0, dtype)


def _add(counts: dict[int, int], key: int, amount: int) -> None:
    counts[key] = counts.get(key, 0) + amount


def view_arrays(program: TileProgram, values: Mapping[int, Array]) -> dict[int, Array]:
    """Return the arrays of the input and weight views, given those of the values of the body.

    A view is a reshape of its value.
    """
    return {
        i: values[view.value].reshape(view.type.dims)
        for i, view in enumerate(program.views)
        if view.loaded and view.value is not None
    }


def program_outputs(
    program: TileProgram, body: Body, arrays: Mapping[int, Array]
) -> dict[int, Array]:
    """Return the outputs by value of the body, given those by view that ``run_tiles`` returned."""
    values = {i: program.views[i].value for i in arrays}
    return {v: arrays[i].reshape(body.types[v].dims) for i, v in values.items() if v is not None}
