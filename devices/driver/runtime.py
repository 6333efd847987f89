"""Running a loaded program through nothing but the functions that a driver exports.

A table of functions gives each of them a role. What a table has no function for rides in the
command buffer of the next launch, as with drivers that know little more than to submit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from emu.devices.driver.context import Contents
from emu.devices.driver.handles import (
    ALLOC,
    CAPTURE,
    CAPTURED,
    CLOSE,
    COPY,
    FREE,
    GRAPH,
    KEEP,
    LAUNCH,
    LOAD,
    OPEN,
    POOL,
    WAIT,
    Request,
)
from emu.devices.driver.linker import Handle
from emu.ir.errors import AbiMismatch
from emu.ir.program import Alloc, Copy, Drop, Free, HostCall, Keep, Launch, Program, Replay


@dataclass
class Caller:
    """A library or a runtime with the handle that it opened; ``roles`` name its functions."""

    handle: Handle
    roles: Mapping[str, str]
    riding: list[Request] = field(default_factory=list[Request])

    def ask(self, role: str, *arguments: Any) -> Request:
        """Ask the driver for something; the result is in the request once it was carried out."""
        request = Request(role, arguments)
        self.pass_on(request)
        return request

    def pass_on(self, *requests: Request) -> None:
        """Call the function of each request, or let it ride with the next launch."""
        for request in requests:
            if request.role == LAUNCH or request.role in self.roles:
                self._call(request)
            else:
                self.riding.append(request)
                if request.is_urgent:
                    self._submit()

    def _call(self, request: Request) -> None:
        if request.role == LAUNCH:
            self.riding.append(request)
            self._submit()
        else:
            self._submit()
            self.handle.call(self.roles[request.role], request)

    def _submit(self) -> None:
        """Call the launch function with all that rides; raises AbiMismatch if there is none."""
        if not self.riding:
            return
        if LAUNCH not in self.roles:
            have = ", ".join(sorted(self.roles)) or "no function"
            raise AbiMismatch("the library submits work", have, "a function that launches")
        riding, self.riding = self.riding, []
        self.handle.call(self.roles[LAUNCH], *riding)


Host = Callable[[HostCall, Sequence[Contents]], Sequence[Contents]]


@dataclass
class Capture:
    """A graph that is captured: how many launches are to come, and memory that goes after it."""

    left: int
    freed: list[Request] = field(default_factory=list[Request])


@dataclass
class Player:
    """Plays the commands of a program; ``callers`` says who launches what, the first does the rest.

    ``data`` is the program as a binary. ``given`` are inputs and constants, which lie on the device
    before it starts; ``host`` computes host calls. ``handed`` is what programs before left.
    """

    program: Program
    data: bytes
    callers: Callable[[Launch], Caller]
    first: Caller
    given: Mapping[str, Contents]
    host: Host
    handed: frozenset[str] = frozenset()
    at_host: dict[str, Contents] = field(default_factory=dict[str, Contents])
    on_device: dict[str, Request] = field(default_factory=dict[str, Request])
    modules: dict[int, Request] = field(default_factory=dict[int, Request])
    capture: Capture | None = None

    def run(self) -> None:
        """Load the binary and run all commands in the context that is open."""
        for position, command in enumerate(self.program.commands):
            self._do(position, command)

    def goes_on(self, before: "Player") -> None:
        """Take over what another one left on the device and at the host."""
        program = before.program
        self.handed = before.handed | {*program.inputs, *program.outputs}
        self.on_device |= {v: m for v, m in before.on_device.items() if v in self.handed}
        self.at_host |= {v: held for v, held in before.at_host.items() if v in self.handed}

    def read(self, values: Iterable[str]) -> dict[str, Contents]:
        """The contents of some values, taken to the host from where they lie."""
        return {name: self._read(name) for name in values}

    def _do(self, position: int, command: object) -> None:
        match command:
            case Alloc():
                self._alloc(command)
            case Free():
                self._free(self.on_device.pop(command.value))
            case Keep():
                self._keep(command)
            case Drop():
                self._free(self.on_device.pop(command.value))
            case Copy():
                self._copy(command)
            case Launch():
                self._launch(position, command)
            case Replay():
                self._check_role(GRAPH, "a graph of launches", "a function that launches a graph")
                self.first.ask(CAPTURE)
                self.capture = Capture(command.launches)
            case HostCall():
                made = self.host(command, [self._held(v) for v in command.ins])
                self.at_host.update(zip(command.outs, made, strict=True))
            case _:
                self.first.ask(WAIT)

    def _alloc(self, command: Alloc) -> None:
        """Room for a value that has none yet, from the pool if there is one.

        What the host has of it is put there.
        """
        if command.value in self.on_device:
            return
        role = POOL if POOL in self.first.roles else ALLOC
        memory = self.on_device[command.value] = self.first.ask(role, command.size)
        if command.value in self.given or command.value in self.handed:
            self.first.ask(COPY, "device", memory, self._held(command.value))

    def _keep(self, command: Keep) -> None:
        """Room on chip for a value, in each core that holds a part of it."""
        self._check_role(KEEP, f"value '{command.value}' stays on chip", "a function that keeps it")
        self.on_device[command.value] = self.first.ask(KEEP, command.size)

    def _check_role(self, role: str, what: str, need: str) -> None:
        """Raise AbiMismatch if the driver has no function of a role that cannot ride."""
        if role not in self.first.roles:
            raise AbiMismatch(what, ", ".join(sorted(self.first.roles)), need)

    def _free(self, memory: Request) -> None:
        """Give memory back; what a graph to come still uses goes when it was launched."""
        if self.capture is None:
            self.first.ask(FREE, memory)
        else:
            self.capture.freed.append(memory)

    def _copy(self, command: Copy) -> None:
        if command.to == "host":
            self._read(command.value)
        else:
            memory = self.on_device[command.value]
            self.first.ask(COPY, "device", memory, self._held(command.value))

    def _held(self, value: str) -> Contents:
        """What the host has of a value."""
        return self.at_host[value] if value in self.at_host else self.given.get(value)

    def _read(self, value: str) -> Contents:
        """A value from the device, or what the host has of it."""
        if value in self.on_device:
            self.at_host[value] = self.first.ask(COPY, "host", self.on_device[value]).result
        return self._held(value)

    def _launch(self, position: int, command: Launch) -> None:
        caller = self.callers(command)
        if caller is not self.first and self.capture is None:
            self.first.ask(WAIT)  # what still rides with the first must come before
        if id(caller) not in self.modules:
            self.modules[id(caller)] = caller.ask(LOAD, self.data)
        ins = [self.on_device.get(v) or self._held(v) for v in command.ins]
        outs = [self.on_device[v] for v in command.outs]
        caller.ask(LAUNCH, self.modules[id(caller)], position, ins, outs)
        if self.capture is not None:
            self.capture.left -= 1
            if not self.capture.left:
                self._replay(self.capture)

    def _replay(self, capture: Capture) -> None:
        """End a capture, launch all of it by one call, and give back what it used."""
        self.capture = None
        self.first.ask(GRAPH, self.first.ask(CAPTURED))
        for memory in capture.freed:
            self.first.ask(FREE, memory)


def play(players: Sequence[Player], outputs: Iterable[str]) -> dict[str, Contents]:
    """Open, run programs one after another, each with what those before left, and close.

    Returns the contents of the ``outputs``.
    """
    first = players[0].first
    first.ask(OPEN)
    players[0].run()
    for before, player in pairwise(players):
        player.goes_on(before)
        player.run()
    contents = players[-1].read(outputs)
    first.ask(CLOSE)
    return contents
