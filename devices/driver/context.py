"""A context: one driver opened on one chip, with its memory, modules, streams and events.

Whatever reaches the chip is a request of a role. What breaks a rule is refused by name, as drivers
do with codes: a handle of another context, memory that was freed, a launch of no loaded module.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from emu.devices.driver.arena import Arena
from emu.devices.driver.handles import (
    ALLOC,
    CAPTURE,
    CAPTURED,
    CLOSE,
    COPY,
    EVENT,
    FREE,
    GRAPH,
    KEEP,
    LAUNCH,
    LOAD,
    NUMBERS,
    OPEN,
    POOL,
    RECORD,
    STREAM,
    WAIT,
    Captured,
    Event,
    Memory,
    Module,
    Queued,
    Request,
    Stream,
)
from emu.devices.driver.loader import Loader, load
from emu.ir.errors import (
    CapacityError,
    ContextClosed,
    ForeignHandle,
    NotCaptured,
    NotLoaded,
    NotRecorded,
    StaleHandle,
)
from emu.ir.program import Launch

Contents: TypeAlias = Any  # an array, or None where only the calls matter
Compute: TypeAlias = Callable[[Launch, Sequence[Contents]], Sequence[Contents]]


class Context:
    """What a driver keeps for one program. ``compute`` does what a launch does on the chip."""

    def __init__(
        self, room: tuple[int, int], loader: Loader, compute: Compute, onchip_bytes: int = 0
    ) -> None:
        """Take bytes of device memory and their alignment, the loader's rules, and the chip.

        Each core has ``onchip_bytes`` for values that are kept between launches.
        """
        self.number = next(NUMBERS)
        self.arena = Arena(*room)
        self.onchip_bytes = onchip_bytes
        self.loader = loader
        self.compute = compute
        self.is_open = False
        self.contents: dict[Memory, Contents] = {}
        self.pool: dict[int, list[Memory]] = {}
        self.modules: set[Module] = set()
        self.first = Stream(self.number)
        self.streams = [self.first]
        self.recording: list[Queued] | None = None
        self.launched: list[Launch] = []
        self.copied = {"device": 0, "host": 0}

    def submit(self, *requests: Request) -> None:
        """Carry requests out in order, and put into each what it results in."""
        for request in requests:
            if not self.is_open and request.role != OPEN:
                raise ContextClosed(f"driver: {request.role} in a context that is not open")
            arguments = [settled(argument) for argument in request.arguments]
            request.result = DOES[request.role](self, *arguments)

    def open(self) -> int:
        """Open the context and return its number."""
        self.is_open = True
        return self.number

    def close(self) -> None:
        """Finish all work and give all memory back."""
        self.wait()
        self.is_open = False
        self.contents.clear()
        self.modules.clear()

    def alloc(self, size: int) -> Memory:
        """Memory of ``size`` bytes; raises CapacityError if none is free in one piece."""
        room = self.arena.room(size)
        offset = self.arena.take(room)
        if offset is None:
            free, largest = f"{self.arena.free:,}", f"{self.arena.largest:,}"
            raise CapacityError(
                f"driver: alloc of {room:,} bytes: {free} are free, {largest} of them in one piece"
            )
        return self._held(Memory(self.number, offset, room))

    def _held(self, memory: Memory) -> Memory:
        self.contents[memory] = None
        return memory

    def pooled(self, size: int) -> Memory:
        """Memory that goes back to a pool when it is freed, and comes from there if it is there."""
        room = self.arena.room(size)
        if self.pool.get(room):
            return self._held(self.pool[room].pop())
        taken = self.alloc(room)
        del self.contents[taken]
        return self._held(Memory(self.number, taken.offset, room, pooled=True))

    def keep(self, size: int) -> Memory:
        """On-chip memory of ``size`` bytes in each core, until it is freed.

        Raises CapacityError if a core has not so much left.
        """
        left = self.onchip_bytes - sum(memory.size for memory in self.contents if memory.kept)
        if size > left:
            raise CapacityError(
                f"driver: keep of {size:,} bytes in each core: {left:,} of its "
                f"{self.onchip_bytes:,} on-chip bytes are free"
            )
        return self._held(Memory(self.number, 0, size, kept=True))

    def free(self, memory: Memory) -> None:
        """Give memory back, after all work that was queued before."""
        self._check(memory)
        self.wait()
        del self.contents[memory]
        if memory.kept:
            return
        if memory.pooled:
            # The same bytes under a new handle, so that the old one is stale for good.
            again = Memory(self.number, memory.offset, memory.size, pooled=True)
            self.pool.setdefault(memory.size, []).append(again)
        else:
            self.arena.give(memory.offset, memory.size)

    def copy(self, to: str, memory: Memory, contents: Contents = None) -> Contents:
        """Move a value over the link; a copy to the host waits for all work and returns it."""
        self._check(memory)
        self.wait()
        self.copied[to] += memory.size
        if to == "device":
            self.contents[memory] = contents
        return self.contents[memory]

    def load(self, data: bytes) -> Module:
        """Load a binary by the rules of the driver; raises what ``load`` raises."""
        module = Module(self.number, load(data, self.loader))
        self.modules.add(module)
        return module

    def launch(
        self,
        module: Module,
        position: int,
        ins: Sequence[Any],
        outs: Sequence[Any],
        stream: Stream | None = None,
    ) -> None:
        """Queue a launch of a module; ``ins`` are memory, or values that it takes directly.

        While a graph is captured, the launch is recorded instead.
        """
        self._check_launch(module, position)
        read = [settled(value) for value in ins]
        made = [settled(value) for value in outs]
        for memory in (*(value for value in read if isinstance(value, Memory)), *made):
            self._check(memory)
        queued = Queued(module, position, read, made)
        if self.recording is None:
            self._stream(stream).work.append(queued)
        else:
            self.recording.append(queued)

    def _check_launch(self, module: Module, position: int) -> None:
        if module not in self.modules:
            raise NotLoaded(f"driver: launch {position}: its module is not loaded in this context")
        commands = module.program.commands
        if not 0 <= position < len(commands) or not isinstance(commands[position], Launch):
            name = module.program.model
            raise NotLoaded(f"driver: launch {position}: there is none in the module of '{name}'")

    def capture(self) -> None:
        """Record launches from now on; raises NotCaptured if that is done already."""
        if self.recording is not None:
            raise NotCaptured("driver: a capture begins while another has not ended")
        self.recording = []

    def captured(self) -> Captured:
        """What was recorded, as a graph; raises NotCaptured if no capture began."""
        if self.recording is None:
            raise NotCaptured("driver: a capture ends that never began")
        recorded, self.recording = self.recording, None
        return Captured(self.number, tuple(recorded))

    def graph(self, captured: Captured) -> None:
        """Queue all launches of a graph; as often as one likes."""
        self._own(captured)
        self.first.work.extend(captured.work)

    def stream(self) -> Stream:
        """A new stream, whose work is in order among itself only."""
        made = Stream(self.number)
        self.streams.append(made)
        return made

    def record(self, event: Event | None = None, stream: Stream | None = None) -> Event:
        """Let an event, a new one if none is given, be done when a stream has come so far."""
        event = event or Event(self.number)
        self._own(event)
        event.stream, event.done = self._stream(stream), False
        event.stream.work.append(event)
        return event

    def event(self, event: Event, stream: Stream | None = None) -> None:
        """Let a stream wait for an event; raises NotRecorded if nothing can ever bring it."""
        self._own(event)
        if event.stream is None:
            raise NotRecorded("driver: a stream waits for an event that was never recorded")
        self._stream(stream).work.append(Queued(after=event))

    def wait(self, stream: Stream | None = None) -> None:
        """Finish the work of one stream, or of all."""
        for one in self.streams if stream is None else (self._stream(stream),):
            while one.work:
                self._do(one.work.pop(0))

    def _do(self, work: Queued | Event) -> None:
        if isinstance(work, Event):
            work.done = True
        elif work.after is not None:
            self._come_to(work.after)
        elif work.module is not None:
            self._run(work.module, work)

    def _come_to(self, event: Event) -> None:
        """Finish what stands before an event in its own stream."""
        while not event.done and event.stream is not None:
            self._do(event.stream.work.pop(0))

    def _run(self, module: Module, queued: Queued) -> None:
        command = module.program.commands[queued.position]
        assert isinstance(command, Launch)
        ins = [self.contents[v] if isinstance(v, Memory) else v for v in queued.ins]
        self.contents.update(zip(queued.outs, self.compute(command, ins), strict=True))
        self.launched.append(command)

    def _stream(self, stream: Stream | None) -> Stream:
        if stream is None:
            return self.first
        self._own(stream)
        return stream

    def _own(self, handle: Any) -> None:
        if not isinstance(handle, Memory | Event | Stream | Captured):
            raise ForeignHandle(f"driver: {handle!r} is no handle")
        if handle.context != self.number:
            kind = type(handle).__name__.lower()
            why = f"of context {handle.context}, not of {self.number}"
            raise ForeignHandle(f"driver: a {kind} is {why}")

    def _check(self, memory: Any) -> None:
        """Raise unless it is memory of this context that was not freed."""
        self._own(memory)
        if memory not in self.contents:
            raise StaleHandle(f"driver: {memory.size:,} bytes at {memory.offset:,} were freed")


DOES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        OPEN: Context.open,
        CLOSE: Context.close,
        LOAD: Context.load,
        LAUNCH: Context.launch,
        CAPTURE: Context.capture,
        CAPTURED: Context.captured,
        GRAPH: Context.graph,
        ALLOC: Context.alloc,
        POOL: Context.pooled,
        KEEP: Context.keep,
        FREE: Context.free,
        COPY: Context.copy,
        STREAM: Context.stream,
        RECORD: Context.record,
        EVENT: Context.event,
        WAIT: Context.wait,
    }
)


def settled(argument: Any) -> Any:
    """An argument, or the result of the request that stands for it."""
    return argument.result if isinstance(argument, Request) else argument
