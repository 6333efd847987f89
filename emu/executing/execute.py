"""The literal executor: interpret the tile programs of a loaded program, and count what moves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from emu.ir.graph import Graph
from emu.ir.machine import Residency
from emu.ir.place import at
from emu.ir.program import Copy, Free, HostCall, Launch, Program
from emu.ir.run_tiles import Moved, plain_meaning, program_outputs, run_tiles, view_arrays
from emu.ir.tile import TileProgram
from emu.ir.types import Array
from emu.kernels.fast import fast_body


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
        if not isinstance(getattr(array, "base", None), np.memmap):
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
    residency: Callable[[TileProgram], Residency],
) -> Execution:
    """Interpret every tile program literally, and count what it moves under ``residency``.

    The outputs are among the values that are returned.
    """
    state = Execution(graph, dict(inputs), dict(inputs))
    keep = {*program.inputs, *program.outputs}
    for command in program.commands:
        if isinstance(command, Launch):
            at("launch of", command.kernel, "for value", command.outs[0])
            arrays = _launch(state, command, residency(command.program))
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


def _launch(state: Execution, command: Launch, residency: Residency) -> tuple[Array, ...]:
    program, body = command.program, command.body
    arrays = view_arrays(program, {i: state.read(v) for i, v in enumerate(command.ins)})
    state.moved[command.index] = moved = Moved()
    made = program_outputs(
        program, body, run_tiles(program, arrays, plain_meaning, moved, residency)
    )
    return tuple(made[v] for v in body.outputs)
