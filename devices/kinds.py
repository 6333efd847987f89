"""Kinds of executions: what a part of a course holds, for how long, and its charges.

A path through a program counts how often each event lies on it, in one number.
"""

from functools import cached_property

from emu.devices.course import Part
from emu.devices.moments import DIGIT
from emu.devices.recorder import Kind, Preload, Queued
from emu.devices.terms import Event, Key
from emu.devices.tile_cost import Shares, TileCost
from emu.devices.weight_queue import queue_parts, queued_buffers
from emu.devices.wires import DMA_IN, DMA_OUT, KEPT_IN, KEPT_OUT, MATRIX, PRELOAD, VECTOR
from emu.ir.tile import Compute, Fill, Gather, Load, Statement, Store


class Kinds:
    """The kinds of one program on one kind of core, each made once."""

    def __init__(self, cost: TileCost, free: frozenset[str] = frozenset()) -> None:
        """Price the parts of the course of ``cost``; the causes in ``free`` take no time."""
        self.cost = cost
        self.program = cost.program
        self.free = free
        self.charged: dict[tuple[int, int, Event], int] = {}  # digit by view, node, event
        self.kinds: dict[int, Kind] = {}
        self.latencies: dict[int, tuple[int, int]] = {}

    def kind(self, place: int) -> Kind:
        """The kind of the executions of the part at a place of the course."""
        found = self.kinds.get(place)
        if found is None:
            found = self.kinds[place] = self.new_kind(place)
        return found

    def new_kind(self, place: int) -> Kind:
        """Price a part."""
        part = self.cost.course.parts[place]
        statement = self.program.statements[part.number].statement
        busy = self.cost.busy(place)
        return Kind(
            part.number,
            self.resource(statement),
            busy,
            *self.took(part.number, busy),
            *self.latency(part.number),
            self.preload(place),
            self.queue_part(part, statement, busy),
        )

    def preload(self, place: int) -> Preload | None:
        """How the weights of a product get into the array before it starts."""
        found = self.cost.preload(place)
        if found is None:
            return None
        number = self.cost.course.parts[place].number
        folds, (shift, lead, last) = found
        shifting, stream = (
            Kind(number, resource, event, *self.took(number, event))
            for resource, event in ((PRELOAD, shift), (MATRIX, last))
        )
        return Preload(shifting, stream, *self.took(number, lead), folds.count)

    def queue_part(self, part: Part, statement: Statement, busy: Event) -> Queued | None:
        """What of a load waits for the queue of weights, if it goes through one."""
        if not isinstance(statement, Load) or statement.buffer not in self.queued:
            return None
        first, over = queue_parts(self.cost, part, busy)
        return Queued(*self.took(part.number, first), *self.took(part.number, over))

    @cached_property
    def queued(self) -> frozenset[int]:
        """The buffers whose loads go through a queue of weights."""
        return queued_buffers(self.cost)

    def took(self, number: int, event: Event) -> tuple[int, int]:
        """How long an event of a statement takes, and the path of it alone.

        What takes no time leaves no trace.
        """
        ps = event.ps(self.free)
        if not ps:
            return 0, 0
        key = *self.cost.course.charged[number], event
        return ps, 1 << (DIGIT * self.charged.setdefault(key, len(self.charged)))

    def latency(self, number: int) -> tuple[int, int]:
        """How long the result of a statement is on its way, and the path of that."""
        if number not in self.latencies:
            statement = self.program.statements[number].statement
            self.latencies[number] = self.took(number, self.cost.latency(statement))
        return self.latencies[number]

    def resource(self, statement: Statement) -> int:
        """The resource that a statement holds, -1 for none."""
        match statement:
            case Load() | Gather() | Store():
                kept = self.program.views[self.cost.moved_view(statement)].kept
                if isinstance(statement, Store):
                    return KEPT_OUT if kept else DMA_OUT
                return KEPT_IN if kept else DMA_IN
            case Compute():
                return VECTOR if self.cost.unit(statement) is None else MATRIX
            case Fill():
                return -1

    def charges(self, path: int, shares: Shares) -> dict[Key, int]:
        """Picoseconds by (node, cause) of the statements on a path.

        Bytes cost the same whatever they are moved for, so what is compulsory is told only here.
        """
        found: dict[Key, int] = {}
        for view, node, event in self.charged:
            times = path & ((1 << DIGIT) - 1)
            path >>= DIGIT
            for (_, cause), ps in event.settle(self.free).shares if times else ():
                key = node, shares.cause(view) if cause == "intermediate" else cause
                found[key] = found.get(key, 0) + times * ps
        return found
