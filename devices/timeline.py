"""Step a tile program through the in-order resources of a core, exactly and yet not all of it.

An event starts when its resource, its operands and the room for its result are there: a time is
the largest of some earlier times, plus a duration. Besides its value each time keeps where it comes
from: the entry it starts at, and how often each kind of statement lies on its critical path, so
nothing has to be followed backwards. Times of that form become periodic in a uniform loop: once the
state of the resources repeats, relative to itself, whole periods are jumped (notes in docs/).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from emu.devices.moments import DIGIT, Moment, Passage, Stretch, later, power
from emu.devices.recorder import Kind, Recorder
from emu.devices.terms import Key, Settled
from emu.devices.tile_cost import Shares, TileCost
from emu.ir.regions import Frame, Interval, Run
from emu.ir.tile import Compute, Fill, Gather, Load, Nest, Placed, Statement, Step, Store

# What is kept on chip is moved by ports and network, not by the engines of device memory.
RESOURCES = ("dma_in", "dma_out", "matrix", "vector", "kept_in", "kept_out")
DMA_IN, DMA_OUT, MATRIX, VECTOR, KEPT_IN, KEPT_OUT = range(6)
HELD_UP = {DMA_OUT: DMA_IN, KEPT_OUT: KEPT_IN}  # by stores, which share the memory with loads
OPEN = len(RESOURCES)  # entry: when the launch is issued and its memory is free
FIRST_INPUT = OPEN + 1


@dataclass(frozen=True, slots=True)
class Branch:
    """A loop and its body, with statements as numbers."""

    loop: int
    body: "tuple[int | Branch, ...]"


class Clockwork:
    """One program on one kind of core, with its kinds and passages."""

    def __init__(self, cost: TileCost, free: frozenset[str] = frozenset()) -> None:
        """Prepare to step the program of ``cost``; the causes in ``free`` take no time."""
        self.cost = cost
        self.program = cost.program
        self.free = free
        self.charged: list[tuple[int, tuple[tuple[Key, int], ...]]] = []  # (view, shares)
        self.kinds: dict[tuple[int, tuple[Interval, ...]], Kind] = {}
        self.passages: dict[tuple[int, ...], Passage] = {}
        self.used_by: dict[Branch, tuple[int, ...]] = {}

    @cached_property
    def tree(self) -> "tuple[int | Branch, ...]":
        """The steps of the program with every statement as its number."""
        return _numbered(self.program.steps, count())

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """The views that are loaded, in the order of their entries."""
        return tuple(i for i, view in enumerate(self.program.views) if view.loaded)

    @cached_property
    def busiest_ps(self) -> int:
        """For how long the resource that is held longest is held in all: no passage is shorter.

        Loads and stores share the memory, so they are one resource here.
        """
        held = dict.fromkeys((-1, *range(len(RESOURCES))), 0)
        for number, placed in enumerate(self.program.statements):
            for frame, times in self.cost.lead_frames(number):
                kind = self.kind(number, placed, frame)
                held[kind.resource] += kind.busy.ps * times
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

    def kind(self, number: int, placed: Placed, frame: Frame) -> Kind:
        """The kind of an execution of statement ``number`` in ``frame``."""
        key = (number, tuple([frame[loop] for loop in placed.loops]))
        if key not in self.kinds:
            self.kinds[key] = self.new_kind(number, placed.statement, frame)
        return self.kinds[key]

    def new_kind(self, number: int, statement: Statement, frame: Frame) -> Kind:
        """Price an execution of a statement that was not met in such a frame before."""
        busy = self.cost.busy(number, statement, frame).settle(self.free)
        latency = self.cost.latency(statement).settle(self.free)
        steps = (self.step(statement, part) for part in (busy, latency))
        return Kind(number, self.resource(statement), busy, latency, *steps)

    def step(self, statement: Statement, settled: Settled) -> int:
        """The path of one statement alone; what takes no time leaves no trace."""
        if settled.ps == 0 or isinstance(statement, Fill):
            return 0
        node, view = statement.node, self.cost.moved_view(statement)
        entry = view, tuple(((node, cause), ps) for (_, cause), ps in settled.shares)
        if entry not in self.charged:
            self.charged.append(entry)
        return 1 << (DIGIT * self.charged.index(entry))

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

    def resources(self, branch: Branch) -> tuple[int, ...]:
        """The resources that the body of a loop uses; a store holds up the loads as well."""
        if branch not in self.used_by:
            found: set[int] = set()
            for step in branch.body:
                if isinstance(step, Branch):
                    found.update(self.resources(step))
                else:
                    found.add(self.resource(self.program.statements[step].statement))
            found |= {HELD_UP[resource] for resource in found & HELD_UP.keys()}
            self.used_by[branch] = tuple(sorted(found - {-1}))
        return self.used_by[branch]

    def charges(self, path: int, shares: Shares) -> dict[Key, int]:
        """Picoseconds by (node, cause) of the statements on a path.

        Bytes cost the same whatever they are moved for, so what is compulsory is told only here.
        """
        found: dict[Key, int] = {}
        for view, entry in self.charged:
            times = path & ((1 << DIGIT) - 1)
            path >>= DIGIT
            for (node, cause), ps in entry if times else ():
                key = node, shares.cause(view) if cause == "intermediate" else cause
                found[key] = found.get(key, 0) + times * ps
        return found


@dataclass
class _State:
    """All times of a core as one list, so that they can be compared, kept and composed.

    First the resources, then for each buffer and version, oldest first, when it is ready and when
    its last reader is done, then when each output is stored, and the end of everything.
    """

    moments: list[Moment]
    slots: list[int]  # position of the oldest version of each buffer
    depths: list[int]
    stored: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def end(self) -> int:
        return len(self.moments) - 1


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
        self.program = clockwork.program
        self.stepwise = stepwise
        self.recorder = recorder
        self.entries = {
            view: Moment(entries[FIRST_INPUT + i], FIRST_INPUT + i)
            for i, view in enumerate(clockwork.inputs)
        }
        self.state = self.start(entries)

    def start(self, entries: tuple[int, ...]) -> _State:
        moments = [Moment(entries[i], i) for i in range(len(RESOURCES))]
        opened = Moment(entries[OPEN], OPEN)
        slots: list[int] = []
        for buffer in self.program.buffers:
            slots.append(len(moments))
            moments += [opened, opened] * buffer.depth
        stored: dict[int, int] = {}
        for placed in self.program.statements:
            if isinstance(placed.statement, Store) and placed.statement.view not in stored:
                stored[placed.statement.view] = len(moments)
                moments.append(opened)
        moments.append(opened)
        return _State(moments, slots, [b.depth for b in self.program.buffers], stored)

    def passage(self) -> Passage:
        self.steps(self.clockwork.tree, {})
        moments = self.state.moments
        return Passage(
            tuple(moments[: len(RESOURCES)]),
            {view: moments[i] for view, i in self.state.stored.items()},
            moments[self.state.end],
        )

    def steps(self, body: tuple[int | Branch, ...], frame: dict[int, Interval]) -> None:
        for step in body:
            if isinstance(step, Branch):
                self.nest(step, frame)
            else:
                self.execute(step, frame)

    def nest(self, nest: Branch, frame: dict[int, Interval]) -> None:
        """The first core does the first iteration of each parallel loop, and all of the others."""
        found = self.clockwork.cost.runs(nest.loop, frame)
        if self.program.loops[nest.loop].parallel:
            found = (Run(found[0].interval, 1),)
        for run in found:
            self.repeat(nest, run, {**frame, nest.loop: run.interval})

    def execute(self, number: int, frame: Frame) -> None:
        placed = self.program.statements[number]
        kind = self.clockwork.kind(number, placed, frame)
        match statement := placed.statement:
            case Load():
                self.load(statement.buffer, self.entries[self.view(statement.buffer)], kind)
            case Gather():
                self.gather(statement, kind)
            case Fill():
                self.renew(statement.buffer, self.room(statement.buffer, None))
            case Store():
                self.store(statement, kind)
            case Compute():
                self.compute(statement, kind)

    def view(self, buffer: int) -> int:
        return self.program.buffers[buffer].value

    def load(self, buffer: int, arrived: Moment, kind: Kind) -> None:
        start = later(self.state.moments[kind.resource], arrived)
        done = self.hold(kind, self.room(buffer, start))
        self.renew(buffer, self.ready(kind, done))

    def gather(self, statement: Gather, kind: Kind) -> None:
        ready, _ = self.current(statement.index)
        moments = self.state.moments
        start = later(moments[kind.resource], self.entries[statement.table])
        start = later(start, moments[ready])
        done = self.hold(kind, self.room(statement.buffer, start))
        self.used(statement.index, done)
        self.renew(statement.buffer, self.ready(kind, done))

    def store(self, statement: Store, kind: Kind) -> None:
        moments = self.state.moments
        ready, _ = self.current(statement.buffer)
        done = self.hold(kind, later(moments[kind.resource], moments[ready]))
        self.used(statement.buffer, done)
        # Reads and writes share the memory: while a store moves, the load engine stands still.
        loads = HELD_UP[kind.resource]
        moments[loads] = moments[loads].after(kind.busy.ps, kind.busy_step)
        moments[self.state.end] = later(moments[self.state.end], moments[loads])
        place = self.state.stored[statement.view]
        moments[place] = later(moments[place], done)

    def compute(self, statement: Compute, kind: Kind) -> None:
        moments = self.state.moments
        start = moments[kind.resource]
        read = [o.buffer for o in statement.ins if o is not None]
        for buffer in read:
            start = later(start, moments[self.current(buffer)[0]])
        updates = statement.accumulate or statement.out in read
        if updates:
            ready, used = self.current(statement.out)
            start = later(later(start, moments[ready]), moments[used])
        else:
            start = self.room(statement.out, start)
        done = self.hold(kind, start)
        for buffer in read:
            self.used(buffer, done)
        result = self.ready(kind, done)
        if updates:
            self.update(statement.out, result)
        else:
            self.renew(statement.out, result)

    def hold(self, kind: Kind, start: Moment) -> Moment:
        """Take the resource from ``start`` on; it is free again when the event is done."""
        done = start.after(kind.busy.ps, kind.busy_step)
        self.state.moments[kind.resource] = done
        if self.recorder is not None:
            self.recorder.hold(kind, start.ps, done.ps)
        return done

    def ready(self, kind: Kind, done: Moment) -> Moment:
        """When the result can be read; nothing ends later than that."""
        result = done.after(kind.latency.ps, kind.latency_step) if kind.latency.ps else done
        end = self.state.end
        self.state.moments[end] = later(self.state.moments[end], result)
        return result

    def current(self, buffer: int) -> tuple[int, int]:
        """Where the newest version of a buffer keeps its ready time and its last use."""
        place = self.state.slots[buffer] + 2 * (self.state.depths[buffer] - 1)
        return place, place + 1

    def room(self, buffer: int, start: Moment | None) -> Moment:
        """The first moment from ``start`` on at which the oldest version may be overwritten."""
        moments, place = self.state.moments, self.state.slots[buffer]
        first = moments[place] if start is None else later(start, moments[place])
        return later(first, moments[place + 1])

    def renew(self, buffer: int, ready: Moment) -> None:
        """Put a new version in the place of the oldest."""
        moments, place = self.state.moments, self.state.slots[buffer]
        last = place + 2 * (self.state.depths[buffer] - 1)
        moments[place:last] = moments[place + 2 : last + 2]
        moments[last] = moments[last + 1] = ready

    def update(self, buffer: int, ready: Moment) -> None:
        place, used = self.current(buffer)
        self.state.moments[place] = ready
        self.state.moments[used] = later(self.state.moments[used], ready)

    def used(self, buffer: int, done: Moment) -> None:
        _, used = self.current(buffer)
        moments, end = self.state.moments, self.state.end
        moments[used] = later(moments[used], done)
        moments[end] = later(moments[end], done)

    def repeat(self, nest: Branch, run: Run, frame: dict[int, Interval]) -> None:
        """Do the iterations of a run; when the state repeats, jump over whole periods."""
        done = 0
        seen: dict[tuple[int, ...], int] = {}
        while done < run.count:
            if run.count - done > 3 and not self.stepwise:
                state = self.relative(nest)
                period = done - seen[state] if state in seen else 0
                if period and (run.count - done) // period > 2:
                    done += self.jump(nest, frame, period, (run.count - done) // period)
                    seen.clear()
                    continue
                seen[state] = done
            self.steps(nest.body, frame)
            done += 1

    def relative(self, nest: Branch) -> tuple[int, ...]:
        """The state as the loop sees it: times before all resources that it uses are the same."""
        moments = self.state.moments
        resources = self.clockwork.resources(nest)
        last = moments[self.state.end].ps
        floor = min((moments[r].ps for r in resources), default=last)
        frees = [moments[r].ps - last for r in resources]
        rest = [max(m.ps, floor) - last for m in moments[len(RESOURCES) :]]
        return (*frees, *rest)

    def jump(self, nest: Branch, frame: dict[int, Interval], period: int, times: int) -> int:
        """Advance by ``times`` periods: step one to learn how paths run through it, then repeat it.

        A time whose path through a period comes from another time has that one's past, so the map
        of pasts is applied once per period, by squaring.
        """
        before, end = self.state.moments, self.state.end
        begun = 0 if self.recorder is None else len(self.recorder.held)
        self.state.moments = [Moment(m.ps, i) for i, m in enumerate(before)]
        for _ in range(period):
            self.steps(nest.body, frame)
        if self.recorder is not None:
            self.recorder.repeat(begun, times, self.state.moments[end].ps - before[end].ps)
        one = [Stretch(m.origin, m.ps - before[m.origin].ps, m.path) for m in self.state.moments]
        self.state.moments = [
            Moment(past.ps + stretch.ps, past.origin, past.path + stretch.path)
            for stretch in power(one, times)
            for past in (before[stretch.origin],)
        ]
        return period * times


def _numbered(steps: tuple[Step, ...], numbers: Iterator[int]) -> tuple[int | Branch, ...]:
    return tuple(
        Branch(step.loop, _numbered(step.body, numbers))
        if isinstance(step, Nest)
        else next(numbers)
        for step in steps
    )
