"""The fast executor: a loaded program made ready once, then walked command by command.

Every value has its place in one arena, at the offset that the driver's memory plan gave it, and
every command is bound to its places; weights are loaded once, in the order that hosts like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from threading import Lock

import numpy as np

from emu.ir.body import FrozenAttrs
from emu.ir.graph import Graph
from emu.ir.place import at
from emu.ir.program import Alloc, Command, Copy, HostCall, Keep, Launch, Program
from emu.ir.run_tiles import program_outputs, run_tiles, view_arrays
from emu.ir.types import Array
from emu.kernels.fast import (
    QUIET,
    Bound,
    Call,
    Scratch,
    Threads,
    bind,
    fast_op,
    flat,
    joined,
    one_blas_thread,
    threads_of,
)
from emu.kernels.fast.lying import laid, wanted
from emu.kernels.fast.memory import aligned, bytes_of, contents, copied, in_room, new, put, shaped


@dataclass(frozen=True)
class Stop:
    """One command of a walk: what it is, for messages, and the steps that do it."""

    place: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Walk:
    """A program bound to memory. ``inputs`` are copied in, ``outputs`` are copied out.

    One run at a time has the memory; others wait. Large steps are split between ``threads``.
    """

    inputs: Mapping[str, Array]
    stops: tuple[Stop, ...]
    outputs: Mapping[str, Array]
    turn: Lock = field(default_factory=Lock)
    threads: Threads | None = None

    def spread(self, count: int) -> "Walk":
        """The same walk, in the same memory, on so many threads: at least one."""
        if count == 1:
            return self
        threads = threads_of(count)
        stops = tuple(replace(s, calls=threads.spread(s.calls)) for s in self.stops)
        return replace(self, stops=stops, threads=threads)

    @cached_property
    def _steps(self) -> tuple[tuple[str, Call], ...]:
        """What is done in turn, and where that is; small neighbours are one step."""
        places = [stop.place for stop in self.stops for _ in stop.calls]
        steps: list[tuple[str, Call]] = []
        first = 0
        for count, call in joined([call for stop in self.stops for call in stop.calls]):
            more = f", or one of {count - 1} steps behind it" if count > 1 else ""
            steps.append((places[first] + more, call))
            first += count
        return tuple(steps)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs of the program by name, for inputs of its types."""
        with self.turn, QUIET(), one_blas_thread():
            for name, room in self.inputs.items():
                put(room, inputs[name])
            for place, call in self._steps:
                at(place)
                call()
            return {name: copied(contents(room)) for name, room in self.outputs.items()}


def prepare(program: Program, graph: Graph, tilewise: frozenset[int]) -> Walk:
    """Bind every command of a program; launches in ``tilewise`` run in the order of their tiles."""
    binder = _Binder(program, graph, tilewise)
    inputs = {name: binder.device[name] for name in program.inputs}
    stops = tuple(stop for i, c in enumerate(program.commands) if (stop := binder.stop(i, c)))
    return Walk(inputs, stops, {name: binder.read(name) for name in graph.outputs})


class _Binder:
    """Where the values lie on the device and at the host, command after command."""

    def __init__(self, program: Program, graph: Graph, tilewise: frozenset[int]) -> None:
        self.graph, self.tilewise = graph, tilewise
        self.given = {*program.inputs, *graph.constants}
        self.device = {name: self._input(name) for name in program.inputs}
        self.host: dict[str, Array] = dict(self.device)
        self.rooms: dict[str, Array] = {}  # on the device, by value
        self.weights: dict[str, Array] = {}
        self.last = _last_reads(program, graph)
        self.base, size = _extent(program, self.given)
        self.arena, self.scratch = aligned(size), Scratch()

    def _input(self, name: str) -> Array:
        """Where an input lies; images that are convolved with channels innermost."""
        type = self.graph.types[name]
        ops = [node.op for node in self.graph.readers.get(name, ())]
        image = type.dtype == "f32" and any(wanted(op, (), type) for op in ops)
        return laid(aligned(bytes_of(type)), type, image)

    def stop(self, position: int, command: Command) -> Stop | None:
        """Follow one command; the stop of a walk if there is something to do."""
        match command:
            case Alloc(value, offset, size) if value not in self.given:
                start = offset - self.base
                self.rooms[value] = self.arena[start : start + size]
            case Keep(value):
                self.rooms[value] = aligned(bytes_of(self.graph.types[value]))
            case Copy():
                return Stop(f"copy of {command.value}", self._copied(command))
            case Launch() | HostCall():
                return self._computing(position, command)
            case _:
                pass
        return None

    def read(self, name: str) -> Array:
        """Where a value lies on the device; a weight is loaded when it is first read."""
        if name in self.device:
            return self.device[name]
        if name not in self.weights:
            loaded = self.graph.constants[name].load()
            self.weights[name] = in_room(loaded, self.graph.types[name])
        return self.weights[name]

    def _read_at_host(self, name: str) -> Array:
        return self.host[name] if name in self.host else self.read(name)

    def _copied(self, command: Copy) -> tuple[Call, ...]:
        name, type = command.value, self.graph.types[command.value]
        if command.to == "host":
            source, self.host[name] = self.read(name), new(type)
            return (partial(put, self.host[name], source),)
        self.device[name] = shaped(self.rooms[name], type)
        return (partial(put, self.device[name], self._read_at_host(name)),)

    def _computing(self, position: int, command: Launch | HostCall) -> Stop:
        if isinstance(command, HostCall):
            place, read, there = "host call of", self._read_at_host, self.host
            rooms = [aligned(bytes_of(self.graph.types[v])) for v in command.outs]
        else:
            place, read, there = "launch of", self.read, self.device
            rooms = [self.rooms[v] for v in command.outs]
        # Of some nodes only the shapes are read: they are computed so that these can be checked.
        made = f" for value {command.outs[0]}" if command.outs else ""
        place = f"{place} {command.kernel}{made}"
        at(place)
        bound = self._bound(command, [read(v) for v in command.ins], rooms)
        there.update(zip(command.outs, bound.outputs, strict=True))
        for name in command.ins:
            if self.last[name] == position:
                self.weights.pop(name, None)  # now only steps hold it, and only if they read it
        return Stop(place, flat(bound.calls))

    def _bound(self, command: Launch | HostCall, ins: list[Array], rooms: list[Array]) -> Bound:
        if isinstance(command, HostCall) or command.index not in self.tilewise:
            return bind(command.body, ins, rooms, self.scratch)
        types = [self.graph.types[v] for v in command.outs]
        outs = tuple(shaped(room, type) for room, type in zip(rooms, types, strict=True))
        return Bound((partial(_in_tiles, command, ins, outs),), outs)


def _last_reads(program: Program, graph: Graph) -> dict[str, int]:
    """The position of the command that reads each value last."""
    found: dict[str, int] = {}
    for position, command in enumerate(program.commands):
        if isinstance(command, Launch | HostCall):
            found.update(dict.fromkeys(command.ins, position))
    return found | dict.fromkeys(graph.outputs, len(program.commands))


def _extent(program: Program, apart: set[str]) -> tuple[int, int]:
    """Where in device memory values lie that are not ``apart``: the first byte, and how many."""
    allocs = [c for c in program.commands if isinstance(c, Alloc) and c.value not in apart]
    base = min((c.offset for c in allocs), default=0)
    return base, max((c.offset + c.size for c in allocs), default=0) - base


def _in_tiles(command: Launch, ins: Sequence[Array], outs: Sequence[Array]) -> None:
    program, body = command.program, command.body
    arrays = view_arrays(program, dict(enumerate(ins)))
    found = program_outputs(program, body, run_tiles(program, arrays, _meaning))
    for value, out in zip(body.outputs, outs, strict=True):
        np.copyto(out, found[value])


def _meaning(op: str, attrs: FrozenAttrs, ins: Sequence[Array | None]) -> Array:
    return fast_op(op, attrs, ins)[0]
