"""The fast executor: a loaded program made ready once, then walked command by command.

Every value has its place in one arena, at the offset that the driver's memory plan gave it, and
every command is bound to its places; weights are loaded once, in the order that hosts like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

import numpy as np

from emu.ir.body import FrozenAttrs
from emu.ir.graph import Graph
from emu.ir.place import at
from emu.ir.program import Alloc, Command, Copy, HostCall, Keep, Launch, Program
from emu.ir.run_tiles import program_outputs, run_tiles, view_arrays
from emu.ir.types import Array
from emu.kernels.fast import QUIET, Scratch, aligned, bind, fast_op, new, shaped
from emu.kernels.fast.writer import Call


@dataclass(frozen=True)
class Stop:
    """One command of a walk: what it is, for messages, and the steps that do it."""

    place: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Walk:
    """A program bound to memory. ``inputs`` are copied in, ``outputs`` are copied out.

    One run at a time has the memory; others wait.
    """

    inputs: Mapping[str, Array]
    stops: tuple[Stop, ...]
    outputs: Mapping[str, Array]
    turn: Lock = field(default_factory=Lock)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs of the program by name, for inputs of its types."""
        with self.turn, QUIET():
            for name, room in self.inputs.items():
                np.copyto(room, inputs[name])
            for stop in self.stops:
                at(stop.place)
                for call in stop.calls:
                    call()
            return {name: array.copy() for name, array in self.outputs.items()}


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
        self.device = {name: new(graph.types[name]) for name in program.inputs}
        self.host: dict[str, Array] = dict(self.device)
        self.weights: dict[str, Array] = {}
        self.last = _last_reads(program, graph)
        self.base, size = _extent(program, {*program.inputs, *graph.constants})
        self.arena, self.scratch = aligned(size), Scratch()

    def stop(self, position: int, command: Command) -> Stop | None:
        """Follow one command; the stop of a walk if there is something to do."""
        match command:
            case Alloc(value, offset) if value not in self.device and not self._given(value):
                room = self.arena[offset - self.base :]
                self.device[value] = shaped(room, self.graph.types[value])
            case Keep(value):
                self.device[value] = new(self.graph.types[value])
            case Copy():
                return Stop(f"copy of {command.value}", self._copied(command))
            case Launch():
                return self._computing("launch", position, command)
            case HostCall():
                return self._computing("host call", position, command)
            case _:
                pass
        return None

    def read(self, name: str) -> Array:
        """Where a value lies on the device; a weight is loaded when it is first read."""
        if name in self.device:
            return self.device[name]
        if name not in self.weights:
            self.weights[name] = self.graph.constants[name].load()
        return self.weights[name]

    def _given(self, value: str) -> bool:
        return value in self.graph.constants

    def _read_at_host(self, name: str) -> Array:
        return self.host[name] if name in self.host else self.read(name)

    def _copied(self, command: Copy) -> tuple[Call, ...]:
        name = command.value
        if command.to == "device":
            return (partial(np.copyto, self.device[name], self._read_at_host(name)),)
        source = self.read(name)
        self.host[name] = new(self.graph.types[name])
        return (partial(np.copyto, self.host[name], source),)

    def _computing(self, what: str, position: int, command: Launch | HostCall) -> Stop:
        place = f"{what} of {command.kernel} for value {command.outs[0]}"
        at(place)
        if isinstance(command, HostCall):
            self.host |= {value: new(self.graph.types[value]) for value in command.outs}
            ins = [self._read_at_host(v) for v in command.ins]
            outs = [self.host[v] for v in command.outs]
        else:
            ins = [self.read(v) for v in command.ins]
            outs = [self.device[v] for v in command.outs]
        if isinstance(command, Launch) and command.index in self.tilewise:
            calls: tuple[Call, ...] = (partial(_in_tiles, command, ins, outs),)
        else:
            calls = bind(command.body, ins, outs, self.scratch)
        for name in command.ins:
            if self.last[name] == position:
                self.weights.pop(name, None)  # only those hold it now that need it as it is
        return Stop(place, calls)


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
