"""Step a tile program through the in-order resources of a core, exactly and yet not all of it.

An event starts when its resource, its operands and the room for its result are there: a time is
the largest of some earlier times, plus a duration. Besides its value each time keeps where it comes
from: the entry it starts at, and how often each kind of statement lies on its critical path, so
nothing has to be followed backwards. Times of that form become periodic in a uniform loop: once the
state of the resources repeats, relative to itself, whole periods are jumped (notes in docs/).
"""

from functools import cached_property

from emu.devices.course import Items, Repeat
from emu.devices.kinds import Kinds
from emu.devices.moments import Moment, Passage, Stretch, later, power
from emu.devices.recorder import Kind, Preload, Recorder
from emu.devices.tile_cost import TileCost
from emu.devices.weight_queue import streams
from emu.devices.wires import DMA_IN, HELD_UP, MATRIX, PRELOAD, RESOURCES, Wire, wiring_of

OPEN = len(RESOURCES)  # entry: when the launch is issued and its memory is free
FIRST_INPUT = OPEN + 1


class Clockwork(Kinds):
    """One program on one kind of core, with its kinds and passages."""

    def __init__(self, cost: TileCost, free: frozenset[str] = frozenset()) -> None:
        """Prepare to step the program of ``cost``; the causes in ``free`` take no time."""
        super().__init__(cost, free)
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
            if kind.preload is not None:
                held[PRELOAD] += (kind.preload.shift.busy_ps + kind.preload.lead_ps) * times
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

    def resources(self, loop: int) -> tuple[int, ...]:
        """The resources that the body of a loop uses; a store holds up the loads as well."""
        if loop not in self.used_by:
            inside = self.cost.course.inside[loop]
            found = {self.resource(self.program.statements[n].statement) for n in inside}
            found |= {HELD_UP[resource] for resource in found & HELD_UP.keys()}
            if MATRIX in found and self.cost.native:
                found.add(PRELOAD)
            self.used_by[loop] = tuple(sorted(found - {-1}))
        return self.used_by[loop]


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
        self.wiring = wiring_of(clockwork.program, clockwork.queued)
        self.in_queue: dict[int, Kind] = {}  # the latest load of what comes through a queue
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
        if kind.preload is not None:
            done = self.multiply(kind, kind.preload, wire)
        else:
            start = moments[kind.resource]
            for place in wire.waits:
                start = later(start, moments[place])
            done = self.hold(kind, start)
            if kind.queued is not None:
                first = start.after(kind.queued.first_ps, kind.queued.first_step)
                moments[wire.begun] = first.after(kind.latency_ps, kind.latency_step)
                self.in_queue[wire.begun] = kind
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

    def hold(self, kind: Kind, start: Moment) -> Moment:
        """Take the resource from ``start`` on; it is free again when the event is done."""
        self.moments[kind.resource] = done = start.after(kind.busy_ps, kind.busy_step)
        if self.recorder is not None:
            self.recorder.hold(kind, start.ps, done.ps)
        return done

    def multiply(self, kind: Kind, preload: Preload, wire: Wire) -> Moment:
        """Stream the rows of a product when its first weights, and all else, are there."""
        moments, load = self.moments, self.in_queue.pop(wire.begun, None)
        fed = None if load is None else self.feed(load, wire)
        first = wire.weights if fed is None else wire.begun
        shifted = self.hold(preload.shift, later(moments[PRELOAD], moments[first]))
        start = later(moments[kind.resource], shifted)
        for place in wire.waits:
            if fed is None or place != wire.weights:
                start = later(start, moments[place])
        # The array has room for other weights when the stream through the last ones begins.
        room = start.after(preload.lead_ps, preload.lead_step)
        if load is None or fed is None:
            done = self.hold(kind, start)
        else:
            last = fed.after(preload.shift.busy_ps, preload.shift.busy_step)
            room = later(room, last)
            done = self.fed(kind, preload, load, start, fed)
        moments[PRELOAD] = room
        return done

    def feed(self, load: Kind, wire: Wire) -> Moment:
        """When the last weights of a product are there, of those that come through a queue."""
        moments, queued = self.moments, load.queued
        assert queued is not None
        # What the queue has no room for is loaded when the array takes from it.
        begun = later(moments[PRELOAD], moments[wire.begun])
        room = begun.after(queued.over_ps, queued.over_step)
        moments[DMA_IN] = later(moments[DMA_IN], room)
        return later(moments[wire.weights], room)

    def fed(self, kind: Kind, preload: Preload, load: Kind, start: Moment, fed: Moment) -> Moment:
        """Stream folds whose weights come through a queue, the last of them at ``fed``."""
        last = fed.after(preload.shift.busy_ps, preload.shift.busy_step)
        last = last.after(preload.last.busy_ps, preload.last.busy_step)
        done = later(start.after(kind.busy_ps, kind.busy_step), last)
        self.moments[kind.resource] = done
        if self.recorder is not None:
            self.recorder.held += streams(load, preload, start.ps, fed.ps, done.ps)
        return done

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
        return (*frees, *[floor if ps < floor else ps for ps in times], *sorted(self.in_queue))

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
