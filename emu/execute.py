"""Compute the values: walk the commands of the program that the driver loaded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from emu.ir.body import Body, FrozenAttrs
from emu.ir.errors import BadOption
from emu.ir.graph import Graph
from emu.ir.machine import Residency
from emu.ir.place import at
from emu.ir.program import Copy, Free, HostCall, Launch, Program
from emu.ir.run_tiles import Moved, plain_meaning, program_outputs, run_tiles, view_arrays
from emu.ir.tile import TileProgram
from emu.ir.types import Array
from emu.kernels.fast import fast_body, fast_op

EXECUTORS = ("fast", "tiles")


@dataclass
class Execution:
    """One execution: values on the device, those that the host has, and what each launch moved."""

    graph: Graph
    values: dict[str, Array]
    at_host: dict[str, Array]
    moved: dict[int, Moved] = field(default_factory=dict[int, Moved])

    def read(self, name: str) -> Array:
        """The contents of a value; a weight is loaded when it is first read.

        One that is mapped from its file is not held, so that weights of any size pass by.
        """
        if name in self.values:
            return self.values[name]
        array = self.graph.constants[name].load()
        if not isinstance(array.base, np.memmap):
            self.values[name] = array
        return array

    def read_at_host(self, name: str) -> Array:
        """The contents of a value that the host has, whatever became of it on the device."""
        return self.at_host[name] if name in self.at_host else self.read(name)

    def copy(self, command: Copy) -> None:
        """Take a value over the link."""
        if command.to == "host":
            self.at_host[command.value] = self.read(command.value)
        else:
            self.values[command.value] = self.read_at_host(command.value)


def execute(
    program: Program,
    graph: Graph,
    inputs: Mapping[str, Array],
    executor: str,
    tilewise: frozenset[int],
    residency: Callable[[TileProgram], Residency],
) -> Execution:
    """Run every launch and host call in order; the outputs are among the values that it returns.

    ``fast`` computes whole groups, and those in ``tilewise`` in the order of their tiles; ``tiles``
    interprets every tile program literally and counts what it moves, under ``residency``.
    """
    if executor not in EXECUTORS:
        raise BadOption(f"--executor {executor}: there are {' and '.join(EXECUTORS)}")
    state = Execution(graph, dict(inputs), dict(inputs))
    keep = {*program.inputs, *program.outputs}
    for command in program.commands:
        if isinstance(command, Launch):
            at("launch of", command.kernel, "for value", command.outs[0])
            literal = executor == "tiles"
            arrays = _launch(state, command, literal, command.index in tilewise, residency)
            state.values.update(zip(command.outs, arrays, strict=True))
        elif isinstance(command, HostCall):
            at("host call of", command.kernel, "for value", command.outs[0])
            arrays = fast_body(command.body, [state.read_at_host(v) for v in command.ins])
            state.at_host.update(zip(command.outs, arrays, strict=True))
        elif isinstance(command, Copy):
            state.copy(command)
        elif isinstance(command, Free) and command.value not in keep:
            state.values.pop(command.value, None)
    return state


def _launch(
    state: Execution,
    command: Launch,
    literal: bool,
    tilewise: bool,
    residency: Callable[[TileProgram], Residency],
) -> tuple[Array, ...]:
    ins = [state.read(v) for v in command.ins]
    if not literal and not tilewise:
        return fast_body(command.body, ins)
    program = command.program
    arrays = view_arrays(program, dict(enumerate(ins)))
    if literal:
        state.moved[command.index] = moved = Moved()
        made = run_tiles(program, arrays, plain_meaning, moved, residency(program))
    else:
        made = run_tiles(program, arrays, _fast_meaning)
    return _in_order(command.body, program_outputs(program, command.body, made))


def _fast_meaning(op: str, attrs: FrozenAttrs, ins: Sequence[Array | None]) -> Array:
    return fast_op(op, attrs, ins)[0]


def _in_order(body: Body, made: Mapping[int, Array]) -> tuple[Array, ...]:
    return tuple(made[v] for v in body.outputs)
