"""Which times an execution of a statement waits for and sets: the same for equal programs.

The times of a core are one list, so that they can be compared, kept and composed: first the
resources, then for each buffer and version, oldest first, when it is ready and when its last reader
is done, then when each output is stored, when the first tile of each buffer that comes through a
queue is there, and the end of everything; last, when inputs arrive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from emu.ir.tile import Compute, Fill, Gather, Load, Statement, Store, TileProgram

# What is kept on chip is moved by ports and network, not by the engines of device memory.
# PRELOAD is free when the array has room for the weights of another fold.
RESOURCES = ("dma_in", "dma_out", "matrix", "vector", "kept_in", "kept_out", "preload")
DMA_IN, DMA_OUT, MATRIX, VECTOR, KEPT_IN, KEPT_OUT, PRELOAD = range(7)
HELD_UP = {DMA_OUT: DMA_IN, KEPT_OUT: KEPT_IN}  # by stores, which share the memory with loads


@dataclass(frozen=True, slots=True)
class Wire:
    """The places of one statement's times; of equal ``waits`` the first fixes the critical path.

    It is the last use of what is ``used``, for now. Its result is a new version in the place of the
    ``oldest``, behind the ``newest``, or ``updates`` the newest, or is ``stored`` (-1: it is not).
    A product waits for its ``weights``; those that come through a queue have ``begun`` before.
    """

    waits: tuple[int, ...]
    used: tuple[int, ...] = ()
    oldest: int = -1
    newest: int = -1
    updates: bool = False
    stored: int = -1
    weights: int = -1
    begun: int = -1


@dataclass(frozen=True)
class Wiring:
    """The wires of all statements; ``stored`` and ``inputs`` are places by view."""

    wires: tuple[Wire, ...]
    stored: Mapping[int, int]
    end: int
    inputs: Mapping[int, int]


@lru_cache(maxsize=8192)
def wiring_of(program: TileProgram, queued: frozenset[int] = frozenset()) -> Wiring:
    """Return the wiring of a program whose buffers ``queued`` come through a queue of weights."""
    oldest: list[int] = []
    reached = len(RESOURCES)
    for buffer in program.buffers:
        oldest.append(reached)
        reached += 2 * buffer.depth
    stores = (p.statement.view for p in program.statements if isinstance(p.statement, Store))
    stored = {view: reached + i for i, view in enumerate(dict.fromkeys(stores))}
    reached += len(stored)
    begun = {buffer: reached + i for i, buffer in enumerate(sorted(queued))}
    end = reached + len(begun)
    loaded = (i for i, view in enumerate(program.views) if view.loaded)
    inputs = {view: end + 1 + i for i, view in enumerate(loaded)}
    laid = _Laid(program, oldest, stored, begun, inputs)
    wires = tuple(laid.wire(placed.statement) for placed in program.statements)
    return Wiring(wires, stored, end, inputs)


@dataclass(frozen=True)
class _Laid:
    """Places of a program's buffers, outputs and inputs."""

    program: TileProgram
    oldest: list[int]
    stored: Mapping[int, int]
    begun: Mapping[int, int]
    inputs: Mapping[int, int]

    def newest(self, buffer: int) -> int:
        """Where the newest version of a buffer keeps when it is ready, its last use behind it."""
        return self.oldest[buffer] + 2 * (self.program.buffers[buffer].depth - 1)

    def room(self, buffer: int) -> tuple[int, int]:
        """What has to pass until the oldest version may be overwritten."""
        return self.oldest[buffer], self.oldest[buffer] + 1

    def wire(self, statement: Statement) -> Wire:
        """The wire of a statement."""
        match statement:
            case Load(buffer, _):
                arrived = self.inputs[self.program.buffers[buffer].value]
                found = self.renewing(buffer, (arrived, *self.room(buffer)))
                return replace(found, begun=self.begun.get(buffer, -1))
            case Gather(table, index, buffer, _):
                ready = self.newest(index)
                waits = (self.inputs[table], ready, *self.room(buffer))
                return self.renewing(buffer, waits, (ready + 1,))
            case Fill(buffer, _):
                return self.renewing(buffer, self.room(buffer))
            case Store(buffer, view, _):
                ready = self.newest(buffer)
                return Wire((ready,), (ready + 1,), stored=self.stored[view])
            case Compute():
                return self.weighted(statement, self.computing(statement))

    def renewing(self, buffer: int, waits: tuple[int, ...], used: tuple[int, ...] = ()) -> Wire:
        """The wire of what makes a new version."""
        return Wire(waits, used, self.oldest[buffer], self.newest(buffer))

    def weighted(self, statement: Compute, wire: Wire) -> Wire:
        """The wire of a compute, whose second operand is what a product keeps in an array."""
        weights = statement.ins[1] if statement.kind == "matrix" else None
        if weights is None:
            return wire
        begun = self.begun.get(weights.buffer, -1)
        return replace(wire, weights=self.newest(weights.buffer), begun=begun)

    def computing(self, statement: Compute) -> Wire:
        """The wire of a compute, which may add to what its result held before."""
        out = statement.out
        read = [o.buffer for o in statement.ins if o is not None]
        ready = tuple(map(self.newest, read))
        used = tuple(place + 1 for place in ready)
        if not (statement.accumulate or out in read):
            return self.renewing(out, (*ready, *self.room(out)), used)
        newest = self.newest(out)
        waits = (*ready, newest, newest + 1)
        return Wire(waits, used, newest=newest, updates=True)
