"""Running a loaded program through nothing but the functions that a driver exports.

A table of functions gives each of them a role. What a table has no function for rides in the
command buffer of the next launch, as with drivers that know little more than to submit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emu.devices.driver.context import Contents
from emu.devices.driver.handles import (
    ALLOC,
    CLOSE,
    COPY,
    FREE,
    LAUNCH,
    LOAD,
    OPEN,
    POOL,
    WAIT,
    Request,
)
from emu.devices.driver.linker import Handle
from emu.ir.errors import AbiMismatch, Unsupported
from emu.ir.program import Alloc, Copy, Free, HostCall, Keep, Launch, Program


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
class Player:
    """Plays the commands of a program; ``callers`` says who launches what, the first does the rest.

    ``given`` are the inputs and constants, which lie on the device before it starts; ``host``
    computes host calls.
    """

    program: Program
    callers: Callable[[Launch], Caller]
    first: Caller
    given: Mapping[str, Contents]
    host: Host
    at_host: dict[str, Contents] = field(default_factory=dict[str, Contents])
    on_device: dict[str, Request] = field(default_factory=dict[str, Request])
    modules: dict[int, Request] = field(default_factory=dict[int, Request])

    def play(self, data: bytes) -> dict[str, Contents]:
        """Open, load the binary, run all commands, close; return the model's outputs."""
        self.first.ask(OPEN)
        for position, command in enumerate(self.program.commands):
            self._do(position, command, data)
        outputs = {name: self._read(name) for name in self.program.outputs}
        self.first.ask(CLOSE)
        return outputs

    def _do(self, position: int, command: object, data: bytes) -> None:
        match command:
            case Alloc():
                self._alloc(command)
            case Free():
                self.first.ask(FREE, self.on_device.pop(command.value))
            case Keep(value):
                raise Unsupported(
                    f"driver: value '{value}': no function of a driver keeps a value on chip "
                    "between launches"
                )
            case Copy():
                self._copy(command)
            case Launch():
                self._launch(position, command, data)
            case HostCall():
                made = self.host(command, [self._held(v) for v in command.ins])
                self.at_host.update(zip(command.outs, made, strict=True))
            case _:
                self.first.ask(WAIT)

    def _alloc(self, command: Alloc) -> None:
        """Room for a value, from the pool if there is one; what the host has is put there."""
        role = POOL if POOL in self.first.roles else ALLOC
        memory = self.on_device[command.value] = self.first.ask(role, command.size)
        if command.value in self.given:
            self.first.ask(COPY, "device", memory, self.given[command.value])

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

    def _launch(self, position: int, command: Launch, data: bytes) -> None:
        caller = self.callers(command)
        if caller is not self.first:
            self.first.ask(WAIT)  # what still rides with the first must come before
        if id(caller) not in self.modules:
            self.modules[id(caller)] = caller.ask(LOAD, data)
        ins = [self.on_device.get(v) or self._held(v) for v in command.ins]
        outs = [self.on_device[v] for v in command.outs]
        caller.ask(LAUNCH, self.modules[id(caller)], position, ins, outs)
