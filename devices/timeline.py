"""Step a tile program through the in-order resources of a core, exactly and yet not all of it.

An event starts when its resource, its operands and the room for its result are there: a time is
the largest of some earlier times, plus a duration. Besides its value each time keeps where it comes
from: the entry it starts at, and how often each kind of statement lies on its critical path, so
nothing has to be followed backwards. Times of that form become periodic in a uniform loop: once the
state of the resources repeats, relative to itself, whole periods are jumped (notes in docs/).
"""

from functools import cached_property

from emu.devices.course import Items, Repeat
from emu.devices.moments import DIGIT, Moment, Passage, Stretch, later, power
from emu.devices.recorder import Kind, Recorder
from emu.devices.terms import Event, Key
from emu.devices.tile_cost import Shares, TileCost
from emu.devices.wires import (
    DMA_IN,
    DMA_OUT,
    HELD_UP,
    KEPT_IN,
    KEPT_OUT,
    MATRIX,
    RESOURCES,
    VECTOR,
    Wire,
    wiring_of,
)
from emu.ir.tile import Compute, Fill, Gather, Load, Statement, Store

OPEN = len(RESOURCES)  # entry: when the launch is issued and its memory is free
FIRST_INPUT = OPEN + 1


class Clockwork:
    """One program on one kind of core, with its kinds and passages."""

    def __init__(self, cost: TileCost, free: frozenset[str] = frozenset()) -> None:
        """Prepare to step the program of ``cost``; the causes in ``free`` take no time."""
        self.cost = cost
        self.program = cost.program
        self.free = free
        self.charged: list[tuple[int, int, Event]] = []  # (view, node, what takes the time)
        self.kinds: dict[int, Kind] = {}
        self.latencies: dict[int, tuple[int, int]] = {}
        self.passages: dict[tuple[int, ...], Passage] = {}
        self.used_by: dict[int, tuple[int, ...]] = {}

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """The views that are loaded, in the order of their entries."""
        return tuple(wiring_of(self.program).inputs)

    @cached_property
    def busiest_ps(self) -> int:
        """For how long the resource that is held longest is held in all: no passage is shorter.

        Loads and stores share the memory, so they are one resource here.
        """
        held = dict.fromkeys((-1, *range(len(RESOURCES))), 0)
        for place, times in enumerate(self.cost.course.times):
            kind = self.kind(place)
            held[kind.resource] += kind.busy_ps * times
        for stores, loads in HELD_UP.items():
            held[loads] += held.pop(stores)
        return max(held.values())

    def passage(
        self, entries: tuple[int, ...], stepwise: bool = False, recorder: Recorder | None = None
    ) -> Passage:
        """Step the program from entry times in ps: RESOURCES, OPEN, then one per view of inputs.

        ``stepwise`` jumps nothing; it gives the same passage, slowly. A ``recorder`` is told what
        holds the resources.
        """
        if stepwise or recorder is not None:
            return _Stepper(self, entries, stepwise, recorder).passage()
        if entries not in self.passages:
            self.passages[entries] = _Stepper(self, entries).passage()
        return self.passages[entries]

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
        busy = self.cost.busy(part)
        took = busy.ps(self.free), self.step(statement, busy)
        return Kind(part.number, self.resource(statement), busy, *took, *self.latency(part.number))

    def latency(self, number: int) -> tuple[int, int]:
        """How long the result of a statement is on its way, and the path of that."""
        if number not in self.latencies:
            statement = self.program.statements[number].statement
            latency = self.cost.latency(statement)
            self.latencies[number] = latency.ps(self.free), self.step(statement, latency)
        return self.latencies[number]

    def step(self, statement: Statement, event: Event) -> int:
        """The path of one event alone; what takes no time leaves no trace."""
        if isinstance(statement, Fill) or event.ps(self.free) == 0:
            return 0
        self.charged.append((self.cost.moved_view(statement), statement.node, event))
        return 1 << (DIGIT * (len(self.charged) - 1))

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

    def resources(self, loop: int) -> tuple[int, ...]:
        """The resources that the body of a loop uses; a store holds up the loads as well."""
        if loop not in self.used_by:
            inside = self.cost.course.inside[loop]
            found = {self.resource(self.program.statements[n].statement) for n in inside}
            found |= {HELD_UP[resource] for resource in found & HELD_UP.keys()}
            self.used_by[loop] = tuple(sorted(found - {-1}))
        return self.used_by[loop]

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


class _Stepper:
    """One pass through the program."""

    def __init__(
        self,
        clockwork: Clockwork,
        entries: tuple[int, ...],
        stepwise: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self.clockwork = clockwork
        self.stepwise = stepwise
        self.recorder = recorder
        self.wiring = wiring_of(clockwork.program)
        self.end = self.wiring.end
        opened = Moment(entries[OPEN], OPEN)
        resources = [Moment(entries[i], i) for i in range(len(RESOURCES))]
        arrived = [Moment(entries[i], i) for i in range(FIRST_INPUT, len(entries))]
        # Where each time stands is told by wires.py.
        self.moments = [*resources, *[opened] * (self.end + 1 - len(RESOURCES)), *arrived]

    def passage(self) -> Passage:
        self.steps(self.clockwork.cost.course.items)
        moments = self.moments
        return Passage(
            tuple(moments[: len(RESOURCES)]),
            {view: moments[place] for view, place in self.wiring.stored.items()},
            moments[self.end],
        )

    def steps(self, items: Items) -> None:
        for item in items:
            if isinstance(item, int):
                kind = self.clockwork.kind(item)
                self.execute(kind, self.wiring.wires[kind.number])
            else:
                self.repeat(item)

    def execute(self, kind: Kind, wire: Wire) -> None:
        """Wait, hold the resource, and set what others wait for; nothing ends later than that."""
        moments = self.moments
        if kind.resource < 0:  # a fill takes no time
            self.renew(wire, later(*[moments[place] for place in wire.waits]))
            return
        start = moments[kind.resource]
        for place in wire.waits:
            start = later(start, moments[place])
        moments[kind.resource] = done = start.after(kind.busy_ps, kind.busy_step)
        if self.recorder is not None:
            self.recorder.hold(kind, start.ps, done.ps)
        for place in wire.used:
            moments[place] = later(moments[place], done)
        result = done.after(kind.latency_ps, kind.latency_step) if kind.latency_ps else done
        moments[self.end] = later(moments[self.end], result)
        if wire.stored >= 0:
            self.store(kind, wire, done)
        elif wire.updates:
            moments[wire.newest] = result
            moments[wire.newest + 1] = later(moments[wire.newest + 1], result)
        else:
            self.renew(wire, result)

    def store(self, kind: Kind, wire: Wire, done: Moment) -> None:
        """Reads and writes share the memory: while a store moves, the load engine stands still."""
        moments, loads = self.moments, HELD_UP[kind.resource]
        moments[loads] = moments[loads].after(kind.busy_ps, kind.busy_step)
        moments[self.end] = later(moments[self.end], moments[loads])
        moments[wire.stored] = later(moments[wire.stored], done)

    def renew(self, wire: Wire, ready: Moment) -> None:
        """Put a new version in the place of the oldest."""
        moments, first, last = self.moments, wire.oldest, wire.newest
        if first != last:
            moments[first:last] = moments[first + 2 : last + 2]
        moments[last] = moments[last + 1] = ready

    def repeat(self, repeat: Repeat) -> None:
        """Do the iterations of a run; when the state repeats, jump over whole periods."""
        done = 0
        seen: dict[tuple[int, ...], int] = {}
        while done < repeat.count:
            if repeat.count - done > 3 and not self.stepwise:
                state = self.relative(repeat.loop)
                period = done - seen[state] if state in seen else 0
                if period and (repeat.count - done) // period > 2:
                    done += self.jump(repeat, period, (repeat.count - done) // period)
                    seen.clear()
                    continue
                seen[state] = done
            self.steps(repeat.body)
            done += 1

    def relative(self, loop: int) -> tuple[int, ...]:
        """The state as the loop sees it: times before all resources that it uses are the same."""
        moments = self.moments
        last = moments[self.end].ps
        frees = [moments[r].ps - last for r in self.clockwork.resources(loop)]
        floor = min(frees, default=0)
        times = [m.ps - last for m in moments[len(RESOURCES) : self.end + 1]]
        return (*frees, *[floor if ps < floor else ps for ps in times])

    def jump(self, repeat: Repeat, period: int, times: int) -> int:
        """Advance by ``times`` periods: step one to learn how paths run through it, then repeat it.

        A time whose path through a period comes from another time has that one's past, so the map
        of pasts is applied once per period.
        """
        before = self.moments
        begun = 0 if self.recorder is None else len(self.recorder.held)
        self.moments = [Moment(m.ps, i) for i, m in enumerate(before)]
        for _ in range(period):
            self.steps(repeat.body)
        if self.recorder is not None:
            every_ps = self.moments[self.end].ps - before[self.end].ps
            self.recorder.repeat(begun, times, every_ps)
        one = [Stretch(m.origin, m.ps - before[m.origin].ps, m.path) for m in self.moments]
        self.moments = [
            Moment(past.ps + stretch.ps, past.origin, past.path + stretch.path)
            for stretch in power(one, times)
            for past in (before[stretch.origin],)
        ]
        return period * times
