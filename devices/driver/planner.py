"""The memory planner: a schedule becomes commands over device memory that is reused by lifetime."""

from heapq import nlargest

from emu.devices.driver.arena import Arena
from emu.devices.driver.lifetimes import Lifetimes, lifetimes
from emu.devices.driver.residency import kept_by
from emu.ir.errors import CapacityError
from emu.ir.machine import Machine
from emu.ir.program import (
    Alloc,
    Command,
    Copy,
    Drop,
    Free,
    HostCall,
    Keep,
    Launch,
    Program,
    Wait,
)
from emu.ir.schedule import Binding, Schedule
from emu.ir.tile import TileProgram

SHOWN = 3
BOUNDLESS_BYTES = 1 << 60  # room for what is priced although it does not fit


def plan(schedule: Schedule, machine: Machine, *, over_capacity: bool = False) -> Program:
    """Return the commands that run a schedule; raise CapacityError where memory does not suffice.

    Inputs and weights are allocated first and stay, outputs stay once made, all else is freed
    after its last reader. What a tile program keeps on chip gets room there instead. ``Alloc.size``
    is the room granted, in whole granules; ``peak_bytes`` is the largest sum of it over all
    moments. With ``over_capacity`` memory always suffices.
    """
    room = BOUNDLESS_BYTES if over_capacity else machine.device_bytes
    planner = _Planner(schedule, machine, lifetimes(schedule), room)
    for value in planner.lives.resident:
        planner.alloc(value, "before the first launch")
    for index, binding in enumerate(schedule.bindings):
        planner.bind(index, binding)
    planner.commands.append(Wait())
    graph = schedule.graph
    return Program(
        model=graph.name,
        device=machine.name,
        inputs=graph.inputs,
        outputs=graph.outputs,
        commands=tuple(planner.commands),
        peak_bytes=planner.peak,
    )


class _Planner:
    """The commands so far and the memory that they leave behind."""

    def __init__(
        self, schedule: Schedule, machine: Machine, lives: Lifetimes, device_bytes: int
    ) -> None:
        self.graph, self.machine, self.lives = schedule.graph, machine, lives
        self.arena = Arena(device_bytes, machine.alignment_bytes)
        self.capacity = self.arena.free
        self.commands: list[Command] = []
        self.peak = 0
        self.live: dict[str, Alloc] = {}
        self.kept: set[str] = set()
        self.at_host = {*self.graph.inputs, *self.graph.constants}

    def bind(self, index: int, binding: Binding) -> None:
        """Add the commands of one binding."""
        if binding.program is None:
            self._call_host(index, binding)
        else:
            self._launch(index, binding, binding.program)
        for value in self.lives.dies.get(index, ()):
            if value in self.kept:
                self.commands.append(Drop(value))
            else:
                self._free(value)

    def alloc(self, value: str, where: str) -> None:
        """Add the Alloc of a value."""
        room = self.arena.room(self.graph.types[value].bytes)
        offset = self.arena.take(room)
        if offset is None:
            raise CapacityError(self._full(value, room, where))
        self.live[value] = Alloc(value, offset, room)
        self.commands.append(self.live[value])
        self.peak = max(self.peak, self.capacity - self.arena.free)

    def _launch(self, index: int, binding: Binding, program: TileProgram) -> None:
        inside = binding.inside
        keeps = kept_by(binding)
        self.kept.update(keeps)
        for value in inside.outputs:
            if value in keeps:
                self.commands.append(Keep(value, *keeps[value]))
            else:
                self.alloc(value, self._where(index, binding))
        self.commands.append(
            Launch(index, binding.kernel, inside.inputs, inside.outputs, inside.body, program)
        )

    def _call_host(self, index: int, binding: Binding) -> None:
        inside = binding.inside
        for value in inside.inputs:
            if value not in self.at_host:
                self.commands.append(Copy(value, "host", self.graph.types[value].bytes))
        self.at_host.update(inside.inputs, inside.outputs)
        self.commands.append(
            HostCall(index, binding.kernel, inside.inputs, inside.outputs, inside.body)
        )
        for value in inside.outputs:
            if value in self.lives.on_device:
                self.alloc(value, self._where(index, binding))
                self.commands.append(Copy(value, "device", self.graph.types[value].bytes))

    def _free(self, value: str) -> None:
        gone = self.live.pop(value)
        self.arena.give(gone.offset, gone.size)
        self.commands.append(Free(value))

    def _where(self, index: int, binding: Binding) -> str:
        return f"for launch {index} '{binding.group.name}'"

    def _full(self, value: str, room: int, where: str) -> str:
        largest = nlargest(SHOWN, self.live.values(), key=lambda alloc: alloc.size)
        shown = ", ".join(f"%{alloc.value} {alloc.size:,}" for alloc in largest)
        return (
            f"{self.graph.name} does not fit {self.machine.name}: command {len(self.commands)} "
            f"(alloc %{value} {where}) needs {room:,} bytes, but of {self.capacity:,} bytes "
            f"{self.arena.free:,} are free, {self.arena.largest:,} of them in one piece; "
            f"largest values in memory: {shown or 'none'}"
        )
