"""What the functions of a driver take and give: handles, and requests that can be passed on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from emu.ir.program import Program

OPEN, CLOSE, LOAD, LAUNCH = "open", "close", "load", "launch"
CAPTURE, CAPTURED, GRAPH = "capture", "captured", "graph"
ALLOC, POOL, KEEP, FREE, COPY = "alloc", "pool", "keep", "free", "copy"
STREAM, RECORD, EVENT, WAIT = "stream", "record", "event", "wait"
ROLES = (
    *(OPEN, CLOSE, LOAD, LAUNCH, CAPTURE, CAPTURED, GRAPH),
    *(ALLOC, POOL, KEEP, FREE, COPY, STREAM, RECORD, EVENT, WAIT),
)
NUMBERS = count(1)  # contexts of one process are told apart by them


@dataclass(frozen=True, eq=False)
class Memory:
    """``size`` bytes of device memory from ``offset`` on; ``pooled`` go back to a pool.

    What is ``kept`` is in the on-chip memory of each core that holds a part of it instead.
    """

    context: int
    offset: int
    size: int
    pooled: bool = False
    kept: bool = False


@dataclass(frozen=True, eq=False)
class Module:
    """A binary that a driver loaded: its launches are named by position among the commands."""

    context: int
    program: Program


@dataclass(eq=False)
class Event:
    """A moment of a stream, ``done`` when the stream has come that far."""

    context: int
    stream: "Stream | None" = None
    done: bool = False


@dataclass(frozen=True, eq=False)
class Stream:
    """Work in order: launches, events to mark as done, and events to wait for."""

    context: int
    work: list["Queued | Event"] = field(default_factory=list["Queued | Event"])


@dataclass(frozen=True)
class Queued:
    """A launch in a stream, or an event of another stream that must be done before."""

    module: Module | None = None
    position: int = 0
    ins: Sequence[Any] = ()
    outs: Sequence[Memory] = ()
    after: Event | None = None


@dataclass(frozen=True, eq=False)
class Captured:
    """Launches that were recorded instead of queued: a graph, to be queued by one call."""

    context: int
    work: tuple[Queued, ...]


@dataclass(eq=False)
class Request:
    """A function of a role with its arguments, and its result once the driver has carried it out.

    A result that is not there yet can be an argument of a later request.
    """

    role: str
    arguments: tuple[Any, ...]
    result: Any = None

    @property
    def is_urgent(self) -> bool:
        """Whether the caller goes on with the result only: it cannot ride with a later launch."""
        now = WAIT, CLOSE, CAPTURE, CAPTURED
        return self.role in now or (self.role == COPY and self.arguments[0] == "host")
