"""The device level: commands over allocated device memory, in the order of one in-order stream."""

from dataclasses import dataclass
from typing import TypeAlias

from emu.ir.body import Body
from emu.ir.tile import TileProgram


@dataclass(frozen=True, slots=True)
class Alloc:
    """Give a value room in device memory: ``offset`` and ``size`` in bytes."""

    value: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Free:
    """Give the room of a value back."""

    value: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Give a value room on chip until it is dropped: ``size`` bytes in each of ``cores`` cores."""

    value: str
    cores: int
    size: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Give the on-chip room of a value back."""

    value: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Move a value over the link; ``to`` is "host" or "device"."""

    value: str
    to: str
    size: int


@dataclass(frozen=True, slots=True)
class Launch:
    """Run the tile program of binding ``index``; views read ``ins`` and ``outs`` by position."""

    index: int
    kernel: str
    ins: tuple[str, ...]
    outs: tuple[str, ...]
    body: Body
    program: TileProgram


@dataclass(frozen=True, slots=True)
class Replay:
    """Issue the next ``launches`` launches at once: they were captured in one graph before.

    ``index`` is the binding of the first of them.
    """

    index: int
    launches: int


@dataclass(frozen=True, slots=True)
class HostCall:
    """Compute binding ``index`` on the host, on values that were copied there."""

    index: int
    kernel: str
    ins: tuple[str, ...]
    outs: tuple[str, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Wait:
    """Block the host until the device has done all that was issued."""


Step: TypeAlias = Launch | HostCall
Command: TypeAlias = Alloc | Free | Keep | Drop | Copy | Launch | Replay | HostCall | Wait


@dataclass(frozen=True)
class Program:
    """One segment of commands for one device.

    Weights and model inputs lie in device memory before it starts; model outputs when it ends.
    ``peak_bytes`` is the most device memory that is allocated at once.
    """

    model: str
    device: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    commands: tuple[Command, ...]
    peak_bytes: int
